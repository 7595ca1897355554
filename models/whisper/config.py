"""The shape of a Whisper network, read from config.json of a Hugging Face checkpoint."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """Field names are those of config.json; the properties are derived and refuse remainders."""

    vocab_size: int
    num_mel_bins: int
    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_layers: int
    decoder_attention_heads: int
    decoder_ffn_dim: int
    max_source_positions: int
    max_target_positions: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"config.json: {name} must be positive, not {getattr(self, name)}")
        for heads in (self.encoder_attention_heads, self.decoder_attention_heads):
            if self.d_model % heads:
                raise ValueError(f"config.json: {heads} attention heads do not divide d_model {self.d_model}")
        if self.d_model % 2:
            raise ValueError(f"config.json: d_model {self.d_model} is odd, sinusoids need pairs")

    @property
    def max_mel_frames(self) -> int:
        """Frames of the longest window: the second convolution halves their number."""
        return 2 * self.max_source_positions


def read_config(folder: Path) -> WhisperConfig:
    """Raises ValueError naming the field if config.json is not that of a Whisper this code can run."""
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if content.get("model_type") != "whisper":
        raise ValueError(f"{folder}/config.json: model_type is {content.get('model_type')!r}, not 'whisper'")
    if content.get("activation_function", "gelu") != "gelu":
        raise ValueError(f"{folder}/config.json: activation_function must be 'gelu'")
    if content.get("scale_embedding", False):
        raise ValueError(f"{folder}/config.json: scale_embedding is not supported")
    missing = [name for name in WhisperConfig.__slots__ if not isinstance(content.get(name), int)]
    if missing:
        raise ValueError(f"{folder}/config.json: missing or not an integer: {', '.join(missing)}")
    return WhisperConfig(**{name: content[name] for name in WhisperConfig.__slots__})

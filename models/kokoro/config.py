"""Sizes of the network. The defaults are those of Kokoro-82M 1.0; tests build smaller ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAMILY = "kokoro"
SAMPLE_RATE_HZ = 24_000
FRAME_SAMPLES = 600
"""A frame is the unit of durations: 25 ms."""
CURVE_STEPS = 2
"""Pitch and energy have so many values per frame."""


@dataclass(frozen=True, slots=True)
class AlbertConfig:
    """The reader of phones: one transformer layer, gone through several times."""

    hidden_size: int = 768
    embedding_size: int = 128
    num_attention_heads: int = 12
    intermediate_size: int = 2048
    max_position_embeddings: int = 512
    num_hidden_layers: int = 12


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """What makes samples of frames."""

    upsample_rates: tuple[int, ...] = (10, 6)
    upsample_kernel_sizes: tuple[int, ...] = (20, 12)
    upsample_initial_channel: int = 512
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5),) * 3
    gen_istft_n_fft: int = 20
    gen_istft_hop_size: int = 5

    @property
    def step_samples(self) -> int:
        """Samples for one value of pitch."""
        samples = self.gen_istft_hop_size
        for rate in self.upsample_rates:
            samples *= rate
        return samples


@dataclass(frozen=True, slots=True)
class KokoroConfig:
    """Names as in the published config.json."""

    n_token: int = 178
    hidden_dim: int = 512
    style_dim: int = 128
    """A style has so many numbers for the decoder, then as many for prosody."""
    n_layer: int = 3
    max_dur: int = 50
    text_encoder_kernel_size: int = 5
    decoder_channels: int = 1024
    side_channels: int = 64
    plbert: AlbertConfig = field(default_factory=AlbertConfig)
    istftnet: VocoderConfig = field(default_factory=VocoderConfig)

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> "KokoroConfig":
        """From a published config.json; what it says beyond this network's sizes is not read. What it leaves out is as in
        Kokoro-82M.

        ValueError: it describes another network.
        """
        plain = {name: int(published[name]) for name in _NUMBERS if name in published}
        albert = published.get("plbert", {})
        reader = AlbertConfig(**{name: int(albert[name]) for name in AlbertConfig.__dataclass_fields__ if name in albert})
        vocoder_names = VocoderConfig.__dataclass_fields__
        given = {name: _tuples(value) for name, value in published.get("istftnet", {}).items() if name in vocoder_names}
        config = cls(**plain, plbert=reader, istftnet=VocoderConfig(**given))
        if config.istftnet.step_samples * CURVE_STEPS != FRAME_SAMPLES:
            samples, wanted = config.istftnet.step_samples, FRAME_SAMPLES // CURVE_STEPS
            raise ValueError(f"istftnet makes {samples} samples of a step, not {wanted}")
        if len(config.istftnet.upsample_rates) != len(config.istftnet.upsample_kernel_sizes):
            raise ValueError("istftnet: upsample_rates and upsample_kernel_sizes differ in length")
        return config

    @property
    def most_tokens(self) -> int:
        """Tokens that fit into one utterance, the edges counted in."""
        return self.plbert.max_position_embeddings


_NUMBERS = (
    "n_token", "hidden_dim", "style_dim", "n_layer", "max_dur", "text_encoder_kernel_size", "decoder_channels", "side_channels",
)  # fmt: skip
"""The last two are in our own files only."""


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value

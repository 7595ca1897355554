"""Sizes of the conv_tts family. A checkpoint carries its own values as text metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SAMPLE_RATE_HZ = 24_000
FRAME_MS = 5
HOP_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
if HOP_SAMPLES * 1000 != SAMPLE_RATE_HZ * FRAME_MS:
    raise ValueError("a frame must be a whole number of samples")

LOWEST_F0_HZ, HIGHEST_F0_HZ = 40.0, 700.0

CEPSTRUM_WARP = 0.466
"""All-pass constant that makes the frequency axis of the cepstra Bark-like at 24 kHz (Smith and Abel 1999)."""

BAND_CENTRES_HZ = (350.0, 1200.0, 2800.0, 5000.0, 7000.0)
"""Where the voicing values apply; between them they are interpolated, and none is left at 9 kHz."""

MOST_VOICED = 0.997
"""No sound is pulses alone: with less noise than this, -25 dB, the valleys between harmonics are deeper than in the
teacher's sound (0.05 dB of mel-cepstral distortion for the voice slt)."""

EDGE_PAUSE_FRAMES = 4
"""Length of the pause before the first word of a segment: 20 ms."""


PAUSE_STRETCH = {",": 1.2, ".": 2.0, "?": 2.0, "!": 2.0}
"""The teacher hurries from sentence to sentence (0.12 s); predicted pauses are this much longer."""


@dataclass(frozen=True, slots=True)
class ConvTtsConfig:
    """Widths and depths of the network; see `models.conv_tts.network`."""

    speakers: tuple[str, ...] = ("rms", "slt", "awb")
    phones: int = 45
    channels: int = 256
    expansion: int = 768
    attention_heads: int = 4
    encoder_blocks: int = 4
    attention_blocks: int = 2
    duration_blocks: int = 2
    pitch_blocks: int = 2
    decoder_blocks: int = 5
    kernel_frames: int = 7
    cepstrum_order: int = 40
    bands: int = len(BAND_CENTRES_HZ)

    def to_metadata(self) -> dict[str, str]:
        """As the text metadata of a safetensors file."""
        return {"config": json.dumps(asdict(self))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ConvTtsConfig":
        """Read back what `to_metadata` wrote; an unknown or missing field is a ValueError."""
        values = json.loads(metadata.get("config", "{}"))
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"configuration fields differ: {sorted(set(values) ^ names)}")
        values["speakers"] = tuple(values["speakers"])
        return cls(**values)

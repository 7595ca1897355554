"""How audio is written on its way in and out."""

from dataclasses import dataclass
from enum import StrEnum


class Encoding(StrEnum):
    """How one sample is written."""

    PCM_S16LE = "pcm_s16le"
    PCM_F32LE = "pcm_f32le"
    PCM_MULAW = "pcm_mulaw"
    PCM_ALAW = "pcm_alaw"
    PCM_S32LE = "pcm_s32le"
    """Input only."""
    PCM_F16LE = "pcm_f16le"
    """Input only."""


class Container(StrEnum):
    RAW = "raw"
    WAV = "wav"
    MP3 = "mp3"


OUTPUT_ENCODINGS = (Encoding.PCM_F32LE, Encoding.PCM_S16LE, Encoding.PCM_MULAW, Encoding.PCM_ALAW)
OUTPUT_SAMPLE_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
MP3_BIT_RATES_BPS = (32000, 64000, 96000, 128000, 192000)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An audio stream as the client wants it. ``encoding`` is ignored for mp3, ``bit_rate_bps`` for the rest."""

    container: Container = Container.RAW
    encoding: Encoding = Encoding.PCM_F32LE
    sample_rate_hz: int = 44100
    bit_rate_bps: int = 128000

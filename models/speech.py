"""What a family that speaks offers to the engine. Shape letters are explained in `models`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.audio import Pcm
from models.voices import Voice

# --- speech synthesis ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone to be spoken, with everything that shapes it.

    ``symbol`` is an entry of `models.phones.PHONES`. ``word`` indexes the words
    of the text segment the phone came from; pauses have -1. ``duration_ms``
    fixes the length exactly (a ``<break>``); None lets the model predict it.
    ``speed`` divides the predicted duration, ``volume`` multiplies the
    amplitude, ``pitch_semitones`` shifts and ``pitch_range`` scales the
    predicted pitch movement around the speaker's mean.
    """

    symbol: str
    stress: int = 0
    word: int = -1
    starts_word: bool = False
    duration_ms: float | None = None
    speed: float = 1.0
    volume: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """The phones of one clause or sentence: the unit the model encodes at once."""

    phones: tuple[Phone, ...]


@dataclass(frozen=True, slots=True)
class PhoneTime:
    """When one phone of a segment sounds, in samples since the slot was admitted."""

    start_samples: int
    end_samples: int


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """What one step gave one slot."""

    pcm: Pcm
    """New audio at the model's sample rate; may be empty."""
    phone_times: tuple[PhoneTime, ...] | None
    """For a segment whose first audio is in this step: the times of all its phones, in order."""
    segments_ended: int
    """How many of the slot's segments gave their last sample in this step (0 or more)."""


@dataclass(frozen=True, slots=True)
class SynthesizerInfo:
    family: str
    sample_rate_hz: int
    languages: tuple[str, ...]
    max_slots: int
    device: str
    voices: tuple[Voice, ...]


class Synthesizer(Protocol):
    """A streaming voice. Called from one thread only, the worker that owns it."""

    @property
    def info(self) -> SynthesizerInfo: ...

    def admit(self, slot: int, voice: Voice) -> None:
        """Take a free slot (0 <= slot < max_slots) into use with a fresh state."""

    def feed(self, slot: int, segment: Segment) -> None:
        """Queue a segment; its audio follows that of earlier segments without a seam."""

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        """Advance the given slots by one chunk each, as one batch.

        A row's samples do not depend on the other rows (to -60 dB). A slot with
        nothing queued gives empty audio. The first chunk of a slot is the smallest.
        """

    def release(self, slot: int) -> None:
        """Give the slot back; queued segments are dropped."""

"""What a family that speaks offers to the engine. Shape letters are explained in `models`.

A family says in its `SynthesizerInfo` what it reads, which controls it acts on and which times it gives; the server keeps to
that and refuses what goes beyond. A family that reads phones gets text read by the server's front end, one that reads text
gets it as it was written, without markup.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from models.audio import Pcm
from models.voices import Voice

Reads = Literal["text", "phones"]
Times = Literal["phones", "words", "none"]
Control = Literal["speed", "volume", "pitch", "pitch_range", "emotion", "instructions"]


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone to be spoken, with everything that shapes it.

    ``symbol`` is an entry of `models.phones.PHONES`. ``word`` indexes the words
    of the utterance the phone came from; pauses have -1. ``duration_ms``
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

    def check(self) -> None:
        """Raises ValueError for what would give no or endless sound; which symbols there are its family knows."""
        if self.stress not in (0, 1, 2):
            raise ValueError(f"stress {self.stress} is not 0, 1 or 2")
        if not 0.05 <= self.speed <= 20:
            raise ValueError(f"speed {self.speed:g} is not in 0.05..20")
        if self.duration_ms is not None and not 0 <= self.duration_ms <= 60_000:
            raise ValueError(f"a duration of {self.duration_ms:g} ms is not in 0..60000")
        if not math.isfinite(self.volume + self.pitch_semitones + self.pitch_range) or self.volume < 0:
            raise ValueError("volume, pitch_semitones and pitch_range must be finite, volume not negative")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an utterance is to be said. The numbers mean what they mean in `Phone`."""

    speed: float = 1.0
    volume: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    emotion: str | None = None
    """A name of `server.text.delivery.EMOTIONS`, for families that read text; in phones it is in the numbers already."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a slot is fed at once: a clause or a sentence. It is whole: what it says does not wait for the next one."""

    text: str = ""
    """As it was written, without markup. Empty where there is only a pause."""
    phones: tuple[Phone, ...] = ()
    """For families that read phones, pauses and controls in them. Empty for those that read text."""
    delivery: Delivery = Delivery()
    """For families that read text: how all of it is said."""
    pause_ms: float = 0.0
    """For families that read text: silence of exactly this length after it."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What holds for everything that a slot says."""

    seed: int | None = None
    """The same seed gives the same samples, whoever the neighbours are; None draws one. Families that do not sample
    always give the same."""
    sampling: Mapping[str, float] = field(default_factory=dict)
    """Of the numbers in `SynthesizerInfo.sampling`, those that depart from the family's own."""
    instructions: str = ""
    """How to speak, in words; for families with this control."""


DEFAULT_GENERATION = Generation()
"""As the family does it by itself."""


@dataclass(frozen=True, slots=True)
class SampleSpan:
    """When a phone or a word sounds, in samples since the slot was admitted."""

    start_samples: int
    end_samples: int


@dataclass(frozen=True, slots=True)
class SpeechFrames:
    """What one step gave one slot. A step may give nothing (while a prompt or text is read) and end nothing."""

    pcm: Pcm
    """New audio at the model's sample rate; may be empty."""
    times: tuple[SampleSpan, ...] | None
    """Of the slot's first utterance that had none yet, in order: of its phones, or of the words of its text between white
    space, as `SynthesizerInfo.times` says. They come with its first audio where the family knows them then, at the latest
    in the step that ends it."""
    utterances_ended: int
    """How many of the slot's utterances gave their last sample in this step (0 or more). Nothing else says that one ended."""


@dataclass(frozen=True, slots=True)
class SynthesizerInfo:
    family: str
    sample_rate_hz: int
    languages: tuple[str, ...]
    max_slots: int
    device: str
    voices: tuple[Voice, ...]
    reads: Reads
    times: Times
    controls: frozenset[Control]
    """Those that it acts on; the others are refused where a request asks for them, and read over in markup."""
    sampling: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Numbers of its sampling that a request may set, such as ``temperature``, each with the range that is taken."""
    weight_bytes: int = 0
    """What the parameters and buffers take on the device."""


class Synthesizer(Protocol):
    """A streaming voice. Called from one thread only, the worker that owns it."""

    @property
    def info(self) -> SynthesizerInfo: ...

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        """Take a free slot (0 <= slot < max_slots) into use with a fresh state."""

    def feed(self, slot: int, utterance: Utterance) -> None:
        """Queue an utterance, also while earlier ones are being spoken; its audio follows theirs without a seam.

        Every utterance ends some time: a model that could run on bounds itself.
        """

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        """Advance the given slots by one chunk each, as one batch.

        A row's samples do not depend on the other rows (to -60 dB). A slot with
        nothing queued gives empty audio. The first chunk of a slot is the smallest.
        """

    def release(self, slot: int) -> None:
        """Give the slot back; queued utterances are dropped."""

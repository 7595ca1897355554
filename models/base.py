"""What a model family offers to the engine, and the words for tensor shapes.

Shape alphabet, used in every docstring of this repository:

=====  ==========================================================
``B``  rows of a batch (one row is one slot that steps)
``P``  phones of a segment
``T``  frames (synthesis: 5 ms; recognition: one encoder position)
``C``  channels
``H``  attention heads
``D``  size of one attention head
``M``  mel bands
``S``  audio samples
``V``  entries of a vocabulary
=====  ==========================================================

The engine knows models only through this file, which needs nothing but NumPy,
so the whole server runs (and is tested) with fakes on a machine without torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]
"""Mono audio, float32 in -1..1, shape [S]."""


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
class Character:
    """How a voice departs from its mixture of speakers. All zeros change nothing, and voices mix by weighing the numbers."""

    log_f0: float = 0.0
    """Added to the log of F0."""
    log_pitch_spread: float = 0.0
    """Log of the factor on the movement of the pitch around its mean."""
    log_formants: float = 0.0
    """Log of the factor on all resonances: positive for a shorter vocal tract."""
    voicing_logit: float = 0.0
    """Added to the log odds of the voiced share of every band: negative is breathier."""
    log_rate: float = 0.0
    """Log of the factor on the speaking rate."""
    cepstrum: tuple[float, ...] = ()
    """Added to the model's log spectrum, as its first cepstral coefficients (on the model's own frequency axis)."""
    cepstrum_movement: tuple[float, ...] = ()
    """Lower triangle, row by row, of a symmetric matrix: how the cepstrum's movement around its mean, from its second
    coefficient on, departs from the model's. Positive on the diagonal: sounds differ more."""

    @classmethod
    def mixed(cls, parts: "Sequence[tuple[Character, float]]") -> "Character":
        """Characters by weight; the weights add up to 1."""

        def weigh(values: Sequence[float]) -> float:
            return math.fsum(value * weight for value, (_, weight) in zip(values, parts, strict=True))

        def weigh_all(name: str) -> float | tuple[float, ...]:
            given = [getattr(character, name) for character, _ in parts]
            if isinstance(given[0], tuple):
                return tuple(weigh(column) for column in zip_longest(*given, fillvalue=0.0))
            return weigh(given)

        return cls(**{field.name: weigh_all(field.name) for field in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a synthesizer: ids and words for people, a mixture of speakers for the model."""

    id: str
    name: str
    description: str
    language: str
    locale: str
    gender: str
    speakers: tuple[tuple[str, float], ...]
    """Speaker names of the model with weights that add up to 1."""
    character: Character = Character()
    network: str = ""
    """Empty for the family's own network. A voice trained by a user has a network to itself and names it here; voices
    of different networks do not mix."""
    pronunciation: str = ""
    """Whose phones its network was taught, where a language has more than one: ``en-GB``. Empty for the language's first."""

    @property
    def tongue(self) -> str:
        """What a front end has to write for this voice."""
        return self.pronunciation or self.language


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


# --- cloning ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeardSpeaker:
    """What a speaker encoder says about a recording."""

    embedding: NDArray[np.float32]
    """[192], length 1; the dot product of two says how alike the speakers are, -1..1."""
    log_formants: float
    log_rate: float
    """First guesses at these fields of `Character`."""


class SpeakerEncoder(Protocol):
    """Recordings to points in a space of speakers. Thread-safe."""

    def hear(self, pcm: Pcm) -> HeardSpeaker:
        """One recording [S] at 16 kHz, at best 3 to 10 s."""


@dataclass(frozen=True, slots=True)
class ClonedSpeech:
    """The nearest that a synthesizer comes to a recorded voice."""

    speakers: tuple[tuple[str, float], ...]
    """As in `Voice`."""
    character: Character
    similarity: float
    """Of the clone's speech to the recording by the speaker encoder, -1..1."""


class VoiceCloner(Protocol):
    """Makes voices of one family from recordings; seconds of work, one call at a time, away from the event loop."""

    def clone(self, pcm: Pcm, segments: Sequence[Segment]) -> ClonedSpeech:
        """A voice like that of ``pcm`` [S] at 16 kHz. ``segments`` are what it says while it is fitted: a few seconds.

        ValueError: the recording cannot be cloned; the message goes on from "the clip:".
        """


# --- speech recognition ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecognitionWindow:
    """Audio to transcribe at once, at the recogniser's sample rate."""

    pcm: Pcm
    language: str = "en"
    prompt: str = ""
    """Text spoken before this window, as context; never repeated in the result."""
    prefix: str = ""
    """Text already committed for the start of this very window; decoding goes on after it."""
    keyterms: tuple[str, ...] = ()
    """Names and phrases that may be said; a recogniser that can prefers them where the sound allows it."""
    want_words: bool = False


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word with its times in seconds from the start of the window; probability in 0..1."""

    word: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of one window (prefix included), with what guards need to judge it."""

    text: str
    words: tuple[RecognizedWord, ...]
    """Empty unless the window asked for words."""
    mean_log_probability: float
    truncated: bool
    """The token budget or a guard against loops ended the text before the model did."""
    retried: bool = False
    """It was decoded a second time, in a window padded to full length."""


@dataclass(frozen=True, slots=True)
class RecognizerInfo:
    family: str
    sample_rate_hz: int
    languages: tuple[str, ...]
    max_window_s: float
    max_batch: int
    device: str


class Recognizer(Protocol):
    """Ears: stateless, a batch of windows in, a hypothesis for each out."""

    @property
    def info(self) -> RecognizerInfo: ...

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        """Transcribe the windows as one batch (at most max_batch); deterministic.

        A window's tokens do not depend on its neighbours.
        """


class SpeechDetector(Protocol):
    """Voice activity: probability of speech per frame, state passed in and out."""

    sample_rate_hz: int
    frame_samples: int

    def init_state(self) -> object: ...

    def step_batch(self, frames: Sequence[Pcm], states: Sequence[object]) -> list[tuple[float, object]]:
        """One frame of exactly ``frame_samples`` samples of each of B streams; gives each one's probability and new state."""

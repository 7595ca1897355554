"""Voices, and what makes them from recordings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm

if TYPE_CHECKING:
    from models.speech import Segment


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

    def clone(self, pcm: Pcm, segments: "Sequence[Segment]") -> ClonedSpeech:
        """A voice like that of ``pcm`` [S] at 16 kHz. ``segments`` are what it says while it is fitted: a few seconds.

        ValueError: the recording cannot be cloned; the message goes on from "the clip:".
        """

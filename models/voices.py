"""Voices, what can be done with them, and what makes them from recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm

EMBEDDING_SIZE = 192
"""Numbers in a voice of the API's first versions."""

Record = Mapping[str, Any]
"""What a family knows of a voice: JSON, which nobody else looks into. It is kept for years, so a family goes on reading what
it once wrote."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of one family: ids and words for people, a record for the family."""

    id: str
    name: str
    description: str
    language: str
    locale: str
    gender: str
    family: str
    record: Record
    pronunciation: str = ""
    """Whose phones it was taught, where a language has more than one: ``en-GB``. Empty for the language's first."""

    @property
    def tongue(self) -> str:
        """What a front end has to write for this voice."""
        return self.pronunciation or self.language


class VoiceMaker:
    """What a family does with its voices besides speaking: nothing, unless it says how in a class of its own.

    Arithmetic on records without weights, so that every process of a server can do it. Thread-safe.
    """

    locales: Mapping[str, str] = MappingProxyType({})
    """Languages that voices made from clips or numbers speak, each with its usual locale. Empty: no voices are made."""

    def knows(self, voice: Voice) -> bool:
        """Whether the installed model can speak with a voice that was kept by an earlier one."""
        return True

    def mix(self, parts: Sequence[tuple[Voice, float]]) -> Record:
        """A voice between voices of one language; the weights add up to 1.

        ValueError: these do not mix; the message goes on from "voice:".
        """
        raise ValueError(f"voices of the model {parts[0][0].family!r} do not mix")

    def embed(self, voice: Voice) -> list[float] | None:
        """[EMBEDDING_SIZE], of which a weighted mean is the voice between; None for a voice without such numbers."""
        return None

    def from_embedding(self, numbers: Sequence[float]) -> Voice | None:
        """The voice in numbers [EMBEDDING_SIZE] that `embed` gave, or in a weighted mean of such. None for any others."""
        return None


# --- cloning ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeardSpeaker:
    """What a speaker encoder says about a recording."""

    embedding: NDArray[np.float32]
    """[192], length 1; the dot product of two says how alike the speakers are, -1..1."""
    log_formants: float
    """Log of the factor on the resonances of an average speaker: positive for a shorter vocal tract."""
    log_rate: float
    """Log of the factor on the speaking rate."""


class SpeakerEncoder(Protocol):
    """Recordings to points in a space of speakers. Thread-safe."""

    def hear(self, pcm: Pcm) -> HeardSpeaker:
        """One recording [S] at 16 kHz, at best 3 to 10 s."""


@dataclass(frozen=True, slots=True)
class ClonedVoice:
    """The nearest that a family comes to a recorded voice."""

    family: str
    record: Record
    similarity: float
    """Of the clone's speech to the recording by the speaker encoder, -1..1."""


class VoiceCloner(Protocol):
    """Makes voices of one family from recordings; seconds of work, one call at a time, away from the event loop."""

    def clone(self, pcm: Pcm) -> ClonedVoice:
        """A voice like that of ``pcm`` [S] at 16 kHz.

        ValueError: the recording cannot be cloned; the message goes on from "the clip:".
        """

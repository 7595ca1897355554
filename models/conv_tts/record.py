"""What this family keeps of a voice: a mixture of a network's speakers, and how the voice departs from it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import zip_longest
from typing import Any

from models.voices import Record, Voice

FAMILY = "conv_tts"


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
class Timbre:
    """A voice's record as an object."""

    speakers: tuple[tuple[str, float], ...]
    """Speaker names of the network with weights that add up to 1."""
    character: Character = Character()
    network: str = ""
    """Empty for the package's own network. A voice trained by a user has a network to itself and names it here; voices
    of different networks do not mix."""

    @classmethod
    def of(cls, record: Record) -> "Timbre":
        """Reads what `to_record` wrote in any version. TypeError, ValueError or KeyError: it is no such record."""
        numbers: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in record.get("character", {}).items()}
        speakers = tuple((str(name), float(weight)) for name, weight in record["speakers"])
        return cls(speakers, Character(**numbers), record.get("network", ""))

    def to_voice(self, **words: str) -> Voice:
        """A voice of this family; what is not given of `Voice` is empty, the language English."""
        plain = {"id": "", "name": "", "description": "", "language": "en", "locale": "en-US", "gender": ""}
        return Voice(**plain | words, family=FAMILY, record=self.to_record())

    def to_record(self) -> Record:
        plain = asdict(self.character)
        character = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
        return {"speakers": [list(pair) for pair in self.speakers], "character": character, "network": self.network}

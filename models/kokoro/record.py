"""What this family keeps of a voice: a mixture of the installed voice packs. And who the published packs are."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.kokoro.config import FAMILY
from models.voices import Record, Voice

LOCALES: Mapping[str, tuple[str, str]] = {
    "a": ("en-US", "American English"), "b": ("en-GB", "British English"), "e": ("es-ES", "Spanish"),
    "f": ("fr-FR", "French"), "h": ("hi-IN", "Hindi"), "i": ("it-IT", "Italian"), "j": ("ja-JP", "Japanese"),
    "p": ("pt-BR", "Brazilian Portuguese"), "z": ("zh-CN", "Mandarin Chinese"),
}  # fmt: skip
"""By the first letter of a pack's name."""
GENDERS: Mapping[str, str] = {"f": "feminine", "m": "masculine"}
"""By the second."""
SPOKEN = ("en", "es", "fr", "it")
"""Languages whose phones the server's front end writes. Voices of others are kept, and not offered."""
PACK_NAME = re.compile(rf"(?P<locale>[{''.join(LOCALES)}])(?P<gender>[fm])_(?P<name>[a-z][a-z0-9]*)")
_FIRST = "af_heart"
"""The voice that is taken where none is named, if it is there: the best of them to most who listened."""


@dataclass(frozen=True, slots=True)
class Styles:
    """A voice's record as an object."""

    packs: tuple[tuple[str, float], ...]
    """Names of voice packs with weights that add up to 1."""

    @classmethod
    def of(cls, record: Record) -> "Styles":
        """Reads what `to_record` wrote in any version. TypeError, ValueError or KeyError: it is no such record."""
        packs = tuple((str(name), float(weight)) for name, weight in record["packs"])
        if not 0.999 < math.fsum(weight for _, weight in packs) < 1.001:
            raise ValueError("the weights of a voice do not add up to 1")
        return cls(packs)

    @classmethod
    def mixed(cls, parts: "Sequence[tuple[Styles, float]]") -> "Styles":
        """Mixtures by weight; the weights add up to 1."""
        weights: dict[str, float] = {}
        for styles, weight in parts:
            for name, share in styles.packs:
                weights[name] = weights.get(name, 0.0) + share * weight
        return cls(tuple(weights.items()))

    def to_record(self) -> Record:
        return {"packs": [list(pair) for pair in self.packs]}


def language_of(pack: str) -> str:
    """``en`` of ``bf_emma``."""
    return LOCALES[pack[0]][0].partition("-")[0]


def voices_of(packs: Sequence[str]) -> tuple[Voice, ...]:
    """The voices of these packs that can be spoken with, American English first.

    Their ids are the names of their packs, by which other servers know them too.
    """
    offered = sorted((name for name in packs if language_of(name) in SPOKEN), key=lambda name: (name != _FIRST, name))
    plain = [name[3:].capitalize() for name in offered]
    return tuple(
        _voice(pack, name if plain.count(name) == 1 else f"{name} ({LOCALES[pack[0]][1]})")
        for pack, name in zip(offered, plain, strict=True)
    )


def _voice(pack: str, name: str) -> Voice:
    locale, language = LOCALES[pack[0]]
    gender = GENDERS[pack[1]]
    return Voice(
        id=pack,
        name=name,
        description=f"{language}, {gender}; one of Kokoro's own voices",
        language=language_of(pack),
        locale=locale,
        gender=gender,
        family=FAMILY,
        record=Styles(((pack, 1.0),)).to_record(),
        pronunciation="en-GB" if locale == "en-GB" else "",
    )

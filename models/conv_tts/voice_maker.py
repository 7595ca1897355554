"""Mixtures of voices, and voices as numbers. Without weights and without torch."""

import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import count

import numpy as np

from models.conv_tts.record import Character, Timbre
from models.voices import EMBEDDING_SIZE, Record, Voice, VoiceMaker

_MARK = (-0.40625, 0.71875)
"""Binary fractions, exact in every float format a client may keep them in; a weighted mean of vectors keeps them."""
_MOST_SPEAKERS = 24
_NUMBERS = tuple(field.name for field in fields(Character) if not field.name.startswith("cepstrum"))
_MOST_COEFFICIENTS = 24
_LARGEST = 4.0
"""No number of a character is larger: a factor of 55."""


class ConvTtsVoiceMaker(VoiceMaker):
    """See `models.voices.VoiceMaker`.

    The numbers of a voice are a mark, the language, the weight of each speaker and the character: the voice itself. They
    are linear, so the mean of two vectors is the voice between. A voice with a network of its own has none.
    """

    def __init__(self, voices: Sequence[Voice]) -> None:
        """``voices`` are those that the model has."""
        timbres = [(voice, Timbre.of(voice.record)) for voice in voices]
        self._known = frozenset((timbre.network, name) for _, timbre in timbres for name, _ in timbre.speakers)
        self._speakers = tuple(sorted(name for network, name in self._known if not network))
        self.locales = {voice.language: voice.locale for voice, timbre in reversed(timbres) if not timbre.network}

    def knows(self, voice: Voice) -> bool:
        """Whether its network and speakers are here."""
        timbre = Timbre.of(voice.record)
        return self._known.issuperset((timbre.network, name) for name, _ in timbre.speakers)

    def mix(self, parts: Sequence[tuple[Voice, float]]) -> Record:
        """ValueError: the voices have different networks."""
        timbres = [(Timbre.of(voice.record), weight) for voice, weight in parts]
        (network, *others) = {timbre.network for timbre, _ in timbres}
        if others:
            raise ValueError("a voice with a network of its own does not mix with others")
        speakers: dict[str, float] = {}
        for timbre, weight in timbres:
            for speaker, share in timbre.speakers:
                speakers[speaker] = speakers.get(speaker, 0.0) + share * weight
        character = Character.mixed([(timbre.character, weight) for timbre, weight in timbres])
        return Timbre(tuple(speakers.items()), character, network).to_record()

    def embed(self, voice: Voice) -> list[float] | None:
        timbre = Timbre.of(voice.record)
        if timbre.network:
            return None
        weights, character = dict(timbre.speakers), timbre.character
        numbers = [
            *_MARK,
            *((ord(letter) - 96) / 32 for letter in voice.language[:2]),
            *(weights.get(name, 0.0) for name in self._speakers),
            *(0.0,) * (_MOST_SPEAKERS - len(self._speakers)),
            *(getattr(character, name) for name in _NUMBERS),
            *character.cepstrum,
            *(0.0,) * (_MOST_COEFFICIENTS - len(character.cepstrum)),
            *character.cepstrum_movement,
        ]
        return numbers + [0.0] * (EMBEDDING_SIZE - len(numbers))

    def from_embedding(self, numbers: Sequence[float]) -> Voice | None:
        if any(not abs(number) <= _LARGEST for number in numbers) or math.dist(numbers[:2], _MARK) > 1e-3:
            return None
        language = "".join(chr(round(number * 32) + 96) for number in numbers[2:4] if number > 0)
        weights = np.array(numbers[4 : 4 + len(self._speakers)])
        if language not in self.locales or weights.min() < -1e-6 or abs(weights.sum() - 1) > 1e-3:
            return None
        rest = numbers[4 + _MOST_SPEAKERS :]
        cepstra = rest[len(_NUMBERS) :]
        character = Character(
            **dict(zip(_NUMBERS, rest, strict=False)),
            cepstrum=tuple(np.trim_zeros(cepstra[:_MOST_COEFFICIENTS], "b")),
            cepstrum_movement=_triangle(cepstra[_MOST_COEFFICIENTS:]),
        )
        shares = zip(self._speakers, weights / weights.sum(), strict=True)
        timbre = Timbre(tuple((name, float(share)) for name, share in shares if share > 0), character)
        words = {"id": "embedding", "name": "Embedding", "description": "A voice given by its numbers."}
        return timbre.to_voice(**words, language=language, locale=self.locales[language])


def _triangle(numbers: Sequence[float]) -> tuple[float, ...]:
    """The smallest triangle of a matrix that holds all that are not 0."""
    last = np.flatnonzero(numbers).max(initial=-1) + 1
    size = next(size for size in count() if size * (size + 1) // 2 >= last)
    return tuple(numbers[: size * (size + 1) // 2])

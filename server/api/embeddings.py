"""Voices as the 192 numbers that clients of 2024 read, keep, mix and send back instead of an id.

The numbers are the voice itself: its mixture of the model's speakers and its character. They are linear, so a client
that averages two vectors gets the voice between the two. Vectors that were not made here are refused. A voice with a
network of its own has no such numbers: its vector only says which voice it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from itertools import count

import numpy as np

from models.voices import Character, Voice
from server.storage.voices import Voices

EMBEDDING_SIZE = 192
_MARK = (-0.40625, 0.71875)
"""Binary fractions, exact in every float format a client may keep them in; a weighted mean of vectors keeps them."""
_MOST_SPEAKERS = 24
_NUMBERS = tuple(field.name for field in fields(Character) if not field.name.startswith("cepstrum"))
_MOST_COEFFICIENTS = 24
_DIGEST_BYTES = 16
_LARGEST = 4.0
"""No number of a character is larger: a factor of 55."""
_SAME = 1e-5


def embedding_of(voice: Voice, voices: Voices) -> list[float]:
    """The numbers of a voice: a mark, the language, the weight of each speaker, the character."""
    if voice.network:
        digest = hashlib.sha256(voice.id.encode("utf-8")).digest()[:_DIGEST_BYTES]
        return [*_MARK, *(0.0,) * (EMBEDDING_SIZE - len(_MARK) - len(digest)), *(byte / 256 for byte in digest)]
    weights = dict(voice.speakers)
    character = voice.character
    numbers = [
        *_MARK,
        *((ord(letter) - 96) / 32 for letter in voice.language[:2]),
        *(weights.get(name, 0.0) for name in voices.speakers),
        *(0.0,) * (_MOST_SPEAKERS - len(voices.speakers)),
        *(getattr(character, name) for name in _NUMBERS),
        *character.cepstrum,
        *(0.0,) * (_MOST_COEFFICIENTS - len(character.cepstrum)),
        *character.cepstrum_movement,
    ]
    return numbers + [0.0] * (EMBEDDING_SIZE - len(numbers))


def voice_of(embedding: Sequence[object], voices: Voices) -> Voice | None:
    """The voice in a vector made by `embedding_of`, or in a weighted mean of such; None for any other vector.

    A vector with the numbers of a known voice gives that voice, with its id and name.
    """
    numbers = [float(n) for n in embedding if isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= _LARGEST]
    if len(numbers) != EMBEDDING_SIZE or len(embedding) != EMBEDDING_SIZE:
        return None
    if any(abs(number - mark) > 1e-3 for number, mark in zip(numbers, _MARK, strict=False)):
        return None
    given = np.array(numbers)
    for voice in voices.list():
        if np.abs(given - embedding_of(voice, voices)).max() < _SAME:
            return voice
    language = "".join(chr(round(number * 32) + 96) for number in numbers[2:4] if number > 0)
    rest = numbers[4 + _MOST_SPEAKERS :]
    weights = np.array(numbers[4 : 4 + len(voices.speakers)])
    if language not in voices.made_languages() or weights.min() < -1e-6 or abs(weights.sum() - 1) > 1e-3:
        return None
    cepstra = rest[len(_NUMBERS) :]
    character = Character(
        **dict(zip(_NUMBERS, rest, strict=False)),
        cepstrum=tuple(np.trim_zeros(cepstra[:_MOST_COEFFICIENTS], "b")),
        cepstrum_movement=_triangle(cepstra[_MOST_COEFFICIENTS:]),
    )
    return Voice(
        id="embedding",
        name="Embedding",
        description="A voice given by its numbers.",
        language=language,
        locale=next(voice.locale for voice in voices.list() if voice.language == language and not voice.network),
        gender="",
        speakers=tuple((name, float(w)) for name, w in zip(voices.speakers, weights / weights.sum(), strict=True) if w > 0),
        character=character,
    )


def _triangle(numbers: Sequence[float]) -> tuple[float, ...]:
    """The smallest triangle of a matrix that holds all that are not 0."""
    last = np.flatnonzero(numbers).max(initial=-1) + 1
    size = next(size for size in count() if size * (size + 1) // 2 >= last)
    return tuple(numbers[: size * (size + 1) // 2])

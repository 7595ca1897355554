"""Voices as the 192 numbers that clients of 2024 send back instead of an id.

The models here have no such space. The numbers carry the id of a local voice,
one byte each, so that a client that reads ``voice["embedding"]`` and sends it
back unchanged gets the voice it read. Any other vector is refused.
"""

from collections.abc import Sequence

EMBEDDING_SIZE = 192
_MARK = (-0.40625, 0.71875)
"""Binary fractions, exact in every float format a client may keep them in."""


def embedding_of(voice_id: str) -> list[float]:
    """192 numbers in -1..1 for an id of at most 189 bytes."""
    encoded = voice_id.encode("utf-8")
    if len(encoded) > EMBEDDING_SIZE - 3:
        raise ValueError("voice id too long")
    numbers = [*_MARK, len(encoded) / 256, *(byte / 256 for byte in encoded)]
    return numbers + [0.0] * (EMBEDDING_SIZE - len(numbers))


def voice_id_of(embedding: Sequence[object]) -> str | None:
    """The id in a vector made by `embedding_of`, None for any other vector."""
    numbers = [number for number in embedding if isinstance(number, int | float)]
    if len(numbers) != EMBEDDING_SIZE or len(embedding) != EMBEDDING_SIZE:
        return None
    if any(abs(number - mark) > 1e-3 for number, mark in zip(numbers, _MARK, strict=False)):
        return None
    if not all(0 <= number < 1 for number in numbers[2:]):
        return None
    length, *encoded = (round(number * 256) for number in numbers[2:])
    try:
        return bytes(encoded[:length]).decode("utf-8")
    except ValueError:
        return None

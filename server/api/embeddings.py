"""Voices as the 192 numbers that clients of 2024 read, keep, mix and send back instead of an id.

The numbers are the voice itself where its family has such numbers (`models.voices.VoiceMaker.embed`): a client that averages
two vectors gets the voice between the two. The vector of any other voice only says which voice it is. Vectors that were not
made here are refused.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from models.voices import EMBEDDING_SIZE, Voice
from server.storage.voices import Voices

_MARK = (-0.40625, 0.71875)
"""Begins a vector that only says which voice it is. Binary fractions, exact in every float format a client may keep."""
_DIGEST_BYTES = 16
_SAME = 1e-5


def embedding_of(voice: Voice, voices: Voices) -> list[float]:
    """The numbers of a voice [EMBEDDING_SIZE]."""
    numbers = voices.makers[voice.family].embed(voice)
    if numbers is not None:
        return numbers
    digest = hashlib.sha256(voice.id.encode("utf-8")).digest()[:_DIGEST_BYTES]
    return [*_MARK, *(0.0,) * (EMBEDDING_SIZE - len(_MARK) - len(digest)), *(byte / 256 for byte in digest)]


def voice_of(embedding: Sequence[object], voices: Voices) -> Voice | None:
    """The voice in a vector made by `embedding_of`, or in a weighted mean of such; None for any other vector.

    A vector with the numbers of a known voice gives that voice, with its id and name.
    """
    numbers = [float(n) for n in embedding if isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n)]
    if len(numbers) != EMBEDDING_SIZE or len(embedding) != EMBEDDING_SIZE:
        return None
    given = np.array(numbers)
    for voice in voices.list():
        if np.abs(given - embedding_of(voice, voices)).max() < _SAME:
            return voice
    return next((made for maker in voices.makers.values() if (made := maker.from_embedding(numbers))), None)

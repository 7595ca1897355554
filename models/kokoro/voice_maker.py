"""Mixtures of voices, and voices as numbers. Without weights and without torch."""

import math
from collections.abc import Sequence

import numpy as np

from models.kokoro.config import FAMILY
from models.kokoro.record import Styles
from models.voices import EMBEDDING_SIZE, Record, Voice, VoiceMaker

_MARK = (0.34375, -0.78125)
"""Binary fractions, exact in every float format a client may keep them in; a weighted mean of vectors keeps them."""
_MOST_PACKS = 120
_PLACES = len(_MARK) + 2


class KokoroVoiceMaker(VoiceMaker):
    """See `models.voices.VoiceMaker`.

    The numbers of a voice are a mark, the language and the weight of each pack, in the order of their names. They are linear,
    so the mean of two vectors is the voice between.
    """

    def __init__(self, voices: Sequence[Voice]) -> None:
        """``voices`` are those that the model has."""
        self._voices = {pack: voice for voice in voices for pack, _ in Styles.of(voice.record).packs}
        self._packs = tuple(sorted(self._voices))[:_MOST_PACKS]
        self._locales = {voice.language: voice.locale for voice in reversed(voices)}

    def knows(self, voice: Voice) -> bool:
        """Whether all of its packs are here."""
        return self._voices.keys() >= {pack for pack, _ in Styles.of(voice.record).packs}

    def mix(self, parts: Sequence[tuple[Voice, float]]) -> Record:
        """Styles mix like numbers. Voices of one language only: `server.storage.voices` sees to that."""
        return Styles.mixed([(Styles.of(voice.record), weight) for voice, weight in parts]).to_record()

    def embed(self, voice: Voice) -> list[float] | None:
        weights = dict(Styles.of(voice.record).packs)
        if not weights.keys() <= set(self._packs):
            return None
        letters = [(ord(letter) - 96) / 32 for letter in voice.language[:2]]
        numbers = [*_MARK, *letters, *(weights.get(pack, 0.0) for pack in self._packs)]
        return numbers + [0.0] * (EMBEDDING_SIZE - len(numbers))

    def from_embedding(self, numbers: Sequence[float]) -> Voice | None:
        if any(not abs(number) <= 2 for number in numbers) or math.dist(numbers[: len(_MARK)], _MARK) > 1e-3:
            return None
        language = "".join(chr(round(number * 32) + 96) for number in numbers[len(_MARK) : _PLACES] if number > 0)
        end = _PLACES + len(self._packs)
        weights = np.array(numbers[_PLACES:end])
        if language not in self._locales or any(numbers[end:]):
            return None
        if weights.min() < -1e-6 or abs(weights.sum() - 1) > 1e-3:
            return None
        shares = zip(self._packs, np.maximum(weights, 0) / np.maximum(weights, 0).sum(), strict=True)
        packs = tuple((pack, float(share)) for pack, share in shares if share > 0)
        nearest = self._voices[max(packs, key=lambda pair: pair[1])[0]]
        return Voice(
            id="embedding",
            name="Embedding",
            description="A voice given by its numbers.",
            language=language,
            locale=nearest.locale if nearest.language == language else self._locales[language],
            gender="",
            family=FAMILY,
            record=Styles(packs).to_record(),
            pronunciation=nearest.pronunciation if nearest.language == language else "",
        )

"""Pronunciation of words that no lexicon lists: a small convolutional network run by NumPy.

Every letter gives two output slots; the slots are read as in connectionist
temporal classification (Graves et al. 2006): repeats merge, blanks vanish. The
weights are trained by ``training/letter_to_sound``, English on its lexicon, the other
languages on word lists; each file names its letters and its phones.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from models.phones import VOWELS
from server.text.pronunciation import PhoneWithStress, Pronunciation

SLOTS_PER_LETTER = 2
BLANK = 0


def output_classes(symbols: Sequence[str]) -> tuple[PhoneWithStress, ...]:
    """What the classes 1... mean: consonants, then each vowel unstressed, primary, secondary."""
    consonants = [PhoneWithStress(symbol) for symbol in symbols if symbol not in VOWELS]
    vowels = [PhoneWithStress(symbol, stress) for symbol in symbols if symbol in VOWELS for stress in (0, 1, 2)]
    return (*consonants, *vowels)


MAX_LETTERS = 64
ROWS_PER_PRODUCT = 12

Matrix = NDArray[np.float32]


class LetterToSound:
    """The trained network.

    Tensors: ``embedding`` [letters + 1, C]; per layer i ``layers.i.weight``
    [K, C, C] (tap, in, out) and ``layers.i.bias`` [C]; ``head.weight``
    [C, slots * (classes + 1)] and ``head.bias``. ``letters`` is the input
    alphabet (0 is padding, letter i has the code i + 1), ``phones`` the symbols
    that `output_classes` makes the classes of.
    """

    def __init__(self, tensors: dict[str, Matrix], letters: str, phones: Sequence[str]) -> None:
        self.letters = letters
        self._classes = output_classes(phones)
        widened = {name: np.asarray(value, dtype=np.float32) for name, value in tensors.items()}
        self._embedding = widened["embedding"]
        count = sum(name.endswith(".weight") for name in widened if name.startswith("layers."))
        self._layers = [(widened[f"layers.{index}.weight"], widened[f"layers.{index}.bias"]) for index in range(count)]
        self._head = (widened["head.weight"], widened["head.bias"])

    def pronounce(self, word: str) -> Pronunciation:
        """Phones of a lower-case word; letters it does not know are ignored, long ones read 64 letters at a time."""
        codes = [self.letters.index(char) + 1 for char in word if char in self.letters]
        phones: list[PhoneWithStress] = []
        for start in range(0, len(codes), MAX_LETTERS):
            phones += _one_primary_stress(*self._read_slots(self._scores(np.asarray(codes[start : start + MAX_LETTERS]))))
        return tuple(phones)

    def _scores(self, codes: NDArray[np.int64]) -> Matrix:
        """Class scores [letters * slots, classes + 1] for letter codes [letters]."""
        hidden = self._embedding[codes]
        for weight, bias in self._layers:
            hidden = hidden + np.maximum(_convolve(_rms_normalised(hidden), weight) + bias, 0.0)
        weight, bias = self._head
        scores = _product(_rms_normalised(hidden), weight) + bias
        return scores.reshape(len(codes) * SLOTS_PER_LETTER, len(self._classes) + 1).astype(np.float32)

    def _read_slots(self, scores: Matrix) -> tuple[list[PhoneWithStress], list[float]]:
        """Best class of each slot, repeats merged and blanks dropped; with the score of each phone."""
        best = scores.argmax(axis=1)
        phones: list[PhoneWithStress] = []
        confidence: list[float] = []
        previous = BLANK
        for slot, label in enumerate(best.tolist()):
            if label not in (BLANK, previous):
                phones.append(self._classes[label - 1])
                confidence.append(float(scores[slot, label]))
            previous = label
        return phones, confidence


def _rms_normalised(hidden: Matrix) -> Matrix:
    scale = np.sqrt(np.mean(hidden * hidden, axis=1, keepdims=True) + 1e-6)
    normalised: Matrix = hidden / scale
    return normalised


def _convolve(hidden: Matrix, weight: Matrix) -> Matrix:
    """Same-length convolution of [L, C] with [K, C, C]."""
    taps = weight.shape[0]
    padded = np.pad(hidden, ((taps // 2, taps // 2), (0, 0)))
    product = _product(padded[: len(hidden)], weight[0])
    for tap in range(1, taps):
        product += _product(padded[tap : tap + len(hidden)], weight[tap])
    return product


def _product(rows: Matrix, weight: Matrix) -> Matrix:
    """Matrix product in blocks so small that OpenBLAS stays on this thread.

    It wakes a thread per core above 2^18 multiplications; on a busy machine their
    barrier took 40 ms a word where the arithmetic takes 0.3 ms.
    """
    if len(rows) <= ROWS_PER_PRODUCT:
        product: Matrix = rows @ weight
        return product
    starts = range(0, len(rows), ROWS_PER_PRODUCT)
    return np.concatenate([rows[start : start + ROWS_PER_PRODUCT] @ weight for start in starts])


def _one_primary_stress(phones: list[PhoneWithStress], confidence: list[float]) -> Pronunciation:
    """Keep the surest primary stress, make others secondary; without any, stress the first vowel."""
    primary = [index for index, phone in enumerate(phones) if phone.stress == 1]
    if primary:
        kept = max(primary, key=lambda index: confidence[index])
        for index in primary:
            if index != kept:
                phones[index] = PhoneWithStress(phones[index].symbol, 2)
    else:
        vowel = next((index for index, phone in enumerate(phones) if phone.symbol in VOWELS), None)
        if vowel is not None:
            phones[vowel] = PhoneWithStress(phones[vowel].symbol, 1)
    return tuple(phones)


@cache
def letter_to_sound(language: str) -> LetterToSound:
    """The network of the package for a language, loaded once per process."""
    data = (files("server.text.pronunciations") / f"{language}.safetensors").read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    said = json.loads(data[8 : 8 + header_bytes])["__metadata__"]
    return LetterToSound(load(data), said["letters"], said["phones"].split())

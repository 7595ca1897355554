"""espeak-ng's pronunciations in the phones of `models.phones`: what the other languages' front ends learn from.

espeak-ng serves training alone; what it says about a word list or a sentence becomes data.
"""

import ctypes
from dataclasses import dataclass

from models.phones import PHONES, VOWELS
from server.text.pronunciation import PhoneWithStress, Pronunciation
from training.ears.synthesizers import Espeak

VOICE_OF = {
    "de": "gmw/de", "en-GB": "gmw/en-GB-x-rp", "es": "roa/es", "fr": "roa/fr", "it": "roa/it", "nl": "gmw/nl",
    "pt": "roa/pt-BR",
}  # fmt: skip
"""The accent of espeak-ng that stands for a language."""

_STRESS = {"ˈ": 1, "ˌ": 2}
_ANYWHERE = {
    "iː": "i", "uː": "u", "yː": "y", "øː": "ø", "eː": "e", "oː": "o", "ɑː": "aː", "ɔː": "ɔ", "ɜː": "ɜ", "ɪː": "ɪ",
    "eʊ": "e u", "iʊ": "i u", "ɛʊ": "ɛ u", "oɪ": "ɔɪ", "uɪ": "u i", "ɛɪ": "eɪ", "aɪə": "aɪ ə", "əl": "ə l",
    "n̩": "ə n", "l̩": "ə l",
    "ss": "s s", "t̪": "t", "d̪": "d", "pf": "p f", "tʲ": "t j", "iə": "ɪə", "eə": "ɛə", "tʃː": "tʃ tʃ", "dʒː": "dʒ dʒ",
    "tsː": "ts ts", "dzː": "dz dz", **{f"{plosive}ː": f"{plosive} {plosive}" for plosive in "ptkbdɡ"},
}  # fmt: skip
_BY_LANGUAGE = {
    "de": {"ɑ": "a", "ɜ": "ɐ", "ɾ": "ʁ", "r": "ʁ", "ɔø": "ɔɪ", "ʊɐ": "u ɐ", "i": "i"},
    "en-GB": {"a": "æ", "ɑː": "ɑ", "ɐ": "ə", "e": "ɛ"},
    "fr": {"y-": "y", "e-": "e", "a-": "a", "ə-": "ə", "ɑː": "a", "aː": "a"},
    "it": {"ɪ": "i", "ʊ": "u", "aː": "a", "ɑː": "a", "ɛː": "ɛ"},
    "nl": {"ʌʊ": "aʊ", "ɵ": "ʏ", "yʊ": "y u"},
    "pt": {"æ": "ɐ", "y": "ɪ", "aː": "a"},
    "es": {},
}
"""espeak-ng's symbols that are none of ours; ``ɾ`` of German is heard as the r of each speaker."""


def to_phones(symbol: str, language: str) -> tuple[str, ...] | None:
    """Our phones for one phoneme of espeak-ng without its stress mark; None if it is foreign to the language."""
    mapped = _BY_LANGUAGE[language].get(symbol) or _ANYWHERE.get(symbol, symbol)
    phones = tuple(mapped.split())
    return phones if all(phone in PHONES for phone in phones) else None


@dataclass(frozen=True, slots=True)
class Clause:
    """What espeak-ng says between two pauses, word by word. Short words may be one with their neighbour."""

    words: tuple[Pronunciation, ...]


class EspeakPhones(Espeak):
    """The synthesiser with its phonemes. One per process."""

    def __init__(self) -> None:
        super().__init__()
        self._to_phonemes = self._lib.espeak_TextToPhonemes
        self._to_phonemes.restype = ctypes.c_char_p
        self._to_phonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]

    def pronounce(self, text: str, language: str) -> list[Clause] | None:
        """The clauses of a text; None where a word was read as another language's."""
        self._lib.espeak_SetVoiceByName(VOICE_OF[language].encode())
        rest = ctypes.c_char_p(text.encode())
        clauses = []
        while rest.value:
            given = self._to_phonemes(ctypes.byref(rest), 1, 0x02 | ord("|") << 8)
            words = [read_phonemes(word, language) for word in given.decode().split()]
            if any(word is None for word in words):
                return None
            clauses.append(Clause(tuple(word for word in words if word)))
        return clauses


def read_phonemes(text: str, language: str) -> Pronunciation | None:
    """``ʃ|ˈaɪ|n`` in our phones, stress on the vowels; None for ``(en)`` and other foreign matter."""
    phones: list[PhoneWithStress] = []
    stress = 0
    for piece in text.split("|"):
        symbol = piece.lstrip("ˈˌ")
        stress = _STRESS[piece[0]] if piece[:1] in _STRESS else stress
        mapped = to_phones(symbol, language) if symbol else ()
        if mapped is None:
            return None
        for phone in mapped:
            phones.append(PhoneWithStress(phone, stress if phone in VOWELS else 0))
            stress = 0 if phone in VOWELS else stress
    return tuple(phones)

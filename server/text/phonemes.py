"""Phones that a text spells out, ``<<k|ɑ|ɹ|t|i|ʒ|ə>>``, mapped to the voice's inventory.

Accepted is the union of ordinary IPA with stress marks, of what the Montreal
Forced Aligner writes (aspiration, palatalisation and dental marks, ``aj aw ej
ow ɔj``), and of IPA with length marks. A phone that the language lacks becomes its
nearest phone there; what is no phone at all is dropped and reported.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.phones import ARPABET_TO_IPA, PAUSES, PHONES, VOWELS
from server.text.languages.language import Language
from server.text.pronunciation import PhoneWithStress, Pronunciation

_STRESS = {"ˈ": 1, "'": 1, "ˌ": 2}
_SEQUENCES = {
    "tʃ": ("tʃ",), "dʒ": ("dʒ",), "ʧ": ("tʃ",), "ʤ": ("dʒ",), "ʨ": ("tʃ",), "ʥ": ("dʒ",), "tɕ": ("tʃ",), "dʑ": ("dʒ",),
    "ʈʂ": ("tʃ",), "ts": ("t", "s"), "dz": ("d", "z"), "ʦ": ("t", "s"), "ʣ": ("d", "z"), "pf": ("p", "f"),
    "aɪ": ("aɪ",), "aʊ": ("aʊ",), "eɪ": ("eɪ",), "oʊ": ("oʊ",), "ɔɪ": ("ɔɪ",), "əʊ": ("oʊ",), "aj": ("aɪ",), "aw": ("aʊ",),
    "ej": ("eɪ",), "ow": ("oʊ",), "ɔj": ("ɔɪ",), "əw": ("oʊ",), "ai": ("aɪ",), "au": ("aʊ",), "ei": ("eɪ",), "ou": ("oʊ",),
    "ɔi": ("ɔɪ",), "oi": ("ɔɪ",), "ɑɪ": ("aɪ",), "ɑʊ": ("aʊ",), "ɔʏ": ("ɔɪ",), "ɛɪ": ("eɪ",), "œy": ("ɔɪ",), "ʌɪ": ("aɪ",),
    "ɪə": ("ɪ", "ɹ"), "ɛə": ("ɛ", "ɹ"), "eə": ("ɛ", "ɹ"), "ʊə": ("ʊ", "ɹ"), "ɜɹ": ("ɚ",), "əɹ": ("ɚ",), "ɜr": ("ɚ",),
    "ər": ("ɚ",), "n̩": ("ə", "n"), "l̩": ("ə", "l"), "m̩": ("ə", "m"), "ɹ̩": ("ɚ",),
    "ɝ": ("ɚ",), "ɜ": ("ɚ",), "ɘ": ("ə",), "ɵ": ("ə",), "ɐ": ("ʌ",), "a": ("ɑ",), "ɒ": ("ɑ",), "e": ("eɪ",), "o": ("oʊ",),
    "y": ("u",), "ʏ": ("ʊ",), "ø": ("ɚ",), "œ": ("ɚ",), "ɤ": ("ʌ",), "ɯ": ("u",), "ɨ": ("ɪ",), "ʉ": ("u",), "ᵻ": ("ɪ",),
    "ᵊ": ("ə",), "æ": ("æ",), "ɶ": ("æ",), "ɞ": ("ɚ",),
    "g": ("ɡ",), "r": ("ɹ",), "ɾ": ("t",), "ɽ": ("ɹ",), "ʀ": ("ɹ",), "ʁ": ("ɹ",), "ɻ": ("ɹ",), "ɺ": ("l",), "x": ("k",),
    "χ": ("h",), "ç": ("h",), "ħ": ("h",), "ɦ": ("h",), "ɥ": ("w",), "ʍ": ("w",), "ʋ": ("v",), "β": ("v",), "ɸ": ("f",),
    "ʎ": ("l", "j"), "ɲ": ("n", "j"), "ɳ": ("n",), "ɴ": ("ŋ",), "ɱ": ("m",), "ɫ": ("l",), "ɬ": ("l",), "ɭ": ("l",),
    "ʟ": ("l",), "c": ("k",), "ɟ": ("ɡ",), "q": ("k",), "ɢ": ("ɡ",), "ɣ": ("ɡ",), "ʈ": ("t",), "ɖ": ("d",), "ʂ": ("ʃ",),
    "ʐ": ("ʒ",), "ɕ": ("ʃ",), "ʑ": ("ʒ",), "ɓ": ("b",), "ɗ": ("d",), "ɠ": ("ɡ",), "ɹ": ("ɹ",), "ʕ": (), "ʔ": (),
}  # fmt: skip
_SYLLABIC, _NASAL = "\u0329", "\u0303"
_SILENT = frozenset("ʰʲʷˠˤⁿˡˑː:.|‿ ˞ʼ\u200d˥˦˧˨˩()")
_ARPABET = {name.upper(): symbol for name, symbol in ARPABET_TO_IPA.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Inventory:
    """What can be written for a language and the phones it stands for."""

    keys: Mapping[str, tuple[str, ...]]
    longest: int
    marks: str
    """Combining marks that tell phones apart."""


def _inventory(symbols: Iterable[str], marks: str, nearest: Mapping[str, str]) -> Inventory:
    written = _SEQUENCES | {symbol: (symbol,) for symbol in (*symbols, *nearest)}
    keys = {key: tuple(nearest.get(phone, phone) for phone in phones) for key, phones in written.items()}
    return Inventory(keys, max(map(len, keys)), marks)


ENGLISH = _inventory(ARPABET_TO_IPA.values(), _SYLLABIC, {})
BRITISH = _inventory(
    (*ARPABET_TO_IPA.values(), "ɒ", "ɜ", "əʊ", "ɪə", "ɛə", "ʊə"),
    _SYLLABIC,
    {"oʊ": "əʊ", "əw": "əʊ", "ɚ": "ə", "ɝ": "ɜ", "ɜɹ": "ɜ", "eə": "ɛə", "a": "æ", "e": "ɛ", "o": "ɔ", "ø": "ɜ", "œ": "ɜ"},
)
_OTHERS_NEVER_SAY = {
    "ɚ": "œ", "oʊ": "o", "ɐ̃": "ɑ̃", "ɐ̃ʊ̃": "ɔ̃", "õ": "ɔ̃", "ũ": "u", "œy": "ɔɪ", "ʋ": "v", "ʊə": "ʊ",
}  # fmt: skip
"""Phones of American English and of languages without voices: none of the other voices has learnt them."""


def inventory_of(language: Language) -> Inventory:
    """Every phone of the voices; those that this language never says in its own way."""
    nearest = {**_OTHERS_NEVER_SAY, **language.nearest_phones}
    return _inventory((phone for phone in PHONES if phone not in PAUSES), _SYLLABIC + _NASAL, nearest)


@dataclass(frozen=True, slots=True)
class ParsedPhonemes:
    """Phones in our inventory, and what could not be read."""

    phones: Pronunciation
    unknown: tuple[str, ...]


def parse_phonemes(text: str, inventory: Inventory = ENGLISH) -> ParsedPhonemes:
    """Read phones separated by ``|`` (or not at all); never fails."""
    phones: list[PhoneWithStress] = []
    unknown: list[str] = []
    stress = 0
    for piece in text.split("|"):
        stress = _read_piece(piece.strip(), inventory, stress, phones, unknown)
    reduced = inventory is ENGLISH and "ɐ" in text
    stressed = _with_primary_stress(phones)
    if reduced:  # MFA writes the weak vowel of "sofa" as ɐ
        stressed = [PhoneWithStress("ə") if phone == PhoneWithStress("ʌ") else phone for phone in stressed]
    return ParsedPhonemes(tuple(stressed), tuple(unknown))


def _read_piece(piece: str, inventory: Inventory, stress: int, phones: list[PhoneWithStress], unknown: list[str]) -> int:
    """Append the phones of one piece; gives the stress still waiting for a vowel."""
    arpabet = piece.rstrip("012")
    if arpabet in _ARPABET:
        symbol = "ə" if piece == "AH0" else _ARPABET[arpabet]
        phones += (_stressed(phone, int(piece[len(arpabet) :][:1] or 0)) for phone in inventory.keys[symbol])
        return stress
    plain = _without_marks(piece, inventory.marks)
    index = 0
    while index < len(plain):
        char = plain[index]
        if char in _STRESS:
            stress = _STRESS[char]
            index += 1
            continue
        size = next((size for size in range(inventory.longest, 0, -1) if plain[index : index + size] in inventory.keys), 0)
        if size == 0:
            if char not in _SILENT:
                unknown.append(char)
            index += 1
            continue
        for symbol in inventory.keys[plain[index : index + size]]:
            phones.append(_stressed(symbol, stress))
            stress = 0 if symbol in VOWELS else stress
        index += size
    return stress


def _without_marks(piece: str, kept_marks: str) -> str:
    """Strip diacritics that the language does not tell apart, keeping ç and the length that some do."""
    decomposed = unicodedata.normalize("NFD", piece).replace("c\u0327", "\u00e7")
    kept = (char for char in decomposed if char in kept_marks or not unicodedata.combining(char))
    return "".join(char for char in kept if char not in _SILENT or (char == "ː" and _NASAL in kept_marks))


def _stressed(symbol: str, stress: int) -> PhoneWithStress:
    return PhoneWithStress(symbol, stress if symbol in VOWELS else 0)


def _with_primary_stress(phones: list[PhoneWithStress]) -> list[PhoneWithStress]:
    """Where no stress is written, the first full vowel gets it."""
    if any(phone.stress for phone in phones):
        return phones
    vowels = [index for index, phone in enumerate(phones) if phone.symbol in VOWELS]
    chosen = next((index for index in vowels if phones[index].symbol != "ə"), vowels[0] if vowels else None)
    if chosen is not None:
        phones[chosen] = PhoneWithStress(phones[chosen].symbol, 1)
    return phones

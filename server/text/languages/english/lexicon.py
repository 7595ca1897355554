"""English pronunciations from the lexicon that the misaki package carries (Apache-2.0).

Only misaki's two JSON files are read; its Python code (and spaCy behind it) is
never imported. misaki writes IPA with capital letters for diphthongs, a flap,
a glottal stop and two reduced vowels. `phones_from_misaki` maps that to the
inventory of `models.phones`, where each phone is one ARPABET phoneme.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from itertools import islice

from models.phones import VOWELS
from server.text.pronunciation import PhoneWithStress, Pronunciation

_STRESS = {"ˈ": 1, "ˌ": 2}
_VOWELS_OF_MISAKI = frozenset("AIOWYiuæɑəɛɜɪɔʊʌᵊᵻ")
_TO_INVENTORY = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "ᵊ": "ə", "ᵻ": "ɪ", "ɜ": "ɚ",
    "ɾ": "t", "ʔ": "t", "ʧ": "tʃ", "ʤ": "dʒ",
}  # fmt: skip
_BRITISH = {
    "A": "eɪ", "I": "aɪ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "a": "æ", "ᵊ": "ə", "i": "ɪ", "ʧ": "tʃ", "ʤ": "dʒ",
    "iː": "i", "uː": "u", "ɑː": "ɑ", "ɔː": "ɔ", "ɜː": "ɜ", "əː": "ɜ", "ɛː": "ɛə", "ɪə": "ɪə", "ʊə": "ʊə",
}  # fmt: skip
_BRITISH_SYMBOL = re.compile("[iuɑɔɜəɛ]ː|[ɪʊ]ə|.")
LONGEST_WORD = 64
"""Longer spellings are not looked up (nor remembered)."""

_UNSEEN: Pronunciation = (PhoneWithStress(""),)
_VOICELESS = frozenset("p t k f θ".split())
_SIBILANTS = frozenset("s z ʃ ʒ tʃ dʒ".split())
_DOUBLED = re.compile(r"([bdfgklmnprtvz])\1$")


def phones_from_misaki(text: str) -> Pronunciation:
    """Map one misaki transcription, such as ``wˈɔɾəɹ``, to our phones: w ɔ1 t ɚ."""
    phones: list[PhoneWithStress] = []
    stress = 0
    index = 0
    while index < len(text):
        char = text[index]
        following = text[index + 1 : index + 2]
        index += 1
        if char in _STRESS:
            stress = _STRESS[char]
            continue
        symbol = _TO_INVENTORY.get(char, char)
        if char in "əɜ" and following == "ɹ" and not _r_opens_syllable(text, index, bool(phones)):
            symbol = "ɚ"
            index += 1
        if symbol in VOWELS:
            phones.append(PhoneWithStress(symbol, stress))
            stress = 0
        else:
            phones.append(PhoneWithStress(symbol))
            if char == "ʔ" and following == "n":  # "button" bˈʌʔn: its n is a syllable
                phones.append(PhoneWithStress("ə"))
    return tuple(phones)


def phones_from_british(text: str) -> Pronunciation:
    """Map one transcription of misaki's British list, such as ``kwˈɔːtəɹɪŋ``, to our phones."""
    phones: list[PhoneWithStress] = []
    stress = 0
    for given in _BRITISH_SYMBOL.findall(text):
        if given in _STRESS:
            stress = _STRESS[given]
            continue
        symbol = _BRITISH.get(given, given)
        phones.append(PhoneWithStress(symbol, stress if symbol in VOWELS else 0))
        stress = 0 if symbol in VOWELS else stress
    return tuple(phones)


def _r_opens_syllable(text: str, r_index: int, inside_word: bool) -> bool:
    """True for əɹ where ɹ belongs to the next vowel: "around" (ə ɹ aʊ1), unlike "letter" (ɚ)."""
    if text[r_index - 1] == "ɜ":
        return False
    after = text[r_index + 1 : r_index + 2]
    return after == "ˈ" or (not inside_word and (after in _VOWELS_OF_MISAKI or after == "ˌ") and after != "")


class Lexicon:
    """Look-up by spelling, with inflected forms derived where the list lacks them.

    Loading takes 0.2 s (6 MB of JSON); transcriptions are mapped when first used.
    Entries whose sound depends on the part of speech are chosen by ``part``:
    DEFAULT, NOUN, VERB, ADJ, VBD (past), FINAL (last word of a clause).
    """

    def __init__(self, region: str = "us", read: Callable[[str], Pronunciation] = phones_from_misaki) -> None:
        """``region`` is in the names of misaki's files, ``read`` maps one transcription of theirs."""
        data = files("misaki") / "data"
        self._read = read
        self._gold = _load(data.joinpath(f"{region}_gold.json").read_text(encoding="utf-8"))
        self._silver = _load(data.joinpath(f"{region}_silver.json").read_text(encoding="utf-8"))
        self._found: dict[tuple[str, str], Pronunciation | None] = {}

    def find(self, word: str, part: str = "DEFAULT") -> Pronunciation | None:
        """Pronunciation of one word (letters and inner apostrophes), or None if unknown."""
        key = (word, part)
        if len(word) > LONGEST_WORD:
            return None
        found = self._found.get(key, _UNSEEN)
        if found is _UNSEEN:
            if len(self._found) > 200_000:  # bounds the memory of a long-lived server
                self._found.clear()
            found = self._found[key] = self._listed(word, part) or self._inflected(word, part)
        return found

    def has_variants(self, word: str) -> bool:
        """Whether the word sounds different by part of speech."""
        return isinstance(self._entry(word), dict)

    def acronym(self, word: str) -> Pronunciation | None:
        """Pronunciation of capitals that are listed as such and read as a word (NASA)."""
        entry = self._gold.get(word)
        return self._read(entry) if isinstance(entry, str) else None

    def spellings(self, stride: int = 1) -> Mapping[str, Pronunciation]:
        """Every plain word of the list, or a sample of every ``stride``-th (training of letter-to-sound)."""
        found: dict[str, Pronunciation] = {}
        for table in (self._silver, self._gold):
            for word in islice(table, 0, None, stride):
                if word.isascii() and word.isalpha() and word[1:] == word[1:].lower() and len(word) > 1:
                    phones = self._listed(word, "DEFAULT")
                    if phones:
                        found[word.lower()] = phones
        return found

    def _entry(self, word: str) -> str | dict[str, str | None] | None:
        for form in dict.fromkeys((word, word.lower(), word.capitalize())):
            for table in (self._gold, self._silver):
                if form in table:
                    return table[form]
        return None

    def _listed(self, word: str, part: str) -> Pronunciation | None:
        if len(word) == 1 and word.lower() not in "ai":
            return None
        entry = self._entry(word)
        if isinstance(entry, dict):
            part = {"FINAL": "None"}.get(part, part)
            if part == "VBD" and "VBD" not in entry:
                part = "VERB"
            entry = entry.get(part) or entry["DEFAULT"]
        return self._read(entry) if entry else None

    def _inflected(self, word: str, part: str) -> Pronunciation | None:
        lower = word.lower()
        for suffix, add in (("s", _add_s), ("ed", _add_ed), ("ing", _add_ing)):
            if lower.endswith(suffix) and len(lower) > len(suffix) + 1:
                for stem in _stems(lower, suffix):
                    phones = self._listed(stem, part)
                    if phones:
                        return add(phones)
        return None


def _load(text: str) -> dict[str, str | dict[str, str | None]]:
    table: dict[str, str | dict[str, str | None]] = json.loads(text)
    return table


def _stems(word: str, suffix: str) -> list[str]:
    """Spellings that may carry the suffix, most likely first."""
    if suffix == "s":
        if word.endswith(("'s", "s'")):
            return [word[:-2], word[:-1]]
        if word.endswith("ss"):
            return []
        stems = [word[:-1]]
        if word.endswith("ies"):
            stems.append(word[:-3] + "y")
        elif word.endswith("es"):
            stems.append(word[:-2])
        return stems
    base = word[: -len(suffix)]
    stems = [base, base + "e"]
    if _DOUBLED.search(base):
        stems.append(base[:-1])
    if suffix == "ed" and base.endswith("i"):
        stems.append(base[:-1] + "y")
    return stems


def _add_s(phones: Pronunciation) -> Pronunciation:
    last = phones[-1].symbol
    if last in _SIBILANTS:
        return (*phones, PhoneWithStress("ɪ"), PhoneWithStress("z"))
    return (*phones, PhoneWithStress("s" if last in _VOICELESS else "z"))


def _add_ed(phones: Pronunciation) -> Pronunciation:
    last = phones[-1].symbol
    if last in ("t", "d"):
        return (*phones, PhoneWithStress("ɪ"), PhoneWithStress("d"))
    voiceless = last in _VOICELESS or last in ("s", "ʃ", "tʃ")
    return (*phones, PhoneWithStress("t" if voiceless else "d"))


def _add_ing(phones: Pronunciation) -> Pronunciation:
    return (*phones, PhoneWithStress("ɪ"), PhoneWithStress("ŋ"))


@cache
def english_lexicon() -> Lexicon:
    """The American lexicon, loaded once per process."""
    return Lexicon()


@cache
def british_lexicon() -> Lexicon:
    """The British lexicon, loaded once per process."""
    return Lexicon("gb", phones_from_british)

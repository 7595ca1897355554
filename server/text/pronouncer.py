"""Words to phones in the languages besides English: a small lexicon, then letter-to-sound, then what words do to each other."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from anyascii import anyascii

from server.text.languages.language import Language
from server.text.letter_to_sound import letter_to_sound
from server.text.pronunciation import PhoneWithStress, Pronunciation

_SYLLABIC_LETTERS = frozenset("aeiouy")


class Pronouncer:
    """One language's words. Safe to share between threads."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._lexicon = _read_lexicon(language.code)
        self._network = letter_to_sound(language.code)
        self._known: dict[str, Pronunciation] = {}

    def pronounce_words(self, words: Sequence[str]) -> list[Pronunciation]:
        """Phones of each word of one clause. Never fails: what has no letter in it gives an empty pronunciation."""
        return self._language.join([word.lower() for word in words], [self._pronounce(word) for word in words])

    def _pronounce(self, word: str) -> Pronunciation:
        found = self._known.get(word)
        if found is None:
            if len(self._known) > 100_000:  # bounds the memory of a long-lived server
                self._known.clear()
            found = self._known[word] = self._find(word)
        return found

    def _find(self, word: str) -> Pronunciation:
        if len(word) == 2 and word[1] == ".":
            return self._letter(word[0].lower())
        plain = word.lower()
        if plain in self._lexicon:
            return self._lexicon[plain]
        plain = "".join(self._known_letters(char) for char in plain)
        if plain in self._lexicon:
            return self._lexicon[plain]
        if "-" in plain:
            return tuple(phone for part in plain.split("-") if part for phone in self._pronounce(part))
        letters = [char for char in plain if char.isalpha()]
        if not letters:
            return ()
        head, apostrophe, tail = plain.partition("'")
        if tail and "'" not in self._network.letters:
            return self._pronounce(head) + self._pronounce(tail)
        if tail and head in self._language.elisions:
            return self._pronounce(head + apostrophe) + self._pronounce(tail)
        spelled = word.isupper() and len(letters) > 1 and len(letters) < 6
        if not plain.endswith("'") and (len(letters) == 1 or (spelled and not _SYLLABIC_LETTERS & set(anyascii(plain)))):
            return tuple(phone for char in letters for phone in self._letter(char))
        return self._network.pronounce(plain)

    def _letter(self, letter: str) -> Pronunciation:
        """The letter's name; that of the plain letter where an accented one has none."""
        named = self._lexicon.get(f"{letter}.")
        if named is None:
            plain = anyascii(letter).lower()
            parts = [self._lexicon.get(f"{char}.", ()) for char in plain]
            return tuple(phone for part in parts for phone in part)
        return named

    def _known_letters(self, char: str) -> str:
        """The letter as the network knows it: without a foreign accent, in the Latin script, an apostrophe straight."""
        if char in self._network.letters or char in "-'":
            return char
        if char in "’ʼ":
            return "'"
        base = unicodedata.normalize("NFD", char)[:1]
        return base if base in self._network.letters else anyascii(char).lower()


def _read_lexicon(code: str) -> dict[str, Pronunciation]:
    """``word<TAB>phones``, a vowel's stress behind it; what the network gets wrong, and the letters' names."""
    text = (files("server.text.pronunciations") / f"{code}.txt").read_text(encoding="utf-8")
    entries = (line.split("\t") for line in text.splitlines())
    return {word: tuple(_phone(shown) for shown in phones.split()) for word, phones in entries}


def _phone(shown: str) -> PhoneWithStress:
    stressed = shown[-1] in "12"
    return PhoneWithStress(shown[:-1], int(shown[-1])) if stressed else PhoneWithStress(shown)


@cache
def pronouncer_of(language: Language) -> Pronouncer:
    """Loaded once per process."""
    return Pronouncer(language)

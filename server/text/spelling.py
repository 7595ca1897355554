"""``<spell>``: text read character by character."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from anyascii import anyascii

from server.text.languages.english import numbers
from server.text.normalize.tokens import PauseMark, SpokenToken, Token

_ENGLISH_NAMES = {
    "@": "at", ".": "dot", "_": "underscore", "/": "slash", "\\": "backslash", "+": "plus", "#": "hash", "&": "and",
    "*": "star", "=": "equals", "%": "percent", "$": "dollar", "'": "apostrophe", "!": "exclamation mark",
    "?": "question mark", "<": "less than", ">": "greater than", "~": "tilde", "^": "caret", "|": "bar", "£": "pound",
    "€": "euro", "°": "degree",
}  # fmt: skip
_GROUP_ENDS = frozenset('-–—,;:()[]{}"')


@dataclass(frozen=True, slots=True)
class SpokenSigns:
    """How a language says what is no letter."""

    names: Mapping[str, str]
    digits: Callable[[str], str]
    ascii_letters: bool = False
    """Whether accented letters have no name of their own."""

    def name(self, char: str) -> str:
        """Words for one character, letters as ``A.``; empty for what is not said."""
        if char in self.names:
            return self.names[char]
        if char.isdecimal():
            return self.digits(str(unicodedata.decimal(char)))
        if not char.isalpha():
            return ""
        if self.ascii_letters:
            return " ".join(f"{letter.upper()}." for letter in anyascii(char) if letter.isalpha())
        return f"{char.upper() if len(char.upper()) == 1 else char}."


ENGLISH_SIGNS = SpokenSigns(_ENGLISH_NAMES, numbers.digits, ascii_letters=True)


def spell(text: str, signs: SpokenSigns = ENGLISH_SIGNS) -> list[Token]:
    """Letters by name, digits one by one, signs by name; hyphens and spaces pause."""
    tokens: list[Token] = []
    for position, char in enumerate(text):
        if char in _GROUP_ENDS or char.isspace():
            if tokens and not isinstance(tokens[-1], PauseMark):
                tokens.append(PauseMark(",", position))
            continue
        tokens += [SpokenToken(name, position, position + 1) for name in signs.name(char).split()]
    return tokens

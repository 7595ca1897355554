"""``<spell>``: text read character by character."""

import unicodedata

from anyascii import anyascii

from server.text.normalize import numbers
from server.text.normalize.tokens import PauseMark, SpokenToken, Token

_NAMES = {
    "@": "at", ".": "dot", "_": "underscore", "/": "slash", "\\": "backslash", "+": "plus", "#": "hash", "&": "and",
    "*": "star", "=": "equals", "%": "percent", "$": "dollar", "'": "apostrophe", "!": "exclamation mark",
    "?": "question mark", "<": "less than", ">": "greater than", "~": "tilde", "^": "caret", "|": "bar", "£": "pound",
    "€": "euro", "°": "degree",
}  # fmt: skip
_GROUP_ENDS = frozenset('-–—,;:()[]{}"')


def spell(text: str) -> list[Token]:
    """Letters by name, digits one by one, signs by name; hyphens and spaces pause."""
    tokens: list[Token] = []
    for position, char in enumerate(text):
        if char in _GROUP_ENDS or char.isspace():
            if tokens and not isinstance(tokens[-1], PauseMark):
                tokens.append(PauseMark(",", position))
            continue
        tokens += [SpokenToken(name, position, position + 1) for name in _names(char).split()]
    return tokens


def _names(char: str) -> str:
    if char in _NAMES:
        return _NAMES[char]
    if char.isdecimal():
        return numbers.digits(str(unicodedata.decimal(char)))
    if char.isalpha():
        return " ".join(f"{letter.upper()}." for letter in anyascii(char) if letter.isalpha())
    return ""

"""What a normaliser gives: words to speak and pauses, each with the span it came from."""

import unicodedata
from dataclasses import dataclass
from functools import cache

from server.text.pronunciation import Pronunciation

Part = tuple[str, int, int]
"""A phrase of spoken words and the characters it stands for: (phrase, start, end)."""


@dataclass(frozen=True, slots=True)
class SpokenToken:
    """One word to speak. ``say`` is what `pronounce_words` reads; a letter's name is ``F.``."""

    say: str
    start: int
    end: int
    phones: Pronunciation | None = None
    """Set where the text spelled the phones out; ``say`` is then only shown."""

    @property
    def text(self) -> str:
        """The word as people read it."""
        return self.say[0] + self.say[2:] if self.say[1:2] == "." else self.say


@dataclass(frozen=True, slots=True)
class PauseMark:
    """A pause, one of ``, . ? !``, where punctuation stood."""

    symbol: str
    position: int


Token = SpokenToken | PauseMark


def tokens_of(parts: list[Part]) -> list[Token]:
    """One token per word of each phrase; a lone comma is a pause."""
    return [
        PauseMark(",", start) if word == "," else SpokenToken(word, start, end)
        for phrase, start, end in parts
        for word in phrase.split()
    ]


_KEPT = frozenset("²³¹½⅓⅔¼¾⅛⅜⅝⅞…°µΩ€£¥¢§©®™×÷±≈≤≥≠√∞")
_FOLDED = {
    "‘": "'", "’": "'", "ʼ": "'", "′": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "″": '"', "«": '"', "»": '"',
    "‐": "-", "‑": "-", "‒": "–", "―": "—", "−": "-", "⁄": "/", "∕": "/", "·": " ", "•": " ", "‣": " ",
    "。": ".", "、": ",", "！": "!", "？": "?", "؟": "?", "،": ",", "¿": " ", "¡": " ", "μ": "µ", "℃": "℃",
    "\u2028": "\n", "\u2029": "\n", "\r": "\n", "\x0b": " ", "\x0c": " ",
}  # fmt: skip


@cache
def _fold_char(char: str) -> str:
    if char in _FOLDED:
        return _FOLDED[char]
    if char in _KEPT or char.isalpha():
        compatible = unicodedata.normalize("NFKC", char) if char not in _KEPT else char
        return compatible if len(compatible) == 1 else char
    if char.isspace():
        return " "
    compatible = unicodedata.normalize("NFKC", char)
    return compatible if len(compatible) == 1 else char


def fold(text: str) -> str:
    """Typographic variants as ASCII, character by character, so that offsets keep their meaning."""
    if text.isascii() and "\r" not in text:
        return text
    return "".join(char if "\x1f" < char < "\x7f" or char == "\n" else _fold_char(char) for char in text)

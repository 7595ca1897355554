"""The text being normalised, with cheap looks at the words on either side of a position."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from server.text.normalize.tokens import Part

WORD = re.compile(r"[^\W\d_][̀-ͯ]*+(?:'?[^\W\d_][̀-ͯ]*+)*+")
"""Letters with inner apostrophes (combining accents allowed)."""

_LOOK = 40
_NEXT_WORD = re.compile(r"[\s\"'(]*+([^\W_]+)")
_PREVIOUS_WORD = re.compile(r"([^\W_]++(?:'[^\W\d_]++)?)[\s\"'(.,:#-]*$")


@dataclass(frozen=True, slots=True)
class Source:
    """Folded text of one run, read left to right by the rules."""

    text: str
    day_first: bool = False
    """Whether 05/12 is the fifth of December (locales other than en-US)."""
    shouting: bool = False
    """Most words are capitals, so capitals do not mark acronyms."""

    def previous_word(self, position: int) -> str:
        """The word before, as written, or "" (looks 40 characters back)."""
        found = _PREVIOUS_WORD.search(self.text[max(0, position - _LOOK) : position])
        return found[1] if found else ""

    def next_word(self, position: int) -> str:
        """The word after, as written, or ""."""
        found = _NEXT_WORD.match(self.text, position, position + _LOOK)
        return found[1] if found else ""

    def char(self, position: int) -> str:
        """The character there, "" outside."""
        return self.text[position] if 0 <= position < len(self.text) else ""


Reading = tuple[list[Part], int]
"""What a rule made of the text: parts to speak, and where it stopped reading."""

Rule = Callable[[Source, int], Reading | None]
"""Looks at one position; None if the rule does not apply there. Work must be bounded or linear."""

NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?![\d])|\d++)(?:\.\d++)?"
"""A number with optional thousands commas and decimals; never backtracks over its digits."""

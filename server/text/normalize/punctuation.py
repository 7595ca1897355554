"""Punctuation that nothing spoke: a pause, or silent, by what stands around it."""

import re

from server.text.normalize.source import Source
from server.text.normalize.tokens import PauseMark

_DASHES = re.compile(r"\s*(?:-{2,}|[—–]|(?<=\s)-(?=\s))")


_PAUSES = {",": ",", ";": ",", ":": ",", "!": "!", "?": "?", "…": ",", "(": ",", ")": ",", "—": ","}
_ELLIPSIS = re.compile(r"\.{2,}|…")
_LOWER_FOLLOWS = re.compile(r"\s*[a-z]")


def punctuation(source: Source, position: int) -> tuple[PauseMark | None, int]:
    """The pause (if any) at a character that nothing spoke, and where to go on."""
    text, char = source.text, source.text[position]
    ellipsis = _ELLIPSIS.match(text, position)
    if ellipsis:
        mark = "," if _LOWER_FOLLOWS.match(text, ellipsis.end()) else "."
        return PauseMark(mark, position), ellipsis.end()
    if char == "\n":
        return _line_break(source, position)
    dashes = _DASHES.match(text, position)
    if dashes:
        return PauseMark(",", position), dashes.end()
    if char == ".":
        ends = not source.char(position + 1).isdecimal()
        return (PauseMark(".", position) if ends else None), position + 1
    if char == "/" and text[max(0, position - 1) : position + 2] == " / ":
        return PauseMark(",", position), position + 1
    if char in ":," and source.char(position - 1).isdecimal() and source.char(position + 1).isdecimal():
        return None, position + 1
    return (PauseMark(_PAUSES[char], position) if char in _PAUSES else None), position + 1


def _line_break(source: Source, position: int) -> tuple[PauseMark | None, int]:
    """An empty line or the head of a list item ends the sentence; a single line break is a space."""
    end = position + 1
    blank = False
    while source.char(end) in ("\n", " ", "\t") and source.char(end):
        blank = blank or source.char(end) == "\n"
        end += 1
    head = LIST_HEAD.match(source.text, position + 1)
    mark = PauseMark(".", position) if blank or head else None
    return mark, end


LIST_HEAD = re.compile(r"[ \t]*(?:[-*+•][ \t]|#{1,6}[ \t]|\d{1,3}[.)][ \t])")
"""Start of a Markdown list item or heading."""

"""Telephone numbers, card numbers and other identifiers: digits, with a pause between groups."""

import re

from server.text.languages.english import numbers
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part

_GAP = r"[ .\-]"
_NORTH_AMERICAN = re.compile(
    rf"(?:\+?1{_GAP}?)?(?:\(\d{{3}}\)\s?|\d{{3}}{_GAP})\d{{3}}{_GAP}\d{{4}}(?:\s?(?:x|ext\.?)\s?\d{{1,6}})?(?![\w]|[.\-]\d)"
)
_INTERNATIONAL = re.compile(r"\+\d{1,3}(?:[ .\-]?\(?\d{1,5}\)?){1,6}+(?![\w])")
_LOCAL = re.compile(r"[2-9]\d{2}-\d{4}(?![\w-]|\.\d)")
_GROUPED = re.compile(r"\d{4}(?:[ -]\d{4}){2,4}+(?![\w-])|\d{3}-\d{2}-\d{4}(?![\w-])|\d{5}-\d{4}(?![\w-])")
_GROUP = re.compile(r"\d+|ext|x")
_CUES = frozenset(
    "code pin extension ext zip passcode password otp id account routing serial tracking postcode confirmation".split()
)
_RUN = re.compile(r"\d{3,10}(?![\w]|[.,:/-]\d)")
_ERAS = frozenset(("AD", "BC", "CE", "BCE", "IN", "OF", "BY"))
_PAIR_CUES = frozenset("boeing airbus flight route highway interstate".split())


def _grouped(found: re.Match[str]) -> Reading:
    parts: list[Part] = []
    for group in _GROUP.finditer(found[0]):
        start, end = found.start() + group.start(), found.start() + group.end()
        if not group[0].isdecimal():
            phrase = "extension"
        elif group[0] == "800" and len(parts) < 2:
            phrase = "eight hundred"
        else:
            phrase = numbers.digits(group[0])
        if found[0].startswith("+") and not parts:
            phrase = "plus " + phrase
            start -= 1
        parts.append((f", {phrase}" if parts else phrase, start, end))
    return parts, found.end()


def phone_number(source: Source, position: int) -> Reading | None:
    """``555-123-4567``, ``+1 (555) 123-4567``, ``+44 20 7946 0958``, ``555-1234``."""
    for pattern in (_NORTH_AMERICAN, _INTERNATIONAL, _LOCAL):
        found = pattern.match(source.text, position)
        if found and (pattern is not _INTERNATIONAL or sum(char.isdecimal() for char in found[0]) >= 7):
            return _grouped(found)
    return None


def identifier(source: Source, position: int) -> Reading | None:
    """Card and social security numbers; digits after "code", "PIN"...; "flight 747" in pairs."""
    found = _GROUPED.match(source.text, position)
    if found:
        return _grouped(found)
    found = _RUN.match(source.text, position)
    if not found:
        return None
    previous = source.previous_word(position).lower()
    if previous == "is":
        cue = source.text[max(0, position - 24) : position].lower().replace(" is", "").split()
        previous = cue[-1].strip(":,") if cue else ""
    if previous in _CUES:
        return [(numbers.digits(found[0]), position, found.end())], found.end()
    written = source.previous_word(position)
    if len(found[0]) == 5 and len(written) == 2 and written.isupper():  # a state and its ZIP code
        return [(numbers.digits(found[0]), position, found.end())], found.end()
    model = len(found[0]) == 4 and len(written) in (2, 3) and written.isupper() and written.isalpha() and written not in _ERAS
    if model or (previous in _PAIR_CUES and len(found[0]) in (3, 4)):
        return [(numbers.pairs(found[0]), position, found.end())], found.end()
    return None

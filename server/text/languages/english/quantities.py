"""Numbers without a unit: ordinals, fractions, ranges, versions, years, plain numbers."""

import re

from server.text.languages.english import numbers
from server.text.languages.english.dates import MONTHS
from server.text.normalize.numerals import VULGAR_FRACTIONS
from server.text.normalize.source import NUMBER, Reading, Source

_FRACTION = re.compile(r"(?:(?P<whole>\d{1,6})\s)?(?P<top>\d{1,4})/(?P<bottom>\d{1,4})(?![\w/]|\.\d)")
_SAID_AS_PAIR = frozenset(("24/7", "9/11", "50/50", "20/20", "60/40", "80/20"))
_DATE_CUES = frozenset("on by due until till before after since from through starting ending dated date".split())
_DAYS_RATHER_THAN_FRACTIONS = frozenset((11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31))
_VULGAR = re.compile(rf"(\d{{0,6}})\s?([{VULGAR_FRACTIONS}])")
_ORDINAL = re.compile(r"(\d{1,3}(?:,\d{3})++|\d{1,15})(?:st|nd|rd|th)\b", re.IGNORECASE)
_VERSION = re.compile(r"\d{1,5}(?:\.\d{1,5}){2,6}+(?!\w)")
_RANGE = re.compile(rf"(?P<low>{NUMBER})(?P<gap>\s?)(?P<dash>[-–—])\s?(?P<high>{NUMBER})(?!\w*[-–]\d)(?!\s?=)")
_BY = re.compile(rf"({NUMBER})(?:\s?x\s?|×)(?=\d)")
_RATIO = re.compile(r"(\d{1,4}):(\d{1,4})(?![\d:])")
_NUMBER = re.compile(rf"{NUMBER}")
_YEAR = re.compile(r"(?:1\d|20)\d{2}(?![\w%°]|[.,]\d)")
_YEAR_CUES = frozenset(
    "in since by from until till of during circa year before after around between and to early late mid fall spring summer"
    " winter autumn january february march april may june july august september october november december".split()
)
_COUNTED = re.compile(r"\s(?:[a-z]+s\b|people\b|percent\b|men\b|women\b|children\b|of\b)")


def fraction(source: Source, position: int) -> Reading | None:
    """``3/4``, ``2 1/2``, ``2½``; ``24/7`` as two numbers."""
    vulgar = _VULGAR.match(source.text, position)
    if vulgar:
        return [(numbers.vulgar_fraction(vulgar[2], vulgar[1]), position, vulgar.end())], vulgar.end()
    found = _FRACTION.match(source.text, position)
    if not found:
        return None
    if not found["whole"] and found[0] in _SAID_AS_PAIR:
        return [(f"{numbers.cardinal(found['top'])} {numbers.cardinal(found['bottom'])}", position, found.end())], found.end()
    top, bottom = int(found["top"]), int(found["bottom"])
    if bottom == 0:
        return None
    if not found["whole"] and _is_month_and_day(source, position, top, bottom):
        month, day = (bottom, top) if source.day_first or top > 12 else (top, bottom)
        return [(f"{MONTHS[month - 1]} {numbers.ordinal(str(day))}", position, found.end())], found.end()
    if not found["whole"]:
        return [(numbers.fraction(top, bottom), position, found.end())], found.end()
    if top >= bottom:
        return None
    first, _, rest = numbers.mixed_fraction(found["whole"], top, bottom).partition(" and ")
    return [(first, position, found.end("whole")), (f"and {rest}", found.start("top"), found.end())], found.end()


def _is_month_and_day(source: Source, position: int, top: int, bottom: int) -> bool:
    """``on 12/25``: a date after words of time, or where the fraction would be a strange one."""
    if not (1 <= min(top, bottom) <= 12 and max(top, bottom) <= 31):
        return False
    dated = source.previous_word(position).lower() in _DATE_CUES
    return dated or (top <= 12 and bottom in _DAYS_RATHER_THAN_FRACTIONS)


def ordinal(source: Source, position: int) -> Reading | None:
    """``21st``."""
    found = _ORDINAL.match(source.text, position)
    return ([(numbers.ordinal(found[1]), position, found.end())], found.end()) if found else None


def version(source: Source, position: int) -> Reading | None:
    """``1.2.3`` one point two point three; four groups (network addresses) with "dot"."""
    found = _VERSION.match(source.text, position)
    if not found:
        return None
    groups = found[0].split(".")
    joint = " dot " if len(groups) == 4 else " point "
    read = numbers.digits if len(groups) == 4 else numbers.cardinal
    return [(joint.join(read(group) for group in groups), position, found.end())], found.end()


def span(source: Source, position: int) -> Reading | None:
    """The lower end of ``10-20``, ``1990–1995``, ``10 - 20`` and the word "to"; the upper end is read next."""
    found = _RANGE.match(source.text, position)
    if not found or source.char(position - 1) == "-":
        return None
    low, high = found["low"].replace(",", ""), found["high"].replace(",", "")
    if found["gap"] and found["dash"] == "-" and float(low[:30]) >= float(high[:30]):
        return None  # "5 - 3" is a difference
    years = len(low) == 4 and len(high) in (2, 4) and _is_year(low)
    phrase = numbers.year(low) if years else numbers.number(found["low"])
    end = found.start("high")
    if years and len(high) == 2:  # "1990-95"
        return [(f"{phrase} to {numbers.year(high)}", position, found.end())], found.end()
    if found["gap"]:
        return [(phrase, position, found.end("low")), ("to", found.start("dash"), found.end("dash"))], end
    return [(f"{phrase} to", position, found.end("dash"))], end


def dimensions(source: Source, position: int) -> Reading | None:
    """The first side of ``1920x1080`` and the word "by"."""
    found = _BY.match(source.text, position)
    if found and found[1] == "0":  # a hexadecimal number
        return None
    return ([(f"{numbers.number(found[1])} by", position, found.end())], found.end()) if found else None


def ratio(source: Source, position: int) -> Reading | None:
    """``3:1`` three to one."""
    found = _RATIO.match(source.text, position)
    if not found:
        return None
    return [(f"{numbers.cardinal(found[1])} to {numbers.cardinal(found[2])}", position, found.end())], found.end()


def _is_year(text: str) -> bool:
    return text.isdecimal() and 1100 <= int(text) <= 2099


def plain(source: Source, position: int) -> Reading | None:
    """Years by their neighbours, else a cardinal or decimal number."""
    found = _YEAR.match(source.text, position)
    if found:
        cued = source.previous_word(position).lower() in _YEAR_CUES
        counted = _COUNTED.match(source.text, found.end())
        known = cued or int(found[0]) >= 1100
        if known and (not counted or (cued and counted[0] == " of")):
            return [(numbers.year(found[0]), position, found.end())], found.end()
    return plain_number(source, position)


def plain_number(source: Source, position: int) -> Reading | None:
    """A number as a number, whatever stands around it (also with normalisation off)."""
    found = _NUMBER.match(source.text, position)
    if not found:
        return None
    return [(numbers.number(found[0]), position, found.end())], found.end()


_LEADING_POINT = re.compile(r"\.(\d{1,15})(?!\d)")


def leading_point(source: Source, position: int) -> Reading | None:
    """``.5``: point five."""
    found = _LEADING_POINT.match(source.text, position)
    return ([(f"point {numbers.digits(found[1])}", position, found.end())], found.end()) if found else None

"""Dates, times of day, decades."""

import re

from server.text.languages.english import numbers
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MONTH_OF = {name.lower(): name for name in MONTHS} | {name[:3].lower(): name for name in MONTHS} | {"sept": "September"}
_MONTH = r"(?P<month>" + "|".join(sorted((name.capitalize() for name in _MONTH_OF), key=len, reverse=True)) + r")"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR_AFTER = r"(?:(?P<comma>,?)\s(?P<year>[12]\d{3})(?![\d,.]\d|\d))?"

_ISO = re.compile(r"(?P<year>[12]\d{3})-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?:T(?=\d{2}:)|(?!\d))")
_SLASHED = re.compile(r"(?P<one>\d{1,2})(?P<mark>[/.-])(?P<two>\d{1,2})(?P=mark)(?P<year>[12]\d{3}|\d{2})(?![\d/]|[.-]\d)")
_DAY_MONTH = re.compile(rf"{_DAY}(?P<of>\sof)?\s{_MONTH}\b\.?{_YEAR_AFTER}")
_MONTH_DAY = re.compile(rf"{_MONTH}\b\.?\s{_DAY}(?![\w:%]|[.,/-]\d){_YEAR_AFTER}")
_MONTH_YEAR = re.compile(rf"{_MONTH}\b\.?(?P<comma>,?)\s(?P<year>[12]\d{{3}})(?![\d,.]\d|\d)")
_DECADE = re.compile(r"(?P<year>[12]\d{2}0|'?[2-9]0)(?P<s>'?s)\b")

_ZONES = "UTC|GMT|EST|EDT|CST|CDT|MST|MDT|PST|PDT|ET|CT|MT|PT|CET|CEST|BST|IST|JST|AEST"
_MERIDIEM = r"(?P<meridiem>[ap])\.?\s?m\b\.?"
_ZONE = rf"(?:\s(?P<zone>{_ZONES})\b)?"
_CLOCK = re.compile(
    rf"(?P<hour>[0-2]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d{{1,6}})?)?(?P<z>Z\b)?(?![\d:])"
    rf"(?:\s?(?i:{_MERIDIEM}))?{_ZONE}"
)
_HOUR = re.compile(rf"(?P<hour>1[0-2]|0?[1-9])\s?(?i:{_MERIDIEM}){_ZONE}")
_HOUR_RANGE = re.compile(
    r"(?P<from>1[0-2]|0?[1-9])(?::(?P<from_minute>[0-5]\d))?\s?[-–]\s?"
    r"(?=(?:1[0-2]|0?[1-9])(?::[0-5]\d)?\s?(?i:[ap]\.?m\b))"
)


def _spoken_year(parts: list[Part], found: re.Match[str]) -> None:
    if found["year"]:
        parts.append((numbers.year(found["year"]), found.start("year"), found.end("year")))


def iso_date(source: Source, position: int) -> Reading | None:
    """``2024-05-12``: May twelfth, twenty twenty-four."""
    found = _ISO.match(source.text, position)
    return _whole_date(found, int(found["month"]), int(found["day"])) if found else None


def slashed_date(source: Source, position: int) -> Reading | None:
    """``05/12/2024``; which number is the month follows the locale, unless one of them is above 12."""
    found = _SLASHED.match(source.text, position)
    if not found:
        return None
    one, two = int(found["one"]), int(found["two"])
    if found["mark"] != "/" and len(found["year"]) == 2:
        return None
    day_first = source.day_first or found["mark"] == "."
    month, day = (two, one) if (day_first and two <= 12) or one > 12 else (one, two)
    return _whole_date(found, month, day)


def _whole_date(found: re.Match[str], month: int, day: int) -> Reading | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    phrase = f"{MONTHS[month - 1]} {numbers.ordinal(str(day))} {numbers.year(found['year'])}"
    return [(phrase, found.start(), found.end())], found.end()


def day_month(source: Source, position: int) -> Reading | None:
    """``5 May 2024``, ``5th of May``: the fifth of May, twenty twenty-four."""
    found = _DAY_MONTH.match(source.text, position)
    if not found or not 1 <= int(found["day"]) <= 31:
        return None
    article = "" if source.previous_word(position).lower() == "the" else "the "
    day = article + numbers.ordinal(found["day"])
    end_of_day = found.start("of") if found["of"] else found.start("month") - 1
    parts: list[Part] = [(day if found["of"] else f"{day} of", found.start(), end_of_day)]
    if found["of"]:
        parts.append(("of", found.start("of") + 1, found.end("of")))
    parts.append((_MONTH_OF[found["month"].lower()], found.start("month"), found.end("month")))
    _spoken_year(parts, found)
    return parts, found.end()


def month_day(source: Source, position: int) -> Reading | None:
    """``May 5th, 2024``: May fifth, twenty twenty-four. ``May 2024`` too."""
    found = _MONTH_DAY.match(source.text, position)
    if found and 1 <= int(found["day"]) <= 31:
        parts: list[Part] = [
            (_MONTH_OF[found["month"].lower()], found.start(), found.end("month")),
            (numbers.ordinal(found["day"]), found.start("day"), found.end("day")),
        ]
        _spoken_year(parts, found)
        return parts, found.end()
    found = _MONTH_YEAR.match(source.text, position)
    if not found:
        return None
    parts = [(_MONTH_OF[found["month"].lower()], found.start(), found.end("month"))]
    _spoken_year(parts, found)
    return parts, found.end()


_DAYS = {name[:3]: name for name in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()}
_DAY_NAME = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_WEEKDAYS = re.compile(rf"({_DAY_NAME})[a-z]{{0,6}}(\s?[-–]\s?)({_DAY_NAME})[a-z]{{0,6}}\b")


def weekdays(source: Source, position: int) -> Reading | None:
    """``Mon-Fri``: Monday to Friday."""
    found = _WEEKDAYS.match(source.text, position)
    if not found:
        return None
    parts: list[Part] = [
        (f"{_DAYS[found[1]]} to", position, found.end(2)),
        (_DAYS[found[3]], found.start(3), found.end()),
    ]
    return parts, found.end()


def decade(source: Source, position: int) -> Reading | None:
    """``1990s``, ``'80s``, ``80s``."""
    found = _DECADE.match(source.text, position)
    if not found:
        return None
    return [(numbers.decade(found["year"].strip("'")), found.start(), found.end())], found.end()


def clock(source: Source, position: int) -> Reading | None:
    """``3:30pm``, ``15:00``, ``9 a.m. EST``."""
    found = _CLOCK.match(source.text, position)
    if not found or int(found["hour"]) > 24:
        return None
    hour, minute = found["hour"], found["minute"]
    spoken = numbers.cardinal(hour.lstrip("0") or "0")
    if minute == "00":
        phrase = spoken if found["meridiem"] else (f"{spoken} o'clock" if 1 <= int(hour) <= 12 else f"{spoken} hundred")
        if int(hour) == 0 and not found["meridiem"]:
            phrase = "zero hundred"
    else:
        phrase = f"{spoken} {numbers.year(minute)}"
    if found["second"] and found["second"] != "00":
        phrase = f"{phrase} and {numbers.cardinal(found['second'].lstrip('0'))} seconds"
    end = found.end("second") if found["second"] else found.end("minute")
    return _with_meridiem([(phrase, found.start(), end)], found, "UTC" if found["z"] else found["zone"])


def hour(source: Source, position: int) -> Reading | None:
    """``9am``, ``9 p.m.``."""
    found = _HOUR.match(source.text, position)
    if not found:
        return None
    parts: list[Part] = [(numbers.cardinal(found["hour"].lstrip("0")), found.start(), found.end("hour"))]
    return _with_meridiem(parts, found, found["zone"])


def hour_range(source: Source, position: int) -> Reading | None:
    """``9-5pm``, ``9:30 - 11 am``: reads the first half and "to"."""
    found = _HOUR_RANGE.match(source.text, position)
    if not found:
        return None
    minutes = found["from_minute"]
    first = numbers.cardinal(found["from"].lstrip("0")) + (f" {numbers.year(minutes)}" if minutes and minutes != "00" else "")
    return [(f"{first} to", found.start(), found.end())], found.end()


def _with_meridiem(parts: list[Part], found: re.Match[str], zone: str | None) -> Reading:
    end = found.end()
    if found["meridiem"]:
        letters = f"{found['meridiem'].upper()}. M."
        meridiem_end = found.start("zone") - 1 if found["zone"] else end
        parts.append((letters, found.start("meridiem"), meridiem_end))
    if zone:
        start = found.start("zone") if found["zone"] else found.start("z")
        parts.append((" ".join(f"{letter}." for letter in zone), start, end))
    return parts, end

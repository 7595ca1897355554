"""Dates and times of day in languages that put the day first and count 24 hours."""

import re

from server.text.languages.language import Language
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part

_ISO = re.compile(r"(?P<year>[12]\d{3})-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?:T(?=\d{2}:)|(?!\d))")
_NUMERIC = re.compile(
    r"(?P<day>[0-3]?\d)(?P<mark>[./-])\s?(?P<month>[01]?\d)(?P=mark)\s?(?P<year>[12]\d{3}|\d{2})(?![\d/]|[.-]\d)"
)
_DAY_AND_MONTH_DOTTED = re.compile(r"(?P<day>[0-3]?\d)\.\s?(?P<month>[01]?\d)\.(?!\d)")
_COLON_TIME = re.compile(r"(?P<hour>[0-2]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])")
_SCORE = re.compile(r"(\d{1,4}):(\d{1,4})(?![\d:])")


class CalendarRules:
    """The rules that need a calendar or a clock."""

    def __init__(self, language: Language) -> None:
        self._language = language
        names = {name.lower(): number for number, name in enumerate(language.months, 1)} | dict(language.month_short)
        self._month_of = names
        month = "|".join(sorted(names, key=len, reverse=True))
        joint = r"(?:\s(?:de|del))?"
        self._day_month = re.compile(
            rf"(?P<day>[0-3]?\d)(?:{language.ordinal_sign}|{language.day_ordinal or '(?!)'})?{joint}\s?"
            rf"(?P<month>(?:{month})\b)\.?"
            rf"(?:,?{joint}\s(?P<year>[12]\d{{3}})(?![\d,.]\d|\d))?",
            re.IGNORECASE,
        )
        self._after = re.compile(rf"\s?(?:{language.clock_words})")
        self._marked_time = re.compile(
            rf"(?P<hour>[0-2]?\d)(?:\s?h\s?(?P<minute>[0-5]\d)|\.(?P<pointed>[0-5]\d)(?=\s?(?:{language.clock_words})))(?!\d)"
        )
        self._hour = re.compile(rf"(?P<hour>[0-2]?\d)\s?(?:{language.clock_words})")

    def iso_date(self, source: Source, position: int) -> Reading | None:
        """``2024-05-12``."""
        found = _ISO.match(source.text, position)
        return self._whole_date(source, found) if found else None

    def numeric_date(self, source: Source, position: int) -> Reading | None:
        """``12.05.2024``, ``12/5/24``; ``12.05.`` where ordinal numbers have a full stop."""
        found = _NUMERIC.match(source.text, position)
        if not found and self._language.day_ordinal:
            found = _DAY_AND_MONTH_DOTTED.match(source.text, position)
        return self._whole_date(source, found) if found else None

    def _whole_date(self, source: Source, found: re.Match[str]) -> Reading | None:
        day, month, year = int(found["day"]), int(found["month"]), found.groupdict().get("year")
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return [(self._phrase(source, found.start(), day, month, year), found.start(), found.end())], found.end()

    def _phrase(self, source: Source, position: int, day: int, month: int, year: str | None) -> str:
        language = self._language
        phrase = language.date(day, language.months[month - 1], language.year_words(year) if year else "")
        if not language.day_ordinal:
            return phrase
        return f"{language.ordinal(day, source.previous_word(position).lower())} {phrase.partition(' ')[2]}"

    def day_month(self, source: Source, position: int) -> Reading | None:
        """``5. Mai 2024``, ``5 de mayo de 2024``, ``1er mai``."""
        found = self._day_month.match(source.text, position)
        if not found or not 1 <= int(found["day"]) <= 31:
            return None
        number = self._month_of[found["month"].lower()]
        phrase = self._phrase(source, position, int(found["day"]), number, found["year"])
        month = self._language.months[number - 1]
        return self._spread(phrase, month, found), found.end()

    @staticmethod
    def _spread(phrase: str, month: str, found: re.Match[str]) -> list[Part]:
        """The words of the day, the month and the year, each with what was written for it."""
        head, _, tail = phrase.partition(month)
        parts = [(head.strip(), found.start(), max(found.start("month") - 1, found.start() + 1))]
        parts.append((month, found.start("month"), found.end("month")))
        if tail.strip():
            parts.append((tail.strip(), found.start("year"), found.end()))
        return parts

    def clock(self, source: Source, position: int) -> Reading | None:
        """``15:30``, ``15.30 Uhr``, ``15h30``, ``15 Uhr``."""
        found = _COLON_TIME.match(source.text, position) or self._marked_time.match(source.text, position)
        if found:
            given = found.groupdict()
            minute = int(given["minute"] or given.get("pointed") or 0)
        else:
            found = self._hour.match(source.text, position) if self._language.hour_alone else None
            minute = 0
        if not found or int(found["hour"]) > 24:
            return None
        phrase = self._language.clock(int(found["hour"]), minute)
        after = self._after.match(source.text, found.end())
        end = after.end() if after else found.end()
        return [(phrase, position, end)], end

    def ratio_or_score(self, source: Source, position: int) -> Reading | None:
        """``3:1``."""
        found = _SCORE.match(source.text, position)
        if not found:
            return None
        one, two = self._language.cardinal(found[1]), self._language.cardinal(found[2])
        return [(f"{one} {self._language.between_numbers[':']} {two}", position, found.end())], found.end()

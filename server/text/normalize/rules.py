"""The rules that all languages but English share, over the data of a `Language`.

They follow the conventions of the continent: decimal commas, days before months,
24 hours, the currency behind the amount. See `normalizer` for how rules are used.
"""

import re
from functools import cache

from server.text.languages.language import Language
from server.text.normalize.addresses import AddressRules
from server.text.normalize.amounts import AmountRules
from server.text.normalize.calendar import CalendarRules
from server.text.normalize.normalizer import Normalizer, Rules
from server.text.normalize.numerals import FRACTIONS, roman
from server.text.normalize.source import WORD, Reading, Source
from server.text.normalize.tokens import Part

_FRACTION = re.compile(r"(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?![\w/]|[.,]\d)")
_RANGE_DASH = re.compile(r"\s?[-–]\s?(?=\d)")
_GROUPED_BY_POINTS = re.compile(r"\d{1,5}(?:\.\d{1,5}){1,6}+(?!\w)")
_ROMAN = re.compile(r"[IVXLC]{2,9}(?![\w'])|[VX](?![\w'.])")
_MIXED = re.compile(r"(?=[^\W\d_]{1,24}\d|\d{1,12}[^\W\d_])[^\W_]{1,48}(?!\w)")
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_CAPITALS = re.compile(r"[^\W\d_]{2,12}(?![\w'])")
_DOTTED = re.compile(r"(?:[^\W\d_]\.){2,12}+(?:[^\W\d_](?![^\W\d_]))?")
_HYPHENATED = re.compile(rf"{WORD.pattern}(?:-{WORD.pattern}){{1,3}}(?![\w-])")
_COUNTED = re.compile(r"\s([^\W\d_]{4,40})(?![.\w])")
_CLUSTER = re.compile(r"[bcdfghjklmnpqrstvwxz]{3}")
_ELIDED = re.compile(r"([^\W\d_]{1,8})'(?=[^\W_])")
_VOWELS = frozenset("aeiouyäöüáéíóúàèìòùâêîôûãõëïœ")
_ENDS_NUMBER = frozenset("%°¢€£)²³")
_LONGEST_ABBREVIATION = 9


class SharedRules:
    """One language's rules; their order is in `normalizer`."""

    def __init__(self, language: Language) -> None:
        self._language = language
        group = "." if language.decimal == "," else ","
        self.number_pattern = rf"(?:\d{{1,3}}(?:[{group} ']\d{{3}})++(?!\d)|\d++)(?:{re.escape(language.decimal)}\d++)?"
        self._number = re.compile(self.number_pattern)
        self._side = re.compile(rf"(?P<side>{self.number_pattern})\s?[x×]\s?(?=\d)")
        self._feminine = re.compile(language.feminine)
        self._suffix = re.compile(rf"([^\W\d_]{{2,40}}?)({'|'.join(map(re.escape, language.suffixes)) or '(?!)'})(?!\w)")
        self._ordinal = re.compile(rf"(\d{{1,9}})\s?(?P<ending>{language.ordinal_sign})")
        ordered = sorted(self._abbreviations(), key=len, reverse=True)
        self._abbreviation = re.compile(rf"(?P<word>{'|'.join(map(re.escape, ordered))})(?:\.(?!\w\.)|(?=[ºo]\b))")
        self._digit_after = re.compile(r"\.?[ºo°]?\s?\d")

    def _abbreviations(self) -> set[str]:
        tables = self._language.abbreviations
        return {*tables.never_end, *tables.may_end, *tables.before_number}

    # --- numbers ------------------------------------------------------------------

    def ordinal(self, source: Source, position: int) -> Reading | None:
        """``3.`` before a word in German, ``3e``, ``3.º``, ``1er``."""
        found = self._ordinal.match(source.text, position)
        if not found or source.char(position - 1).isalnum():
            return None
        ending = found["ending"].strip(".")
        if not ending:  # a full stop, which may be that of a sentence
            if int(found[1]) > 100 or source.next_word(found.end()) in self._language.starters:
                return None
            ending = source.previous_word(position).lower()
        return [(self._language.ordinal(int(found[1]), ending), position, found.end())], found.end()

    def fraction(self, source: Source, position: int) -> Reading | None:
        """``3/4``, ``½``."""
        vulgar = FRACTIONS.get(source.char(position))
        found = None if vulgar else _FRACTION.match(source.text, position)
        if not vulgar and not found:
            return None
        pair = vulgar or (int(found["top"]), int(found["bottom"])) if found else vulgar
        assert pair is not None
        language = self._language
        top, bottom = (language.cardinal(str(number)) for number in pair)
        end = found.end() if found else position + 1
        return [(language.fractions.get(pair, f"{top} {language.over} {bottom}"), position, end)], end

    def points(self, source: Source, position: int) -> Reading | None:
        """``1.2.3`` and ``3.14``, where the point does not group thousands."""
        found = _GROUPED_BY_POINTS.match(source.text, position)
        if not found or self._number.match(source.text, position, found.end())[0] == found[0]:  # type: ignore[index]
            return None
        said = f" {self._language.web['.']} ".join(self._language.cardinal(group) for group in found[0].split("."))
        return [(said, position, found.end())], found.end()

    def span(self, source: Source, position: int) -> Reading | None:
        """The lower end of ``10-20`` and the word between; the upper end is read next."""
        found = self._number.match(source.text, position)
        dash = _RANGE_DASH.match(source.text, found.end()) if found else None
        if not found or not dash or source.char(position - 1) == "-":
            return None
        if " " in dash[0] and "-" in dash[0] and not self._rises(source, found, dash):
            return None  # "5 - 3" is a difference
        return [(f"{self._said(found[0])} {self._language.to}", position, dash.end())], dash.end()

    def _rises(self, source: Source, low: re.Match[str], dash: re.Match[str]) -> bool:
        high = self._number.match(source.text, dash.end())
        return high is not None and len(low[0]) <= 9 and len(high[0]) <= 9 and _value(low[0]) < _value(high[0])

    def dimensions(self, source: Source, position: int) -> Reading | None:
        """The first side of ``3 x 4`` and the word between."""
        found = self._side.match(source.text, position)
        if not found or found["side"] == "0":  # a hexadecimal number
            return None
        said = f"{self._language.number(found['side'])} {self._language.between_numbers['x']}"
        return [(said, position, found.end())], found.end()

    def plain(self, source: Source, position: int) -> Reading | None:
        """A number; before a noun it agrees with it ("veintiuna casas"), as far as the noun's ending tells."""
        found = self._number.match(source.text, position)
        if not found:
            return None
        said = self._said(found[0])
        counted = _COUNTED.match(source.text, found.end())
        if counted and found[0].isdecimal() and said == self._language.number(found[0]):
            said = self._language.count(said, "f" if self._feminine.search(counted[1]) else "m")
        return [(said, position, found.end())], found.end()

    def plain_number(self, source: Source, position: int) -> Reading | None:
        """As a number, never a year (normalisation off)."""
        found = self._number.match(source.text, position)
        return ([(self._language.number(found[0]), position, found.end())], found.end()) if found else None

    def _said(self, written: str) -> str:
        may_be_year = len(written) == 4 and written.isdecimal()
        return self._language.year_words(written) if may_be_year else self._language.number(written)

    # --- words --------------------------------------------------------------------

    def abbreviation(self, source: Source, position: int) -> Reading | None:
        """``z.B.``, ``Sr.``, ``n.º 5``, ``U.S.A.``."""
        if source.char(position - 1).isalnum():
            return None
        tables = self._language.abbreviations
        found = self._abbreviation.match(source.text, position)
        if found:
            word, end = found["word"], found.end()
            if word in tables.before_number and self._digit_after.match(source.text, end):
                end += source.char(end) in ("º", "o", "°")
                return [(tables.before_number[word], position, end)], end
            said = tables.never_end.get(word) or tables.may_end.get(word)
            if said and found[0].endswith("."):
                return [(said, position, end)], end
        suffixed = self._suffix.match(source.text, position)
        if suffixed:
            said = suffixed[1] + self._language.suffixes[suffixed[2]]
            return [(said, position, suffixed.end())], suffixed.end()
        dotted = _DOTTED.match(source.text, position)
        if dotted:
            parts: list[Part] = [
                (f"{char.upper()}.", position + index, position + index + 1)
                for index, char in enumerate(dotted[0])
                if char != "."
            ]
            return parts, dotted.end()
        return None

    def roman_numeral(self, source: Source, position: int) -> Reading | None:
        """``Ludwig XIV``, ``siglo XX``: after a word, never alone."""
        found = _ROMAN.match(source.text, position)
        value = roman(found[0]) if found else 0
        if not found or not value or source.shouting or not source.previous_word(position).isalpha():
            return None
        stop = source.char(found.end()) == "." and source.next_word(found.end() + 1)[:1].islower()
        return [(self._language.roman(value, source.previous_word(position)), position, found.end() + stop)], found.end() + stop

    def mixed(self, source: Source, position: int) -> Reading | None:
        """Letters and digits in one token: ``A4``, ``MP3``, ``4K``."""
        found = _MIXED.match(source.text, position)
        if not found:
            return None
        parts: list[Part] = []
        for run in _RUNS.finditer(found[0]):
            text = run[0]
            if text.isdecimal():
                said = self._language.cardinal(text) if len(text) < 5 else self._language.digits(text)
            else:
                said = letters(text) if len(text) == 1 or (text.isupper() and len(text) < 5) else text
            parts.append((said, position + run.start(), position + run.end()))
        return parts, found.end()

    def acronym(self, source: Source, position: int) -> Reading | None:
        """``ZDF`` by letters, ``NATO`` as a word; capitals that only shout stay words."""
        found = _CAPITALS.match(source.text, position)
        if not found or not found[0].isupper() or source.shouting:
            return None
        word = found[0]
        low = word.lower()
        speakable = len(word) > 3 and bool(_VOWELS & set(low)) and not _CLUSTER.search(low)
        if word in self._language.acronyms_read or (speakable and len(word) > 4):
            return [(word, position, found.end())], found.end()
        return [(letters(word), position, found.end())], found.end()

    def word(self, source: Source, position: int) -> Reading | None:
        """A plain word; elided ones ("l'homme") stand for two, hyphenated ones stay whole."""
        elided = _ELIDED.match(source.text, position)
        if elided and elided[1].lower() in self._language.elisions:
            return [(elided[0], position, elided.end())], elided.end()
        found = _HYPHENATED.match(source.text, position) or WORD.match(source.text, position)
        return ([(found[0], position, found.end())], found.end()) if found else None

    # --- signs --------------------------------------------------------------------

    def sign(self, source: Source, position: int) -> Reading | None:
        """Words for a sign, or None where it is punctuation or silent."""
        char, before, after = source.char(position), source.char(position - 1), source.char(position + 1)
        language = self._language
        if char in "-–+" and after.isdecimal() and not before.isalnum() and before not in _ENDS_NUMBER:
            name = language.plus if char == "+" else language.minus
            return ([(name, position, position + 1)], position + 1) if char != "–" else None
        left = source.char(position - 2) if before == " " else before
        right = source.char(position + 2) if after == " " else after
        if (left.isdecimal() or left in _ENDS_NUMBER) and (right.isdecimal() or right == "-"):
            name = language.minus if char in "-–" and before == after == " " else language.between_numbers.get(char, "")
            if name:
                return [(name, position, position + 1)], position + 1
        rate = self._rate(source, position) if char == "/" else None
        name = language.symbols.get(char, "")
        return rate or (([(name, position, position + 1)], position + 1) if name else None)

    def _rate(self, source: Source, position: int) -> Reading | None:
        unit = WORD.match(source.text, position + 1)
        name = self._language.unit_per.get(unit[0]) if unit else None
        return ([(f"{self._language.per} {name}", position, unit.end())], unit.end()) if unit and name else None


def _value(number: str) -> int:
    return int("".join(char for char in number.partition(",")[0] if char.isdecimal()))


def letters(text: str) -> str:
    """ "ZDF" as the letters' names "Z. D. F."."""
    return " ".join(f"{char.upper()}." for char in text)


@cache
def normalizer_of(language: Language, minimal: bool = False) -> Normalizer:
    """``minimal`` (normalisation off): numbers as numbers and words as words, nothing else."""
    shared = SharedRules(language)
    if minimal:
        return Normalizer(Rules((shared.plain_number,), (shared.word,)))
    calendar = CalendarRules(language)
    amounts = AmountRules(language, shared.number_pattern)
    addresses = AddressRules(language)
    return Normalizer(
        Rules(
            digit=(
                calendar.iso_date, calendar.numeric_date, calendar.clock, addresses.phone_number, amounts.currency_last,
                amounts.measure, calendar.day_month, shared.ordinal, shared.fraction, shared.points, calendar.ratio_or_score,
                shared.dimensions, shared.span, shared.mixed, addresses.web.address, shared.plain,
            ),
            letter=(
                addresses.web.address, shared.abbreviation, amounts.currency_first, shared.roman_numeral, shared.mixed,
                shared.acronym, shared.word,
            ),
            sign=(
                amounts.currency_first, addresses.phone_number, addresses.web.hashtag, addresses.web.mention, shared.fraction,
                shared.sign,
            ),
        )
    )  # fmt: skip

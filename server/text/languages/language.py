"""What the shared front end has to know about a language."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from num2words import num2words

from server.text.pronunciation import Pronunciation

MAX_CARDINAL_DIGITS = 15
"""Longer runs of digits are identifiers and are read digit by digit."""


@dataclass(frozen=True, slots=True)
class Noun:
    """Something that is counted: ``one`` and ``many`` of it, and the gender that "one" agrees with."""

    one: str
    many: str
    gender: str = "m"


def nouns(table: str) -> dict[str, Noun]:
    """Lines of ``written | one | many | gender`` (the plural and ``m`` may be left out) as a table."""
    rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return {row[0]: Noun(row[1], row[2] if len(row) > 2 else row[1], row[3] if len(row) > 3 else "m") for row in rows}


@dataclass(frozen=True, slots=True)
class Currency:
    whole: Noun
    part: Noun | None = None
    """A hundredth, where people name it."""


@dataclass(frozen=True, slots=True)
class Abbreviations:
    """With their full stops taken away: "Dr", "z.B"."""

    never_end: Mapping[str, str]
    """Titles and such; no sentence ends after them."""
    may_end: Mapping[str, str]
    """Whether a sentence ends there, the next word tells: one of `Language.starters` begins one."""
    before_number: Mapping[str, str] = field(default_factory=dict)
    """Only where a number follows; ordinary words elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """All data of one language. Phrases are lower-case words as the language writes them."""

    code: str
    decimal: str
    """The sign before decimals; the other one of ``.`` and ``,`` groups thousands, as a space may."""
    point: str
    minus: str
    plus: str
    to: str
    """Between the ends of a range."""
    over: str
    """Between the parts of an unusual fraction."""
    per: str
    fractions: Mapping[tuple[int, int], str]
    months: tuple[str, ...]
    month_short: Mapping[str, int]
    """Abbreviations without a full stop, lower case, to 1..12."""
    date: Callable[[int, str, str], str]
    """Day, month's name and year in words ("" without) to the words of a date."""
    clock: Callable[[int, int], str]
    """Hour and minute to words."""
    clock_words: str
    """A pattern of what may stand after a time and is part of it; it also makes a time of "15.30"."""
    hour_alone: bool
    """Whether it makes a time of a number too ("15 Uhr", "15 h"), else a measure."""
    ordinal_sign: str
    """A pattern right after the digits of an ordinal number, or one that cannot match."""
    ordinal: Callable[[int, str], str]
    """Number and its written ending to words."""
    roman: Callable[[int, str], str]
    """Value of a Roman numeral and the word before it to words."""
    count: Callable[[str, str], str]
    """A number in words before a noun of a gender: "eins" becomes "ein" or "eine"."""
    feminine: str
    """A pattern of the endings of words that are feminine, as far as endings tell."""
    money_join: str
    """Between whole and hundredths: "drei Euro fünfzig", "tres euros con cincuenta"."""
    money_part: bool
    """Whether the hundredths are named after it."""
    scales: Mapping[str, str]
    """Written word or abbreviation of a large number ("Mio.") to the words said."""
    scale_of: Callable[[str], str]
    """A currency's name after such a word: "de euros"."""
    currencies: Mapping[str, Currency]
    units: Mapping[str, Noun]
    unit_per: Mapping[str, str]
    """Units below a slash that do not read as "per" and their name in the singular."""
    symbols: Mapping[str, str]
    """Signs that are spoken wherever they stand."""
    between_numbers: Mapping[str, str]
    """Signs that are spoken between numbers only."""
    web: Mapping[str, str]
    """Signs of addresses, and "hashtag"."""
    spelled_signs: Mapping[str, str]
    """More signs that spelling names."""
    abbreviations: Abbreviations
    starters: frozenset[str]
    """Capitalised words that open sentences."""
    conjunctions: str
    """A pattern of words before which a long sentence may be cut."""
    acronyms_read: frozenset[str] = frozenset()
    """Capitals that are read as a word though they are short."""
    year: Callable[[int], str] | None = None
    """Years from 1100 to 2099 where they differ from other numbers."""
    number_lang: str = ""
    """num2words' name of the language, where it is another."""
    elisions: frozenset[str] = frozenset()
    """Words that lose their vowel before an apostrophe and are read apart from what follows ("l'", "dell'")."""
    suffixes: Mapping[str, str] = field(default_factory=dict)
    """Abbreviated ends of words, with their full stop: "str." is "straße"."""
    day_ordinal: str = ""
    """A pattern between a day's number and its month."""
    join: Callable[[Sequence[str], list[Pronunciation]], list[Pronunciation]] = lambda words, phones: phones
    """What the words of a clause (small letters) do to each other's phones: liaison, assimilation."""
    nearest_phones: Mapping[str, str] = field(default_factory=dict)
    """Phones that a user may write and the phone that the language's voices say for them."""
    phone_pairs: bool = False
    """Whether telephone numbers are read in pairs rather than in digits."""

    # --- numbers ------------------------------------------------------------------

    def cardinal(self, digits: str) -> str:
        """Digits, possibly grouped, in words; "007" and very long numbers digit by digit."""
        plain = "".join(char for char in digits if char.isdecimal())
        if len(plain) > MAX_CARDINAL_DIGITS or (len(plain) > 1 and plain[0] == "0"):
            return self.digits(plain)
        return _words(int(plain), self.number_lang or self.code, "cardinal")

    def digits(self, text: str) -> str:
        """ "407" digit by digit."""
        return " ".join(_words(int(char), self.number_lang or self.code, "cardinal") for char in text if char.isdecimal())

    def number(self, text: str) -> str:
        """A number as the language writes it: sign, groups, decimals."""
        if text[0] in "-+":
            return f"{self.minus if text[0] == '-' else self.plus} {self.number(text[1:])}"
        whole, point, decimals = text.partition(self.decimal)
        if not point or not decimals:
            return self.cardinal(whole)
        spoken = (
            self.cardinal(decimals) if len(decimals) < 3 and decimals[0] != "0" and self.code in _DECIMALS_AS_NUMBER else ""
        )
        return f"{self.cardinal(whole)} {self.point} {spoken or self.digits(decimals)}"

    def ordinal_words(self, number: int) -> str:
        return _words(number, self.number_lang or self.code, "ordinal")

    def year_words(self, text: str) -> str:
        value = int(text)
        return self.year(value) if self.year and 1100 <= value <= 2099 else self.cardinal(text)

    def counted(self, amount: str, noun: Noun) -> str:
        """ "1" and a noun: the number agrees with it, the noun with the number."""
        if amount.lstrip("+-").lstrip("0") in ("1", ""):
            one = amount.lstrip("+-").strip("0") == "1"
            return f"{self.count(self.number(amount), noun.gender)} {noun.one if one else noun.many}"
        words = self.number(amount)
        whole = self.decimal not in amount
        return f"{self.count(words, noun.gender) if whole else words} {noun.many}"


_DECIMALS_AS_NUMBER = frozenset(("es", "fr", "it", "pt"))
"""Where "3,14" is "three point fourteen"."""


@lru_cache(maxsize=8192)
def _words(number: int, language: str, kind: str) -> str:
    text: str = num2words(number, lang=language, to=kind)
    return text.replace(",", "")


def kept(words: str, gender: str) -> str:
    """For languages whose numbers do not agree with nouns."""
    return words

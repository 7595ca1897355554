"""The rules of English, in the order in which they are tried."""

from server.text.languages.english import dates, money, phone_numbers, quantities, symbols, units, words
from server.text.languages.english.abbreviations import abbreviation
from server.text.normalize import web
from server.text.normalize.normalizer import Normalizer, Rules
from server.text.normalize.source import Rule

_DIGIT_RULES: tuple[Rule, ...] = (
    dates.iso_date, dates.slashed_date, dates.hour_range, dates.clock, dates.hour, phone_numbers.phone_number,
    phone_numbers.identifier, dates.decade, money.currency_last, money.cents, units.height, units.inches, quantities.dimensions,
    units.measure, units.scaled, dates.day_month, quantities.ordinal, quantities.fraction, quantities.version,
    quantities.ratio, quantities.span, words.mixed, web.ENGLISH.address, quantities.plain,
)  # fmt: skip
_LETTER_RULES: tuple[Rule, ...] = (
    web.ENGLISH.address, dates.month_day, dates.weekdays, abbreviation, money.currency_first,
    words.roman_numeral, words.ampersand_name, words.version_label, words.mixed,
    words.acronym, words.camel_case, words.word,
)  # fmt: skip
_SIGN_RULES: tuple[Rule, ...] = (
    money.currency_first, phone_numbers.phone_number, dates.decade, web.ENGLISH.hashtag, web.ENGLISH.mention,
    symbols.spaced_minus, quantities.fraction, symbols.spoken_symbol,
)  # fmt: skip


def english_normalizer(*, day_first: bool = False, minimal: bool = False) -> Normalizer:
    """``minimal`` (normalisation off): numbers as numbers and words as words, nothing else."""
    point: tuple[Rule, ...] = (quantities.leading_point,)
    if minimal:
        return Normalizer(Rules((quantities.plain_number,), (words.word,), point=point), day_first=day_first)
    return Normalizer(Rules(_DIGIT_RULES, _LETTER_RULES, _SIGN_RULES, point), day_first=day_first)

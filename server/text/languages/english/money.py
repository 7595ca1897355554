"""Amounts of money: ``$3.50``, ``€2.5 million``, ``£10-20``, ``5 USD``, ``99¢``."""

import re

from server.text.languages.english import numbers
from server.text.normalize.source import NUMBER, Reading, Source

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "₺": ("lira", "lira", "", ""),
    "₴": ("hryvnia", "hryvnias", "", ""),
    "R$": ("real", "reals", "", ""),
    "US$": ("U. S. dollar", "U. S. dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "CA$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "AU$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "USD": ("U. S. dollar", "U. S. dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("British pound", "British pounds", "penny", "pence"),
    "JPY": ("Japanese yen", "Japanese yen", "", ""),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "INR": ("Indian rupee", "Indian rupees", "paisa", "paise"),
    "CNY": ("Chinese yuan", "Chinese yuan", "", ""),
}
SYMBOLS = "$€£¥₹₩₽₿₺₴"
_SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million", "b": "billion",
    "B": "billion", "bn": "billion", "T": "trillion", "tn": "trillion", "trn": "trillion",
}  # fmt: skip
_SCALE = r"(?:(?P<gap>\s?)(?P<scale>thousand|million|billion|trillion|hundred|[kKmMbBT]|mn|mm|bn|tn|trn)\b)?"
_AMOUNT = rf"(?:\d{{1,9}},\d{{2}}(?![\d,])|{NUMBER})"
_BEFORE = re.compile(
    rf"(?P<sign>[-+]?)(?P<currency>(?:US|CA|AU|[CAR])?\$|[€£¥₹₩₽₿₺₴]|(?:USD|EUR|GBP|CHF|CAD|AUD)\s)\s?(?P<minus>-?)"
    rf"(?P<amount>{_AMOUNT})(?:\s?[-–]\s?(?P<symbol>[{SYMBOLS}]?)(?P<upper>{NUMBER}))?{_SCALE}"
)
_AFTER = re.compile(
    rf"(?P<sign>-?)(?P<amount>{_AMOUNT})(?P<scale>\s(?:thousand|million|billion|trillion))?\s?"
    rf"(?P<currency>[{SYMBOLS}](?!\d)|(?:USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY)\b)"
)
_CENTS = re.compile(rf"({NUMBER})\s?¢")
RATE = re.compile(r"/(hour|hr|day|week|wk|month|mo|year|yr|person|user|seat|min|minute|kg|lb|gallon|unit|night|token)\b")
RATE_NAMES = {"hr": "hour", "wk": "week", "mo": "month", "yr": "year", "min": "minute", "kg": "kilogram", "lb": "pound"}


def amount_in_words(amount: str, currency: str, scale: str = "") -> str:
    """ "3.50" and "$" as "three dollars and fifty cents"."""
    one, many, small_one, small_many = _CURRENCIES[currency.strip()]
    if amount[-3:-2] == ",":  # a decimal comma
        amount = amount.replace(",", ".")
    whole, point, decimals = amount.partition(".")
    plain = whole.replace(",", "")
    if scale:
        return f"{numbers.number(amount)} {_SCALES.get(scale, scale)} {many}"
    if point and len(decimals) == 2 and small_one:
        if plain.strip("0") == "" and decimals != "00":
            return _counted(decimals, small_one, small_many)
        main = _counted(plain, one, many)
        return main if decimals == "00" else f"{main} and {_counted(decimals, small_one, small_many)}"
    if point:
        return f"{numbers.number(amount)} {many}"
    return _counted(plain, one, many)


def _counted(amount: str, one: str, many: str) -> str:
    plain = amount.lstrip("0") or "0"
    return f"{numbers.cardinal(plain)} {one if plain == '1' else many}"


def currency_first(source: Source, position: int) -> Reading | None:
    found = _BEFORE.match(source.text, position)
    if not found:
        return None
    sign = "minus " if "-" in found["sign"] + found["minus"] else ""
    scale, end = found["scale"] or "", found.end()
    if found["gap"] and scale in _SCALES:  # "$5 m" is not a scale
        scale, end = "", found.start("gap")
    currency, amount, upper = found["currency"], found["amount"], found["upper"]
    if upper:
        phrase = f"{sign}{numbers.number(amount)} to {amount_in_words(upper, currency, scale)}"
    else:
        phrase = sign + amount_in_words(amount, currency, scale)
    return _with_rate(source, _spread(phrase, scale, found, end), end)


def _spread(phrase: str, scale: str, found: re.Match[str], end: int) -> list[tuple[str, int, int]]:
    """Give "million dollars" to the word that said "million", where it stands apart."""
    word = _SCALES.get(scale, scale)
    if scale and found["gap"] and f" {word} " in phrase:
        head, _, tail = phrase.partition(f" {word} ")
        start = found.start("scale")
        return [(head, found.start(), found.end("gap") - 1), (f"{word} {tail}", start, end)]
    return [(phrase, found.start(), end)]


def _with_rate(source: Source, parts: list[tuple[str, int, int]], end: int) -> Reading:
    rate = RATE.match(source.text, end)
    if rate:
        parts = [*parts, (f"per {RATE_NAMES.get(rate[1], rate[1])}", rate.start(), rate.end())]
        end = rate.end()
    return parts, end


def currency_last(source: Source, position: int) -> Reading | None:
    found = _AFTER.match(source.text, position)
    if not found:
        return None
    phrase = ("minus " if found["sign"] else "") + amount_in_words(
        found["amount"], found["currency"], (found["scale"] or "").strip()
    )
    words = phrase.split()
    name_words = len(_CURRENCIES[found["currency"]][1].split())
    if source.char(found.start("currency") - 1).isspace() and " and " not in phrase:
        head, tail = " ".join(words[:-name_words]), " ".join(words[-name_words:])
        split = found.start("currency")
        return _with_rate(source, [(head, found.start(), split - 1), (tail, split, found.end())], found.end())
    return _with_rate(source, [(phrase, found.start(), found.end())], found.end())


def cents(source: Source, position: int) -> Reading | None:
    found = _CENTS.match(source.text, position)
    if not found:
        return None
    name = "cent" if found[1] == "1" else "cents"
    return [(f"{numbers.number(found[1])} {name}", found.start(), found.end())], found.end()

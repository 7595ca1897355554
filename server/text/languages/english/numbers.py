"""Numbers as words. All functions take digits as text, because leading zeros matter."""

from functools import lru_cache

from num2words import num2words

from server.text.normalize.numerals import FRACTIONS

MAX_CARDINAL_DIGITS = 15
"""Longer runs of digits are identifiers and are read digit by digit."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@lru_cache(maxsize=4096)
def _words(number: int, kind: str) -> str:
    text: str = num2words(number, to=kind)
    return text.replace(",", "").replace(" and ", " ").replace("oh-", "oh ")


def digits(text: str) -> str:
    """ "407" as "four zero seven"; everything but digits is skipped."""
    return " ".join(_DIGITS[int(char)] for char in text if "0" <= char <= "9")


def cardinal(text: str) -> str:
    """ "1,234" as "one thousand two hundred thirty-four"; "007" and very long numbers digit by digit."""
    plain = text.replace(",", "")
    if len(plain) > MAX_CARDINAL_DIGITS or (len(plain) > 1 and plain[0] == "0"):
        return digits(plain)
    return _words(int(plain), "cardinal")


def number(text: str) -> str:
    """A number with optional sign, thousands commas and decimals."""
    if text[0] in "-+":
        return ("minus " if text[0] == "-" else "plus ") + number(text[1:])
    whole, point, decimals = text.partition(".")
    spoken = cardinal(whole) if whole else "zero"
    return f"{spoken} point {digits(decimals)}" if point and decimals else spoken


def ordinal(text: str) -> str:
    """ "21" as "twenty-first"."""
    plain = text.replace(",", "")
    return _words(int(plain), "ordinal") if len(plain) <= MAX_CARDINAL_DIGITS else digits(plain)


def year(text: str) -> str:
    """ "1999" as "nineteen ninety-nine", "2024" as "twenty twenty-four", "05" as "oh five"."""
    if len(text) == 2:
        return f"oh {digits(text[1])}" if text[0] == "0" else cardinal(text)
    value = int(text)
    return _words(value, "year") if 1000 <= value <= 9999 else cardinal(text)


def decade(text: str) -> str:
    """ "1990" as "nineteen nineties", "80" as "eighties"."""
    if text.endswith("00") and len(text) == 4:
        return cardinal(text) + "s" if text.endswith("000") else cardinal(text[:2]) + " hundreds"
    words = year(text)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def pairs(text: str) -> str:
    """Flights, routes, aircraft: "747" as "seven forty-seven", "1205" as "twelve oh five"."""
    if len(text) == 3:
        head, tail = text[0], text[1:]
    elif len(text) == 4:
        head, tail = text[:2], text[2:]
    else:
        return cardinal(text)
    if tail == "00":
        return f"{cardinal(head)} hundred"
    return f"{cardinal(head)} {year(tail)}"


def fraction(numerator: int, denominator: int) -> str:
    """ "3/4" as "three quarters"; uncommon denominators as "over"."""
    if denominator == 2 and numerator == 1:
        return "one half"
    top = _words(numerator, "cardinal")
    if denominator < 2 or denominator > 100 or numerator > 100:
        return f"{top} over {_words(denominator, 'cardinal')}"
    bottom = {2: "half", 4: "quarter"}.get(denominator) or _words(denominator, "ordinal")
    if numerator == 1:
        return f"{top} {bottom}"
    return f"{top} halves" if denominator == 2 else f"{top} {bottom}s"


def mixed_fraction(whole: str, numerator: int, denominator: int) -> str:
    """ "2 1/2" as "two and a half"."""
    words = fraction(numerator, denominator)
    return f"{cardinal(whole)} and {'a' + words[3:] if numerator == 1 else words}"


def vulgar_fraction(char: str, whole: str = "") -> str:
    """ "½" as "one half", "2½" as "two and a half"."""
    numerator, denominator = FRACTIONS[char]
    return mixed_fraction(whole, numerator, denominator) if whole else fraction(numerator, denominator)

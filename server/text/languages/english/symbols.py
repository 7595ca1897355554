"""Signs, operators and punctuation: spoken, a pause, or silent, by what stands around them."""

import re

from server.text.languages.english.money import RATE, RATE_NAMES
from server.text.languages.english.numbers import digits
from server.text.normalize.source import Reading, Source

_BETWEEN_NUMBERS = {
    "+": "plus", "*": "times", "×": "times", "÷": "divided by", "=": "equals", "<": "less than", ">": "greater than",
    "/": "slash", "^": "to the power of", "±": "plus or minus", "–": "to", "≈": "is about",
    "≤": "less than or equal to", "≥": "greater than or equal to", "≠": "is not equal to",
}  # fmt: skip
_ALWAYS = {
    "&": "and", "=": "equals", "%": "percent", "@": "at", "+": "plus", "±": "plus or minus", "×": "times", "÷": "divided by",
    "≈": "about", "≤": "less than or equal to", "≥": "greater than or equal to", "≠": "not equal to", "√": "square root of",
    "∞": "infinity", "°": "degrees", "$": "dollars", "€": "euros", "£": "pounds", "§": "section", "Ω": "ohms", "µ": "micro",
    "²": "squared", "³": "cubed", "←": "", "→": "to",
}  # fmt: skip
_SPACED_OPERATOR = re.compile(r"(?:<=|>=|!=|==|=>|->|[<>])(?=\s|$|\d)")
_TWO_CHARS = {
    "<=": "less than or equal to", ">=": "greater than or equal to", "!=": "is not equal to", "==": "equals",
    "=>": "", "->": "to", "<": "less than", ">": "greater than",
}  # fmt: skip
_NUMBER_SIGN = re.compile(r"#(\d{4,15})(?![\w]|[.,]\d)")
_SIGN = re.compile(r"[-–+~](?=[.\d$€£])")
_PLUS_PLUS = re.compile(r"\+{2}|\+(?=\s|[.,;:!?)]|$)")
_ENDS_NUMBER = frozenset("%°¢€£)²³")
_MULTIPLIED = re.compile(r"\s?\*\s?(?=[\d(])")


def spoken_symbol(source: Source, position: int) -> Reading | None:
    """Words for a sign at this position, or None where it is punctuation or silent."""
    text, char = source.text, source.char(position)
    before, after = source.char(position - 1), source.char(position + 1)
    if char == "#" and after.isdecimal():
        found = _NUMBER_SIGN.match(text, position)
        if found:  # ticket and order numbers
            return [("number", position, position + 1), (digits(found[1]), position + 1, found.end())], found.end()
        return [("number", position, position + 1)], position + 1
    rate = RATE.match(text, position) if char == "/" else None
    if rate:
        return [(f"per {RATE_NAMES.get(rate[1], rate[1])}", position, rate.end())], rate.end()
    if char == "^" and after.isalnum():
        return [("to the power of", position, position + 1)], position + 1
    if char == "*":
        found = _MULTIPLIED.match(text, position)
        times = found is not None and _number_ends(source, position)
        return ([("times", position, position + 1)], position + 1) if times else None
    sign = _signed(source, position, char, before)
    if sign is not None:
        return [(sign, position, position + 1)], position + 1
    operator = _SPACED_OPERATOR.match(text, position)
    if operator and (before.isspace() or before.isalnum()) and _TWO_CHARS[operator[0]]:
        return [(_TWO_CHARS[operator[0]], position, operator.end())], operator.end()
    if char == "+" and (before.isalnum() or before == "+") and _PLUS_PLUS.match(text, position):
        return [("plus", position, position + 1)], position + 1
    if _number_ends(source, position) and char in _BETWEEN_NUMBERS and _number_follows(source, position):
        return [(_BETWEEN_NUMBERS[char], position, position + 1)], position + 1
    name = _ALWAYS.get(char)
    if name and not (char in "=+" and after == char):
        return [(name, position, position + 1)], position + 1
    return None


def _signed(source: Source, position: int, char: str, before: str) -> str | None:
    """Signs right before a number: minus, plus, about; "to" between two amounts ("10%-20%")."""
    if not _SIGN.match(source.text, position):
        return None
    if char in "-–" and before and (before in _ENDS_NUMBER or (before.isalnum() and source.char(position + 1) in "$€£")):
        return "to"
    if char == "–":
        return None
    if before and (before.isalnum() or before in "-.,'"):
        return None
    if char == "-" and before.isspace() and source.char(position - 2).isdecimal():
        return "minus"
    return {"-": "minus", "+": "plus", "~": "about"}[char]


def _number_ends(source: Source, position: int) -> bool:
    before = source.char(position - 1)
    if before == " ":
        before = source.char(position - 2)
    return before.isdecimal() or before in _ENDS_NUMBER


def _number_follows(source: Source, position: int) -> bool:
    after = source.char(position + 1)
    if after == " ":
        after = source.char(position + 2)
    return after.isdecimal() or after in ("(", "$", "€", "£", "-", ".")


def spaced_minus(source: Source, position: int) -> Reading | None:
    """``5 - 3``: minus, where numbers stand on both sides."""
    spaced = source.text[position - 1 : position + 2] in (" - ", " – ")
    if spaced and _number_ends(source, position) and _number_follows(source, position):
        return [("minus", position, position + 1)], position + 1
    return None

"""Numerals that are read the same way in every language: Roman ones, and fractions of one character."""

FRACTIONS = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8),
}  # fmt: skip
VULGAR_FRACTIONS = "".join(FRACTIONS)


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def roman(text: str) -> int:
    """Value of a well-formed Roman numeral below 4000, else 0."""
    if not text or any(char not in _ROMAN for char in text):
        return 0
    values = [_ROMAN[char] for char in text]
    total = sum(
        -value if index + 1 < len(values) and value < values[index + 1] else value for index, value in enumerate(values)
    )
    return total if 0 < total < 4000 and _to_roman(total) == text else 0


def _to_roman(value: int) -> str:
    written = ""
    for amount, letters in zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        "M CM D CD C XC L XL X IX V IV I".split(),
        strict=True,
    ):
        count, value = divmod(value, amount)
        written += letters * count
    return written

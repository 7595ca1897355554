"""Scripts: all languages spoken here are written in Latin letters."""

import unicodedata
from collections.abc import Sequence

from server.text.normalize.tokens import SpokenToken, Token


def is_foreign_word(word: str) -> bool:
    """Whether it is written in another script. A single letter of an alphabet with capitals is not: formulas use them."""
    letters = [char for char in unicodedata.normalize("NFKC", word) if char.isalpha()]
    if not letters or any(unicodedata.name(char, "").startswith("LATIN ") for char in letters):
        return False
    return len(letters) > 1 or unicodedata.category(letters[0]) == "Lo"


def scripts_of(tokens: Sequence[Token], text: str) -> tuple[bool, bool]:
    """Whether words of the voice's own script are in it, and words of others. Numbers are neither.

    A word of another script that a dictionary has an alias for is a word of the voice's own.
    """
    words = [token for token in tokens if isinstance(token, SpokenToken)]
    foreign = [token.phones is None and is_foreign_word(token.say) for token in words]
    own = (
        any(map(str.isalpha, text[word.start : word.end]))
        for word, is_foreign in zip(words, foreign, strict=True)
        if not is_foreign
    )
    return any(own), any(foreign)

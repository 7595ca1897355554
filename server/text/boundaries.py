"""Where sentences end, which depends on a language's abbreviations."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from server.text.languages.english import abbreviations as english
from server.text.languages.language import Language


@dataclass(frozen=True, slots=True)
class Boundaries:
    """What the segmenter asks about a full stop."""

    never_ends: Callable[[str], bool]
    """Whether a full stop after this word never ends a sentence."""
    may_end: Callable[[str], bool]
    """Whether the word after the full stop has to be seen."""
    ends_before: Callable[[str, str], bool]
    """Whether a sentence ends after a word that `may_end` when this word follows."""
    last_word: re.Pattern[str]
    """The word, with inner full stops, that a text ends in."""
    conjunction: re.Pattern[str]
    """A space that an overlong sentence may be cut at."""


ENGLISH = Boundaries(
    english.never_ends_sentence,
    english.may_end_sentence,
    english.ends_before,
    re.compile(r"([A-Za-z]+(?:\.[A-Za-z]+){0,6})$"),
    re.compile(r"\s(?=(?:and|but|or|which|that|because|while|when|where|who|if|so|then|for|with)\s)"),
)


def boundaries_of(language: Language) -> Boundaries:
    """From the tables of a language; a sentence does not end before a small letter, and not after "3." in German."""
    tables = language.abbreviations
    short = {*tables.may_end, *tables.before_number}

    def may_end(word: str) -> bool:
        numbered = word.isdecimal() and len(word) < 4 and bool(language.day_ordinal)
        dotted = "." in word and all(len(piece) == 1 for piece in word.split("."))
        known = word in short or word.lower() in language.month_short or any(word.endswith(s[:-1]) for s in language.suffixes)
        return numbered or known or dotted or (len(word) == 1 and word.isalpha())

    def ends_before(word: str, next_word: str) -> bool:
        if next_word[0].isdecimal():
            return word not in tables.before_number and not any(word.endswith(s[:-1]) for s in language.suffixes)
        return next_word[0].isupper() and next_word.partition("'")[0] in language.starters

    return Boundaries(
        tables.never_end.__contains__,
        may_end,
        ends_before,
        re.compile(r"([^\W_]+(?:[.-]+[^\W_]+){0,6})$"),
        re.compile(rf"\s(?=(?:{language.conjunctions})\s)"),
    )

"""Words and characters that were said against those that were heard, as published figures of Whisper are counted.

Both texts go through OpenAI's normalizer (package whisper-normalizer): the English one for English, which also spells
numbers and contractions one way; for other languages the basic one, which drops punctuation and case but here keeps
combining marks, without which Hindi has no vowels. Errors are counted by jiwer: words, or characters without spaces for
Chinese and Japanese.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

COUNTED_BY_CHARACTER = frozenset({"ja", "zh"})
HALF_CHARACTER = "\ufffd"


@cache
def normalizer(language: str) -> Callable[[str], str]:
    normalize: Callable[[str], str] = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer(preserve_marks=True)
    return normalize


def normalized(text: str, language: str) -> str:
    """What is counted of a text: words with single spaces, or characters without any."""
    words = normalizer(language)(text).split()
    return ("" if language in COUNTED_BY_CHARACTER else " ").join(words)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one clip or of several; words, or characters of languages that are counted by them."""

    said: int = 0
    substituted: int = 0
    deleted: int = 0
    inserted: int = 0

    @property
    def count(self) -> int:
        return self.substituted + self.deleted + self.inserted

    @property
    def percent(self) -> float:
        """NaN if nothing was said."""
        return 100 * self.count / self.said if self.said else float("nan")

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.said + other.said,
            self.substituted + other.substituted,
            self.deleted + other.deleted,
            self.inserted + other.inserted,
        )


def errors(said: str, heard: str, language: str) -> Errors:
    """Raises ValueError if nothing that counts was said."""
    reference, hypothesis = normalized(said, language), normalized(heard, language)
    if not reference:
        raise ValueError(f"nothing that counts was said: {said!r}")
    process = jiwer.process_characters if language in COUNTED_BY_CHARACTER else jiwer.process_words
    found = process(reference, hypothesis)
    return Errors(found.hits + found.substitutions + found.deletions, found.substitutions, found.deletions, found.insertions)


def total(parts: Sequence[Errors]) -> Errors:
    return sum(parts, start=Errors())

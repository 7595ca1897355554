"""Texts of windows, one behind the other → one text.

A recognizer writes each window as if a text began there: without a space before it and with a capital. Between words of
scripts that have spaces one is put in. A capital is taken back where the text before has not come to the end of a
sentence, unless the word is always written with one, as far as can be told: "I", German nouns, words with further
capitals or digits in them, and what this stream has written with a capital within a sentence.
"""

from collections.abc import Sequence

from models.scripts import is_unspaced

SENTENCE_ENDS = frozenset(".!?…。！？।؟:")
QUOTES_AND_BRACKETS = "\"'”’»)]」』）"
CAPITALIZED_NOUNS = frozenset({"de", "lb"})
"""Languages in which any noun has a capital."""


def _bare(word: str) -> str:
    return word.strip().strip(".,!?;:…\"'“”‘’«»()[]")


def _ends_sentence(text: str) -> bool:
    bare = text.rstrip().rstrip(QUOTES_AND_BRACKETS)
    return not bare or bare[-1] in SENTENCE_ENDS


class Joins:
    """What has been written so far, as far as it decides how a text goes on. Words carry the space before them."""

    def __init__(self) -> None:
        self._end = ""
        """The last word."""
        self._capitalized: set[str] = set()
        """Words that were written with a capital within a sentence."""

    def continued(self, words: Sequence[str], language: str) -> list[str]:
        """The words of the next window as they are written behind the text so far."""
        if not words:
            return []
        first = words[0].lstrip()
        if self._end:
            if self._continues(first, language):
                at = first.index(_bare(first)[0])
                first = first[:at] + first[at].lower() + first[at + 1 :]
            if not (is_unspaced(self._end[-1]) or is_unspaced(first[0])):
                first = f" {first}"
        return [first, *words[1:]]

    def write(self, words: Sequence[str]) -> None:
        """These words, as `continued` gave them, are final."""
        for word in words:
            bare = _bare(word)
            if bare[:1].isupper() and not _ends_sentence(self._end):
                self._capitalized.add(bare)
            self._end = word

    def _continues(self, word: str, language: str) -> bool:
        """Whether the capital of a window's first word is there only because the window begins with it."""
        bare = _bare(word)
        root = bare.partition("'")[0].partition("’")[0]
        is_capital = bare[:1].isupper() and (bare[1:].islower() or len(bare) == 1)
        if not is_capital or root == "I" or language in CAPITALIZED_NOUNS:
            return False
        return not _ends_sentence(self._end) and bare not in self._capitalized

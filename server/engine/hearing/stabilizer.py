"""Hypotheses of a growing window → words that are shown once and never taken back.

Local agreement: a word counts as heard when two decodings in a row agree on it
and on everything before it (Liu, Spanakis, Niehues 2020; Macháček, Dabre, Bojar
2023). The newest spelling of a word is kept until it is committed. Words carry the
space before them; in scripts without spaces they are characters (`models.scripts.words_of`).
"""

import unicodedata
from collections.abc import Sequence


def spelling(word: str) -> str:
    """What of a word must agree: letters and digits without case; marks between them do not matter."""
    kept = [letter for letter in word.casefold() if unicodedata.category(letter)[0] in "LNM"]
    return "".join(kept) or word.strip()


class Stabilizer:
    """Words of one window, oldest first."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self._previous: list[str] = []

    def update(self, words: Sequence[str], in_pause: bool = False) -> bool:
        """Take the words of the newest decoding; true when there are more committed words now.

        Unless the audio ends in a pause, its last word may be half a word, which two decodings can agree on.
        """
        agreed = 0
        while agreed < min(len(words), len(self._previous)) and spelling(words[agreed]) == spelling(self._previous[agreed]):
            agreed += 1
        self._previous = list(words)
        if not in_pause:
            agreed = min(agreed, len(words) - 1)
        before = len(self.committed)
        if agreed > before and self.allows(words):
            self.committed.extend(words[before:agreed])
        return len(self.committed) > before

    def had(self, words: Sequence[str]) -> bool:
        """Whether the last decoding ended with the same words, or went on behind them."""
        before = self._previous[: len(words)]
        return len(before) == len(words) > 0 and spelling(before[-1]) == spelling(words[-1])

    def finish(self, words: Sequence[str]) -> list[str]:
        """All words of the last decoding behind those that are committed already."""
        return [*self.committed, *words[len(self.committed) :]]

    def allows(self, words: Sequence[str]) -> bool:
        """Whether a decoding agrees with what is committed: one that contradicts it cannot add to it."""
        return all(spelling(a) == spelling(b) for a, b in zip(self.committed, words, strict=False))

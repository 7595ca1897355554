"""Words as the client wrote them, with offsets into all text of the context, and what is made of them."""

import re
from bisect import bisect_right
from dataclasses import dataclass

from models.speech import Utterance

_CHUNK = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it is spoken; ``written_index`` is the written word it came from."""

    text: str
    written_index: int


@dataclass(frozen=True, slots=True)
class WrittenWord:
    """A word between white space (or tags), with its punctuation; offsets into the context's text."""

    text: str
    start_chars: int
    end_chars: int


@dataclass(frozen=True, slots=True)
class TextSegment:
    """One clause or sentence: an utterance for the model, words for the client.

    ``Phone.word`` indexes ``spoken``; of an utterance without phones ``spoken`` are the words of its text.
    ``SpokenWord.written_index`` indexes ``written``, which holds only written words that are heard.
    """

    utterance: Utterance
    spoken: tuple[SpokenWord, ...]
    written: tuple[WrittenWord, ...]
    unknown_phones: tuple[str, ...] = ()
    """What inline phonemes held that no phone could be found for."""


class WrittenWords:
    """The written words of one segment; only those that something spoken came from are kept."""

    def __init__(self) -> None:
        self._words: list[WrittenWord] = []
        self._starts: list[int] = []
        self._used: dict[int, int] = {}

    def add_run(self, text: str, start_chars: int) -> None:
        """Split a run at white space and add its words, in order."""
        for chunk in _CHUNK.finditer(text):
            self.add_whole(chunk[0], start_chars + chunk.start())

    def add_whole(self, text: str, start_chars: int) -> None:
        self._words.append(WrittenWord(text, start_chars, start_chars + len(text)))
        self._starts.append(start_chars)

    def index_at(self, position_chars: int) -> int:
        """Index (among used words) of the written word at this offset; marks it as used."""
        word = max(0, bisect_right(self._starts, position_chars) - 1)
        return self._used.setdefault(word, len(self._used))

    def used(self) -> tuple[WrittenWord, ...]:
        """The used words, in the order in which they were first used."""
        return tuple(self._words[word] for word in self._used)

"""Words that were said against words that were heard: errors, and when each word was first there. Pure."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from server.bench.word_alignment import align

_NOT_SCORED = re.compile(r"[^a-z0-9']+")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One scored word and where it lies in the audio, in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Sent:
    """Audio up to ``audio_end_s`` had been sent at ``at_s``."""

    at_s: float
    audio_end_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The whole text as a client had it at ``at_s``: what is final and the interim text after it."""

    at_s: float
    text: str


def scored_words(text: str) -> list[str]:
    """What counts: lower case, letters, digits and apostrophes; everything else parts words."""
    return _NOT_SCORED.sub(" ", text.lower()).split()


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Substitutions, insertions and deletions of the shortest way from one to the other."""
    return sum(pair.is_error for pair in align(said, heard))


def matched_words(said: Sequence[str], heard: Sequence[str]) -> list[int]:
    """Places of the words of ``said`` that an alignment with the fewest errors leaves unchanged, ascending.

    Of two equal words, a text that has not come so far yet holds the earlier. Hence
    back to front: `align` pairs words as far towards the end as it can.
    """
    pairs = align(said[::-1], heard[::-1])
    return sorted(len(said) - 1 - pair.said for pair in pairs if pair.said is not None and not pair.is_error)


def word_lags_s(words: Sequence[SpokenWord], sent: Sequence[Sent], heard: Sequence[Heard]) -> list[float | None]:
    """For each word, from the moment its last audio had been sent to the first text that holds it.

    A text holds a word where the alignment with the fewest errors between the text
    and what had begun to be said by then matches it. Negative for a word that was
    guessed before it was over; None for one that was never written like that.
    """
    ends_s = [piece.audio_end_s for piece in sent]
    moments_s = [piece.at_s for piece in sent]
    starts_s = [word.start_s for word in words]
    first_s: list[float | None] = [None] * len(words)
    for text in heard:
        pieces = bisect_right(moments_s, text.at_s)
        begun = bisect_left(starts_s, ends_s[pieces - 1]) if pieces else 0
        for index in matched_words([word.text for word in words[:begun]], scored_words(text.text)):
            if first_s[index] is None:
                first_s[index] = text.at_s
    lags_s: list[float | None] = []
    for word, at_s in zip(words, first_s, strict=True):
        # The end of the last word may lie a rounding error after the last sample.
        piece = min(bisect_left(ends_s, word.end_s), len(ends_s) - 1)
        lags_s.append(None if at_s is None else at_s - moments_s[piece])
    return lags_s

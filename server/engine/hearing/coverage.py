"""Whether a text covers all that was said in its window.

A recogniser may take a pause for the end, or begin behind it, and leave out a whole phrase without a trace. The
detector knows that somebody spoke there; a window whose text has no word there is cut at the pause and its parts are
transcribed on their own.
"""

import itertools
from collections.abc import Sequence

from models.hearing import RecognizedWord

MIN_PHRASE_S = 0.25
"""Speech shorter than this may be a breath or a knock: nothing is missing if it has no word."""
MIN_NEW_PHRASE_S = 0.75
"""While somebody speaks on, the first word of a phrase may need this long to be recognised."""

Span = tuple[int, int]
"""First sample and one past the last."""


def uncovered_pause(
    phrases: Sequence[Span], words: Sequence[RecognizedWord], rate_hz: int, *, is_whole: bool, keep_start: bool
) -> int | None:
    """The sample, counted from the start of the window, at which to cut it; None if every phrase has a word, or none has.

    ``phrases`` are the stretches of speech between pauses. ``is_whole`` says that the last phrase has ended,
    ``keep_start`` that words at the start of the text are fixed already, so that only its end can be missing.
    """
    if len(phrases) < 2 or not words:
        return None
    pauses = [(a[1] + b[0]) // 2 for a, b in itertools.pairwise(phrases)]
    starts = [word.start_s * rate_hz for word in words]
    borders = [-1.0, *map(float, pauses), float("inf")]
    for place, (first, last) in enumerate(phrases):
        newest = place == len(phrases) - 1 and not is_whole
        if last - first < (MIN_NEW_PHRASE_S if newest else MIN_PHRASE_S) * rate_hz:
            continue
        if any(borders[place] <= start < borders[place + 1] for start in starts):
            continue
        if keep_start and max(starts) >= borders[place]:
            continue
        return pauses[max(0, place - 1)]
    return None

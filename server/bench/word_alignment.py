"""Which heard word answers to which said one: the alignment behind a word error rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Pair:
    """Places of a said and a heard word; None for a word that nobody said (an insertion) or heard (a deletion)."""

    said: int | None
    heard: int | None
    is_error: bool


def align(said: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """A cheapest alignment (Levenshtein, every error costs 1), in order; ties prefer pairs over insertions over deletions."""
    rows, columns = len(said), len(heard)
    numbers = {word: number for number, word in enumerate({*said, *heard})}
    b = np.array([numbers[word] for word in heard], np.int64)
    cost = np.zeros((rows + 1, columns + 1), np.int32)
    cost[0] = np.arange(columns + 1)
    steps = np.arange(columns + 1)
    for i, word in enumerate(said, 1):
        # Without insertions first; those are a running minimum along the row.
        row = cost[i]
        row[0] = i
        row[1:] = np.minimum(cost[i - 1, 1:] + 1, cost[i - 1, :-1] + (b != numbers[word]))
        row[:] = np.minimum.accumulate(row - steps) + steps
    pairs: list[Pair] = []
    i, j = rows, columns
    while i or j:
        wrong = i > 0 and j > 0 and said[i - 1] != heard[j - 1]
        if i and j and cost[i, j] == cost[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            pairs.append(Pair(i, j, wrong))
        elif j and cost[i, j] == cost[i, j - 1] + 1:
            j -= 1
            pairs.append(Pair(None, j, True))
        else:
            i -= 1
            pairs.append(Pair(i, None, True))
    return pairs[::-1]

"""How many CPU threads a model's step is worth on this machine, found by measuring it at the start."""

import math
import time
from collections.abc import Callable, Sequence

from models.cpu_cores import usable_cores
from models.speaking import say_together
from models.speech import Phone, Synthesizer, Utterance

WORTH = 0.85
"""Twice the threads must cut a step to this, or they are better left to the other streams and to the sockets."""
REPEATS = 3
_TEXT = "How much can be done in so short a time?"
_PHONES = tuple(Phone(symbol) for symbol in ("_", *("h", "ʌ") * 8, "."))
_ROWS = 4


def candidates(cores: int) -> list[int]:
    """1, 2, 4 ... up to half of the cores: synthesizer and recognizer step at the same time."""
    counts = [1]
    while 2 * counts[-1] <= cores // 2:
        counts.append(2 * counts[-1])
    return counts


def fastest(counts: Sequence[int], step_s: Callable[[int], float]) -> int:
    """The count to use; ``step_s`` measures a step with so many threads. Stops at the first doubling that is not worth it."""
    chosen = counts[0]
    if len(counts) > 1:
        least_s = step_s(chosen)
        for count in counts[1:]:
            took_s = step_s(count)
            if took_s > WORTH * least_s:
                break
            chosen, least_s = count, took_s
    return chosen


def measured_threads(synthesizer: Synthesizer, set_threads: Callable[[int], None]) -> int:
    """Measure the voice, whose first audio is what people wait for, and set the number of threads."""

    least_s = math.inf

    def step_s(count: int) -> float:
        """Again only where the first time is not hopeless: beside a busy process two threads took 50 times as long as one."""
        nonlocal least_s
        set_threads(count)
        took_s = _spoken_s(synthesizer)
        if took_s < least_s:
            took_s = min(took_s, *(_spoken_s(synthesizer) for _ in range(REPEATS - 1)))
        least_s = min(least_s, took_s)
        return took_s

    chosen = fastest(candidates(usable_cores()), step_s)
    set_threads(chosen)
    return chosen


def _spoken_s(synthesizer: Synthesizer) -> float:
    """Seconds for a few rows to say something short, together."""
    info = synthesizer.info
    probe = Utterance(_TEXT, _PHONES if info.reads == "phones" else ())
    rows = min(_ROWS, info.max_slots)
    begin_s = time.perf_counter()
    say_together(synthesizer, [(info.voices[0], [probe])] * rows)
    return time.perf_counter() - begin_s

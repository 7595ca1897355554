"""Engines in turns: each does a piece of work, then the next piece comes, so a machine that slows down slows all of them."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Times:
    """One piece of work by one engine."""

    first_s: float
    """From the start to the first output: one chunk of audio, or all there is."""
    wall_s: float
    processor_s: float
    """Of all threads of the process."""


Work = Callable[[int], Iterable[object]]
"""Does one piece of work, by its number, and gives what comes out of it as it comes."""


def timed(work: Work, piece: int) -> tuple[list[object], Times]:
    """What one piece of work gave, and its times. Raises ValueError if it gave nothing."""
    given: list[object] = []
    first_s = 0.0
    processor_s, started_s = time.process_time(), time.perf_counter()
    for output in work(piece):
        if not given:
            first_s = time.perf_counter() - started_s
        given.append(output)
    wall_s = time.perf_counter() - started_s
    if not given:
        raise ValueError("the engine gave nothing")
    return given, Times(first_s, wall_s, time.process_time() - processor_s)


Outputs = dict[str, list[list[object]]]
Rounds = dict[str, list[list[Times]]]


def in_turns(engines: Mapping[str, Work], pieces: int, rounds: int) -> tuple[Outputs, Rounds]:
    """What every engine gave for every piece, and its times by round and piece.

    Every engine does the first piece once uncounted. Who begins moves on with every piece, so that nobody always comes
    after the same neighbour and finds the caches as that one left them.
    """
    names = list(engines)
    for work in engines.values():
        timed(work, 0)
    outputs: Outputs = {name: [[] for _ in range(pieces)] for name in names}
    times: Rounds = {name: [] for name in names}
    for round_number in range(rounds):
        for name in names:
            times[name].append([])
        for piece in range(pieces):
            first = (round_number + piece) % len(names)
            for name in names[first:] + names[:first]:
                outputs[name][piece], measured = timed(engines[name], piece)
                times[name][-1].append(measured)
    return outputs, times


def total_s(times: Rounds, name: str, field: str) -> float:
    """Seconds of all pieces, the median over rounds."""
    return float(median(sum(getattr(piece, field) for piece in pieces) for pieces in times[name]))


def middle_ms(times: Rounds, name: str, field: str) -> float:
    """Milliseconds of one piece, the median over all pieces and rounds."""
    return 1000 * float(median(getattr(piece, field) for pieces in times[name] for piece in pieces))


def ratios(times: Rounds, name: str, base: str, field: str) -> dict[str, float]:
    """Seconds of an engine over those of ``base`` in the same round: median, lowest, highest. Over 1: ``base`` is faster."""
    sums = {engine: [sum(getattr(p, field) for p in pieces) for pieces in times[engine]] for engine in (name, base)}
    values = [theirs / ours for theirs, ours in zip(sums[name], sums[base], strict=True)]
    return {"median": round(median(values), 2), "lowest": round(min(values), 2), "highest": round(max(values), 2)}


def print_rows(title: str, rows: Mapping[str, Mapping[str, object]]) -> None:
    """A table with a line per engine and a column per figure."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    widths = [max(len(column), *(len(_cell(row.get(column))) for row in rows.values())) + 2 for column in columns]
    first = max(len(title), *(len(name) for name in rows)) + 1
    print(f"{title:{first}}" + "".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True)))
    for name, row in rows.items():
        cells = (f"{_cell(row.get(column)):>{width}}" for column, width in zip(columns, widths, strict=True))
        print(f"{name:{first}}" + "".join(cells))
    print()


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{value['median']} ({value['lowest']}-{value['highest']})"
    return "" if value is None else str(value)

"""Cancels, first requests, hostile clients and overload against a real server, each beside the bar it has to meet."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cancels import at_random, next_as_fast, slot_freed
from benchmarks.crowds import first_request, first_request_rows, hostile, overload
from benchmarks.measured_server import MeasuredServer, Row, own_server, run
from benchmarks.result_lines import publish
from server.bench.clients import LoadRefused
from server.bench.target import API_VERSION, Target

ROOM = 256
"""Slots of the server that hostile clients come to: they are to be given up, not kept out."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    trials: int = 100
    cancels: int = 10_000
    starts: int = 5
    warm: int = 20
    each: int = 50
    listeners: int = 4
    alone_s: float = 30.0
    deadline_s: float = 30.0
    overload_s: float = 300.0
    slots: int = 64


SMOKE = Sizes(trials=2, cancels=30, starts=1, warm=2, each=5, listeners=1, alone_s=0.5, deadline_s=1.0, overload_s=2.0, slots=2)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario finds its server: the one that runs, or one of its own with the limits it needs."""

    running: MeasuredServer | None

    @contextmanager
    def server(self, **limits: float) -> Iterator[MeasuredServer]:
        if self.running is not None:
            yield self.running
            return
        with own_server(**limits) as server:
            yield server


def cancel_rows(place: Place, sizes: Sizes) -> Iterator[Row]:
    # One request has to wait for as long as all slots are held, whatever that is.
    with place.server(max_speech_sessions=sizes.slots, max_queue_s=3600.0) as server:
        yield from run(slot_freed(server, sizes.trials))
        yield from run(next_as_fast(server, sizes.trials))
        yield from run(at_random(server, sizes.cancels))


def first_rows(place: Place, sizes: Sizes) -> Iterator[Row]:
    if place.running is not None:
        return
    measured = []
    for _ in range(sizes.starts):
        with place.server() as server:
            measured.append(run(first_request(server, sizes.warm)))
    yield from first_request_rows(measured)


def hostile_rows(place: Place, sizes: Sizes) -> Iterator[Row]:
    limits = {
        "max_speech_sessions": ROOM, "max_transcription_sessions": ROOM, "stall_timeout_s": sizes.deadline_s,
        "context_idle_s": sizes.deadline_s, "transcription_idle_s": sizes.deadline_s,
    }  # fmt: skip
    with place.server(**limits) as server:
        yield from run(hostile(server, sizes.each, sizes.listeners, sizes.alone_s, sizes.deadline_s))


def overload_rows(place: Place, sizes: Sizes) -> Iterator[Row]:
    with place.server(max_speech_sessions=sizes.slots) as server:
        yield from overload(server, sizes.overload_s)


SCENARIOS: dict[str, Callable[[Place, Sizes], Iterator[Row]]] = {
    "cancels": cancel_rows,
    "first": first_rows,
    "hostile": hostile_rows,
    "overload": overload_rows,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    sizes = SMOKE if options.smoke else Sizes(
        cancels=options.cancels, each=options.each, deadline_s=options.deadline_s, overload_s=options.overload_s
    )  # fmt: skip
    print(f"{'scenario':16}{'figure':44}{'value':>10}{'bar':>9}")
    rows: list[Row] = []
    try:
        place = Place(_running(options))
        for name in options.scenarios:
            for row in SCENARIOS[name](place, sizes):
                rows.append(row)
                _show(row, only_counts=options.smoke)
    except (LoadRefused, OSError, RuntimeError) as error:
        print(f"hard_clients: {error}", file=sys.stderr)
        sys.exit(2)
    config = {**asdict(sizes), "scenarios": options.scenarios, "own_server": options.url is None}
    keep = not (options.no_record or options.smoke or options.url)
    publish("hard_clients", config, {"figures": [_figure(row) for row in rows]}, keep=keep)
    if any(row.is_missed and (row.is_count or not options.smoke) for row in rows):
        sys.exit(1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="Server that runs, http only; its own are started if absent. Needs --metrics-url.")
    parser.add_argument("--metrics-url", help="Prometheus page of the server at --url.")
    parser.add_argument("--server-pid", type=int, help="Process id of the server at --url on this machine, for its memory.")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--voice", help="Voice id; the server's first voice if absent.")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--cancels", type=int, default=Sizes.cancels, help="Requests given up at random moments.")
    parser.add_argument("--each", type=int, default=Sizes.each, help="Hostile clients of each of four kinds.")
    parser.add_argument("--deadline-s", type=float, default=Sizes.deadline_s, help="The longest of the server's time limits.")
    parser.add_argument("--overload-s", type=float, default=Sizes.overload_s, help="How long at three times capacity.")
    parser.add_argument("--smoke", action="store_true", help="A few of everything; only bars on counts, none on times.")
    parser.add_argument("--no-record", action="store_true", help="Leave benchmarks/results alone.")
    options = parser.parse_args(arguments)
    if options.url and not options.metrics_url:
        parser.error("--url needs --metrics-url, where slots and sessions are counted")
    return options


def _running(options: argparse.Namespace) -> MeasuredServer | None:
    if not options.url:
        return None
    target = Target(options.url, options.api_key, API_VERSION)
    return MeasuredServer(target, options.voice or target.first_voice(), options.metrics_url, options.server_pid)


def _show(row: Row, *, only_counts: bool) -> None:
    bar = "" if row.bar is None or (only_counts and not row.is_count) else f"{row.bar:g}"
    print(f"{row.scenario:16}{row.figure:44}{row.value:10.2f}{bar:>9} {row.unit}{'   MISSED' if bar and row.is_missed else ''}")
    sys.stdout.flush()


def _figure(row: Row) -> dict[str, Any]:
    """JSON has no NaN and no infinity: null is a figure that could not be had."""
    value = round(row.value, 3) if math.isfinite(row.value) else None
    return {"scenario": row.scenario, "figure": row.figure, "value": value, "unit": row.unit, "bar": row.bar}


if __name__ == "__main__":
    main()

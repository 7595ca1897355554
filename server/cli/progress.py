"""A progress line for people, shown only when work takes longer than two seconds and someone watches."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

SHOWN_AFTER_S = 2.0


@contextlib.contextmanager
def progress(label: str) -> Iterator[Callable[[], None]]:
    """Gives a function to call at each bit of progress; draws a spinner with the elapsed time on a terminal."""
    started_s = time.perf_counter()
    steps = 0

    def advance() -> None:
        nonlocal steps
        steps += 1
        elapsed_s = time.perf_counter() - started_s
        if elapsed_s > SHOWN_AFTER_S and sys.stderr.isatty():
            sys.stderr.write(f"\r{'-\\|/'[steps % 4]} {label} … {elapsed_s:.0f} s")
            sys.stderr.flush()

    try:
        yield advance
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")

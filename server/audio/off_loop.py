"""Audio conversion beside the event loop, wherever it takes longer than handing it over.

NumPy and FFmpeg let go of the interpreter while they compute, so the loop goes on serving others meanwhile. The longest
that one callback held it, in processor time, with 16 streams at once: 224 ms with conversion to MP3 at 44.1 kHz on the
loop and 2.7 ms with it here, 57 and 0.5 ms for floats at 44.1 kHz, 4.1 and 0.6 ms for mu-law at 8 kHz.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from models.audio import Pcm
from server.audio.input import InputChain
from server.audio.output import OutputChain

A = TypeVar("A")
R = TypeVar("R")

HAND_OVER_S = 0.0002
"""Work that is expected to take less is done at once: going to a thread and back takes 0.1 ms or more."""

PIECE_BYTES = 32 * 1024
"""Audio decoded at once: at most 4 s, a few milliseconds of work."""

_HELD_BACK_SAMPLES = 1200
"""A frame of MP3 at the model's rate, the most that a chain keeps to itself."""

_THREADS = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="descant-audio")


async def encoded(chain: OutputChain, pcm: Pcm) -> bytes:
    """`OutputChain.encode`. A chain must have one caller at a time."""
    return await _done(chain.work_s(len(pcm)), chain.encode, pcm)


async def finished(chain: OutputChain) -> bytes:
    """`OutputChain.finish`."""
    return await _done(chain.work_s(_HELD_BACK_SAMPLES), lambda _: chain.finish(), None)


async def decoded(chain: InputChain, data: bytes) -> AsyncIterator[Pcm]:
    """`InputChain.feed`, piece by piece; others have their turn between. A chain must have one caller at a time."""
    for start in range(0, len(data), PIECE_BYTES):
        piece = data[start : start + PIECE_BYTES]
        yield await _done(chain.work_s(len(piece)), chain.feed, piece)
        await asyncio.sleep(0)


async def _done(work_s: float, function: Callable[[A], R], argument: A) -> R:
    if work_s < HAND_OVER_S:
        return function(argument)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, function, argument)

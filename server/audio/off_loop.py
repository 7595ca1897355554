"""Audio conversion beside the event loop, wherever it takes longer than handing it over.

NumPy and FFmpeg let go of the interpreter while they compute, so the loop goes on serving others meanwhile.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from models.base import Pcm
from server.audio.input import InputChain
from server.audio.output import OutputChain

A = TypeVar("A")
R = TypeVar("R")

HAND_OVER_S = 0.0002
"""Work that is expected to take less is done at once: going to a thread and back takes 0.1 ms or more."""

_THREADS = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="descant-audio")


async def encoded(chain: OutputChain, pcm: Pcm) -> bytes:
    """`OutputChain.encode`. A chain must have one caller at a time."""
    return await _done(chain.work_s(len(pcm)), chain.encode, pcm)


async def decoded(chain: InputChain, data: bytes) -> Pcm:
    """`InputChain.feed`. A chain must have one caller at a time."""
    return await _done(chain.work_s(len(data)), chain.feed, data)


async def _done(work_s: float, function: Callable[[A], R], argument: A) -> R:
    if work_s < HAND_OVER_S:
        return function(argument)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, function, argument)

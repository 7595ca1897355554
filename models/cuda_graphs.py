"""Steps in a few fixed shapes, each recorded once as a CUDA graph and replayed from then on.

A step of a small model is a few hundred kernels of microseconds each, so on a card launching takes longer than computing. A
graph launches them all at once, but always with the same shapes and addresses. `StepGraphs` therefore owns buffers for what
goes into a step and comes out, pads every step to the next of a few buckets of (rows, frames), and keeps a graph per bucket,
as vLLM and nano-vLLM do for decoding. The host fills page-locked buffers, all copies are asynchronous, and the wait for the
output is the only one of a step. It runs on a stream of its own, not behind another model on the same card.

A graph is believed only after a replay, on inputs and states that it was not recorded with, gave what running the step gave.
Otherwise one warning names the bucket, which then runs without, and the reason. The rules of capture are in the notes on
CUDA semantics of PyTorch's documentation: no waiting for the device, no shape that depends on values, a warm-up before.

**Nothing here has run on a card yet.** Buckets, padding, states and proof are tested on the CPU, with a recorder that calls
the function again; `tests/models/test_cuda_graphs.py` has a test for the first card that comes.
"""

import logging
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest error of a replay, as the norm of the difference over that of the wanted: -60 dB, as much as a row may feel
its neighbours (`models.speech.Synthesizer.step`)."""

Bucket = tuple[int, int]
"""(rows, frames)."""
Inputs = Mapping[str, Tensor]
Work = Callable[[], object]
Recorder = Callable[[Work], Work]
"""Takes work without arguments and gives what does the same work again. RuntimeError: it cannot be recorded."""
Randomise = Callable[[Bucket, Inputs], None]


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a step in one bucket."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    from_host: bool = True
    """False: it is made on the device."""


def row_buckets(most_rows: int) -> tuple[int, ...]:
    """Powers of two and ``most_rows`` itself."""
    return (*(1 << power for power in range((most_rows - 1).bit_length())), most_rows)


class CudaRecorder:
    """Records on the current stream. All graphs share one memory pool: they run one by one and leave nothing in it."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # torch.cuda.graph leaves its stream as the current one if the capture fails; torch.cuda.stream puts it back.
            with torch.cuda.stream(stream), torch.cuda.graph(graph, pool=self._pool, stream=stream):
                work()
        except RuntimeError:
            self._pool = torch.cuda.graph_pool_handle()  # the allocator may wait for the end of the broken capture
            raise
        return graph.replay


class StepGraphs:
    """Runs a step in buckets. Not thread-safe: one worker owns it, and stays inside `on_stream`."""

    def __init__(
        self,
        step: Callable[[Inputs], Tensor],
        layout: Callable[[Bucket], Mapping[str, Field]],
        rows: Sequence[int],
        frames: Sequence[int],
        device: torch.device,
    ) -> None:
        """``step`` turns the inputs of a ``layout`` into one output and may change tensors of its own in place; it launches
        the same work whatever the values are. ``rows`` and ``frames`` are the sizes of buckets."""
        self._step = step
        self._rows, self._frames = tuple(sorted(set(rows))), tuple(sorted(set(frames)))
        self._device, self._on_card = device, device.type == "cuda"
        self._stream: torch.cuda.Stream | None = torch.cuda.Stream(device) if self._on_card else None  # type: ignore[no-untyped-call]
        self._done: torch.cuda.Event | None = torch.cuda.Event() if self._on_card else None  # type: ignore[no-untyped-call]
        self.replays: dict[Bucket, Work] = {}
        """The graphs of those buckets that have one."""
        self._outputs: dict[Bucket, tuple[Tensor, Tensor]] = {}
        largest = layout(self.buckets[0])
        inputs = {name: torch.zeros(field.shape, dtype=field.dtype, device=device) for name, field in largest.items()}
        host = {name: self._on_host(inputs[name]) for name, field in largest.items() if field.from_host}
        shapes = {bucket: {name: field.shape for name, field in layout(bucket).items()} for bucket in self.buckets}
        self._inputs = {bucket: {name: _start(inputs[name], own[name]) for name in inputs} for bucket, own in shapes.items()}
        self.host = {bucket: {name: _start(host[name], own[name]) for name in host} for bucket, own in shapes.items()}
        """What to fill in for a step, before `upload`. It keeps what an earlier step left."""

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """All, the largest first, so that its memory serves the others."""
        return tuple((rows, frames) for rows in reversed(self._rows) for frames in reversed(self._frames))

    def bucket(self, rows: int, frames: int) -> Bucket:
        """The smallest that holds a step. IndexError: none does."""
        return self._rows[bisect_left(self._rows, rows)], self._frames[bisect_left(self._frames, frames)]

    def on_stream(self) -> AbstractContextManager[object]:
        """Where everything runs that touches inputs or states."""
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()

    def prepare(self, recorder: Recorder | None, states: Sequence[Tensor], randomise: Randomise) -> None:
        """Warm every bucket and record it, if there is a recorder; afterwards states are what they were.

        ``states`` are all tensors that the step changes in place; ``randomise`` fills them and the inputs of a bucket.
        """
        began_s = time.perf_counter()
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with self.on_stream():
            kept = [state.clone() for state in states]
            for bucket in self.buckets:
                randomise(bucket, self._inputs[bucket])
                for _ in range(2):  # the first plans and compiles, the second meets memory as every later one does
                    self._compute(bucket)
                if recorder and (replay := self._proven(bucket, recorder, states, randomise)):
                    self.replays[bucket] = replay
            torch._foreach_copy_(list(states), kept)
        count = len(self.replays), len(self.buckets)
        _log.info("%d of %d buckets have a graph, after %.1f s", *count, time.perf_counter() - began_s)

    def upload(self, bucket: Bucket) -> Inputs:
        """Copy what the host has filled in; gives the inputs on the device, where others may still be to be made."""
        inputs = self._inputs[bucket]
        for name, filled in self.host[bucket].items():
            inputs[name].copy_(filled, non_blocking=True)
        return inputs

    def run(self, bucket: Bucket) -> Tensor:
        """Do the step and wait for its output, on the host; the next step writes over it."""
        self.replays.get(bucket, partial(self._compute, bucket))()
        output, given = self._outputs[bucket]
        given.copy_(output, non_blocking=True)
        if self._done:
            self._done.record(self._stream)
            self._done.synchronize()
        return given

    def _compute(self, bucket: Bucket) -> None:
        """What is recorded. The output is copied, so that a graph leaves nothing behind in the memory that all share."""
        output = self._step(self._inputs[bucket])
        if bucket not in self._outputs:
            largest, host = self._outputs.get(self.buckets[0]) or (torch.empty_like(output), self._on_host(output))
            self._outputs[bucket] = _start(largest, output.shape), _start(host, output.shape)
        self._outputs[bucket][0].copy_(output)

    def _proven(self, bucket: Bucket, recorder: Recorder, states: Sequence[Tensor], randomise: Randomise) -> Work | None:
        """A recording that does what the step does, on values that it was not made with."""
        touched = (self._outputs[bucket][0], *states)
        try:
            replay = recorder(partial(self._compute, bucket))
            randomise(bucket, self._inputs[bucket])
            before = [tensor.clone() for tensor in touched]
            self._compute(bucket)
            wanted = [tensor.clone() for tensor in touched]
            torch._foreach_copy_(list(touched), before)
            replay()
            error = max(_error(got, want) for got, want in zip(touched, wanted, strict=True))
            if error <= TOLERANCE:
                return replay
            reason = f"a replay differs by {error:.2g} from what the step gives"
        except RuntimeError as problem:
            reason = str(problem).partition("\n")[0]
        _log.warning("bucket of %d rows, %d frames runs without a CUDA graph: %s", *bucket, reason)
        return None

    def _on_host(self, buffer: Tensor) -> Tensor:
        return torch.zeros(buffer.shape, dtype=buffer.dtype, pin_memory=self._on_card)


def _start(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """As much of a buffer as the shape takes, contiguous."""
    return buffer.view(-1)[: math.prod(shape)].view(*shape)


def _error(got: Tensor, wanted: Tensor) -> float:
    """Norm of the difference over that of ``wanted``, infinite for NaN; of whole numbers whether they differ."""
    if not wanted.is_floating_point():
        return float(not torch.equal(got, wanted))
    error = (got - wanted).double().norm() / wanted.double().norm().clamp_min(1e-30)
    return float(error.nan_to_num(nan=math.inf))

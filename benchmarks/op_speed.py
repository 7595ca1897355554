"""How fast each op of `kernels` is: torch reference, torch.compile, Triton kernel.

    python -m benchmarks.op_speed --device cuda
    python -m benchmarks.op_speed --device cpu --threads 1

Each figure is the median of repeated calls after a warm-up, timed with CUDA events
on a card (the L2 cache is overwritten before each call) and with a clock
elsewhere. Only the reference runs on a CPU. One JSON line per row and implementation
is appended to --output.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kernels.causal_conv import depthwise_causal_conv_ref
from kernels.layer_norm import layer_norm_ref
from kernels.overlap_add import overlap_add_ref
from server.bench.stats import append_line, record

L2_FLUSH_BYTES = 256 * 1024**2  # larger than any L2 cache so far (H200: 50 MB)


@dataclass(frozen=True, slots=True)
class Row:
    """One op at one size. ``build`` makes the arguments of ``reference`` on a device."""

    op: str
    size: str
    reference: Callable[..., Any]
    build: Callable[[torch.device], tuple[Any, ...]]


def causal_conv_row(rows: int, frames: int, channels: int = 256, taps: int = 7) -> Row:
    def build(device: torch.device) -> tuple[Tensor, ...]:
        shapes = (rows, frames, channels), (channels, taps), (channels,), (rows, taps - 1, channels)
        return tuple(torch.randn(shape, device=device) for shape in shapes)

    return Row("causal_conv", f"B{rows} T{frames} C{channels} K{taps}", depthwise_causal_conv_ref, build)


def layer_norm_row(rows: int, frames: int, channels: int = 256) -> Row:
    def build(device: torch.device) -> tuple[Any, ...]:
        shapes = (rows, frames, channels), (channels,), (channels,)
        return *(torch.randn(shape, device=device) for shape in shapes), 1e-5

    return Row("layer_norm", f"B{rows} T{frames} C{channels}", layer_norm_ref, build)


def overlap_add_row(rows: int, frames: int, frame_samples: int = 480, hop_samples: int = 120) -> Row:
    def build(device: torch.device) -> tuple[Any, ...]:
        pieces = torch.randn(rows, frames, frame_samples, device=device)
        return pieces, hop_samples, torch.zeros(rows, frame_samples - hop_samples, device=device)

    return Row("overlap_add", f"B{rows} T{frames} N{frame_samples} hop{hop_samples}", overlap_add_ref, build)


# One stream and 64 streams, in chunks of 40 frames (200 ms of speech at 5 ms).
ROWS = tuple(row(count, 40) for row in (causal_conv_row, layer_norm_row, overlap_add_row) for count in (1, 64))


def median_us(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of one call in microseconds, after a warm-up of a quarter of ``repeats``."""
    for _ in range(max(1, repeats // 4)):
        call()
    if device.type != "cuda":
        times_us = []
        for _ in range(repeats):
            start_ns = time.perf_counter_ns()
            call()
            times_us.append((time.perf_counter_ns() - start_ns) / 1e3)
        return statistics.median(times_us)
    flush = torch.empty(L2_FLUSH_BYTES, dtype=torch.int8, device=device)
    new_event: Callable[..., Any] = torch.cuda.Event
    events = [(new_event(enable_timing=True), new_event(enable_timing=True)) for _ in range(repeats)]
    for start, end in events:
        flush.zero_()
        start.record()
        call()
        end.record()
    torch.cuda.synchronize(device)
    return statistics.median(float(start.elapsed_time(end)) * 1e3 for start, end in events)


def implementations(row: Row, device: torch.device) -> Iterator[tuple[str, Callable[..., Any]]]:
    yield "reference", row.reference
    if device.type == "cuda":
        yield "torch.compile", torch.compile(row.reference)
        yield "triton", importlib.import_module(f"kernels.triton.{row.op}").launch


def environment(device: torch.device) -> dict[str, Any]:
    """What a figure depends on besides the code and the machine."""
    try:
        triton_version = importlib.import_module("triton").__version__
    except ModuleNotFoundError:
        triton_version = None
    threads = None if device.type == "cuda" else torch.get_num_threads()
    return {"device": device.type, "threads": threads, "torch": torch.__version__, "triton": triton_version}


@torch.inference_mode()
def measure(device: torch.device, repeats: int) -> Iterator[dict[str, Any]]:
    """One record per row and implementation."""
    torch.manual_seed(0)
    for row in ROWS:
        arguments = row.build(device)
        for name, function in implementations(row, device):
            # The arguments are bound here: the loop goes on before a lambda would look.
            def call(function: Callable[..., Any] = function, arguments: tuple[Any, ...] = arguments) -> object:
                return function(*arguments)

            yield {"op": row.op, "size": row.size, "implementation": name, "us": median_us(call, device, repeats)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "op_speed.jsonl")
    parser.add_argument("--smoke", action="store_true", help="3 repeats, nothing is written")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("op_speed: no CUDA device; --device cpu measures the reference")
    if device.type != "cuda":
        print("Only the torch reference runs on this device; the Triton kernels and torch.compile need --device cuda.")
    if options.threads:
        torch.set_num_threads(options.threads)
    about = environment(device)
    for row in measure(device, 3 if options.smoke else options.repeats):
        print(f"{row['op']:12} {row['size']:24} {row['implementation']:14} {row['us']:10.1f} us", flush=True)
        if not options.smoke:
            append_line(options.output, record("op_speed", about, row))


if __name__ == "__main__":
    main()

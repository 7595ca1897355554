"""Figures of a benchmark and what they depend on: percentiles, JSON lines, the machine. No torch, no network."""

import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def percentile(values: Iterable[float], percent: float) -> float:
    """By nearest rank: the smallest value that at least ``percent`` of all values do not exceed.

    Always one of the values, so a tail is a request that happened. NaN for no values.
    """
    if not 0 < percent <= 100:
        raise ValueError(f"percent must be over 0 and at most 100, not {percent}")
    ordered = sorted(values)
    if not ordered:
        return math.nan
    # Rounded, because 99.9 / 100 * 1000 is a little over 999.
    rank = math.ceil(round(percent / 100 * len(ordered), 9))
    return ordered[rank - 1]


def summary(values: Sequence[float], digits: int = 3) -> dict[str, float] | None:
    """p50, p95, p99 and the largest value; None for no values (JSON has no NaN)."""
    if not values:
        return None
    figures = {f"p{percent}": percentile(values, percent) for percent in (50, 95, 99)}
    return {name: round(value, digits) for name, value in {**figures, "max": max(values)}.items()}


def config_hash(config: Mapping[str, Any]) -> str:
    """Twelve hex digits that are equal for equal configurations, in whatever order their keys were given."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """What a figure depends on besides the code: processor, cores this process may use, GPU and driver if any."""
    gpus = _run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    rows = [[cell.strip() for cell in line.split(",")] for line in gpus.splitlines() if "," in line]
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": rows[0][0] if rows else None,
        "gpu_driver": rows[0][1] if rows else None,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


@lru_cache(maxsize=1)
def code_version() -> str:
    """The commit of the checkout this file lies in ("+changes" where it was edited).

    Without one, what ``BENCH_COMMIT`` says, for copies of a checkout; else the installed version.
    """
    folder = str(Path(__file__).resolve().parents[2])
    if _run("git", "-C", folder, "rev-parse", "--show-toplevel") == folder:
        changed = _run("git", "-C", folder, "status", "--porcelain", "--untracked-files=no")
        return _run("git", "-C", folder, "rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    if commit := os.environ.get("BENCH_COMMIT"):
        return commit
    try:
        return version("descant")
    except PackageNotFoundError:
        return "unknown"


def record(benchmark: str, config: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """One line of results: the figures with everything needed to compare them later."""
    return {
        "benchmark": benchmark,
        "commit": code_version(),
        "config_hash": config_hash(config),
        "config": dict(config),
        **figures,
        "machine": machine(),
    }


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Add one JSON line to a file of results; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _run(*command: str) -> str:
    """Standard output of a command; "" if it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

"""What the server cost while it was measured, where that can be seen: memory of its processes, its own metrics page."""

import os
import subprocess
import threading
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

MEMORY_PERIOD_S = 0.5
HISTOGRAMS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "server_loop_lag_ms": ("descant_event_loop_lag_seconds", {}),
    "server_partial_ms": ("descant_transcript_latency_seconds", {"kind": "partial"}),
}
"""Figures of the server's own page: name and labels of the histogram of each."""
Counts = dict[float, float]
"""Cumulative counts by upper bound in seconds."""
_MIB = 1024 * 1024


class ServerWatch:
    """Watches from the start to the end of its ``with`` block.

    ``process_id`` is that of a server on this machine, whose children count with
    it; ``metrics_url`` a Prometheus page. Each may be None, and its figures are
    then left out.
    """

    def __init__(self, process_id: int | None, metrics_url: str | None) -> None:
        self._process_id = process_id
        self._metrics_url = metrics_url
        self._resident_bytes: list[int] = []
        self._before: dict[str, Counts] = {}
        self._after: dict[str, Counts] = {}
        self._gpu_mib: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._before = self._counts()
        if self._process_id is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process_id is not None:
            self._gpu_mib = gpu_memory_mib(process_tree(self._process_id))
            self._stopping.set()
            self._thread.join()
        self._after = self._counts()

    @property
    def memory_mib(self) -> list[float]:
        """Resident memory every `MEMORY_PERIOD_S`; empty where it could not be read."""
        return [resident / _MIB for resident in self._resident_bytes if resident]

    def figures(self) -> dict[str, Any]:
        """None where nothing could be seen."""
        memory = self.memory_mib
        return {
            "server_memory_mib": {"begin": round(memory[0]), "peak": round(max(memory)), "end": round(memory[-1])}
            if memory
            else None,
            "server_gpu_memory_mib": self._gpu_mib,
            **{name: percentiles_ms(self._before.get(name, {}), self._after.get(name, {})) for name in HISTOGRAMS},
        }

    def _sample(self) -> None:
        assert self._process_id is not None
        while True:
            self._resident_bytes.append(resident_bytes(process_tree(self._process_id)))
            if self._stopping.wait(MEMORY_PERIOD_S):
                return

    def _counts(self) -> dict[str, Counts]:
        """What the histograms hold now; empty where there is no page."""
        if self._metrics_url is None:
            return {}
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self._metrics_url, timeout=5) as answer:
                page = answer.read().decode()
        except OSError:
            return {}
        return {name: histogram_counts(page, *where) for name, where in HISTOGRAMS.items()}


def histogram_counts(page: str, name: str, labels: Mapping[str, str]) -> Counts:
    """Of the histogram's series with these labels together, of all processes and models; empty if the page has none."""
    counts: Counts = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == f"{name}_bucket" and labels.items() <= sample.labels.items():
                bound_s = float(sample.labels["le"])
                counts[bound_s] = counts.get(bound_s, 0.0) + sample.value
    return counts


def percentiles_ms(before: Mapping[float, float], after: Mapping[float, float]) -> dict[str, float] | None:
    """Upper bounds of the p50, p95 and p99 of what was observed between two readings; None without observations.

    What lies beyond the largest finite bucket is given as that bucket's bound.
    """
    grown = {bound_s: count - before.get(bound_s, 0.0) for bound_s, count in sorted(after.items())}
    total = max(grown.values(), default=0.0)
    if total <= 0:
        return None
    largest_s = max((bound_s for bound_s in grown if bound_s != float("inf")), default=0.0)
    figures = {}
    for percent in (50, 95, 99):
        bound_s = next(bound_s for bound_s, count in grown.items() if count >= total * percent / 100)
        figures[f"p{percent}"] = round(min(bound_s, largest_s) * 1000, 3)
    return figures


def process_tree(process_id: int) -> list[int]:
    """The process and all its descendants that live; just the process where there is no ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name before it may hold spaces and brackets, hence from its end.
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    tree, index = [process_id], 0
    while index < len(tree):
        tree += children.get(tree[index], [])
        index += 1
    return tree


def resident_bytes(process_ids: list[int]) -> int:
    """Resident memory of all together (pages that they share count for each); 0 where it cannot be read."""
    pages = 0
    for process_id in process_ids:
        try:
            pages += int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def gpu_memory_mib(process_ids: list[int]) -> int | None:
    """Memory on all GPUs of these processes, as the driver counts it; None without a driver or without any."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(",") for line in listed.splitlines() if line.count(",") == 1]
    used = [int(mib) for pid, mib in rows if mib.strip().isdigit() and int(pid) in process_ids]
    return sum(used) if used else None

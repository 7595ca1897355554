"""The picture of a run: latency against load. The only module of the benchmark that needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.bench.clients import LoadRefused
from server.bench.table import Row

Line = tuple[str, str, str]
"""Legend, name in the record, and part of the summary under that name."""

SPEECH_LINES: tuple[Line, ...] = (
    ("first byte p50", "first_byte_ms", "p50"),
    ("first byte p95", "first_byte_ms", "p95"),
    ("first audible p50", "first_audible_ms", "p50"),
    ("first audible p95", "first_audible_ms", "p95"),
)
LISTENING_LINES: tuple[Line, ...] = (
    ("partial lag p50", "partial_lag_ms", "p50"),
    ("partial lag p95", "partial_lag_ms", "p95"),
    ("final p50", "final_ms", "p50"),
    ("final p95", "final_ms", "p95"),
)
_LOAD_NAMES = {"closed": "streams at once (closed loop)", "open": "requests a second (open loop)", "paced": "paced sessions"}


def require_matplotlib() -> None:
    """Raises LoadRefused with the way to mend it, so that a run need not end to find out."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise LoadRefused("--picture needs matplotlib: pip install 'descant[bench]'") from error


def draw(path: Path, rows: Sequence[Row], lines: Sequence[Line], title: str) -> None:
    """Write a PNG or SVG. ``rows`` are records of one shape of load; times on a logarithmic axis, throughput beside them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FormatStrFormatter, LogLocator

    loads = [_load(row) for row in rows]
    figure, axis = plt.subplots(figsize=(9, 5.5), layout="constrained")
    values: list[float] = []
    for index, (label, name, part) in enumerate(lines):
        points = [(load, row[name][part]) for load, row in zip(loads, rows, strict=True) if row[name]]
        values += [value for _, value in points]
        colour = ("#1f4e79", "#c2571a")[index // 2]
        axis.plot(
            *_columns(points), marker="o", markersize=4, color=colour, linestyle="-" if part == "p50" else "--", label=label
        )
    axis.set(xscale="log", xlabel=_LOAD_NAMES[_shape(rows[0])], ylabel="milliseconds")
    axis.set_xticks(loads, [f"{load:g}" for load in loads])
    if all(value > 0 for value in values):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    throughput = axis.twinx()
    throughput.plot(
        loads, [row["audio_s_per_s"] for row in rows], color="#6b8f3a", linestyle=":", marker=".", label="audio s/s"
    )
    throughput.set(ylabel="seconds of audio per second", ylim=(0, None))
    handles = [*axis.get_legend_handles_labels()[0], *throughput.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8)
    axis.set_title(f"{title}\n{_where(rows[0])}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _shape(row: Row) -> str:
    return str(row["config"].get("loop", "paced"))


def _load(row: Row) -> float:
    config = row["config"]
    return float(config["requests_per_s"] if _shape(row) == "open" else config["streams"])


def _where(row: Row) -> str:
    machine: dict[str, Any] = row["machine"]
    hardware = [machine["gpu"], f"driver {machine['gpu_driver']}"] if machine["gpu"] else []
    hardware += [f"{machine['cores']} cores of {machine['cpu']}"]
    return ", ".join([f"server at {row['host']}, client on {hardware[0]}", *hardware[1:], f"commit {row['commit']}"])

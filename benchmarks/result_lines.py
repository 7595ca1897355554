"""Where the measures' results go."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.bench.stats import append_line, record

FOLDER = Path("benchmarks/results")


def publish(benchmark: str, config: Mapping[str, Any], figures: Mapping[str, Any], *, keep: bool) -> None:
    """Print one JSON line with what is needed to compare it and, to keep it, append it to ``benchmarks/results/NAME.jsonl``."""
    line = record(benchmark, config, figures)
    if keep:
        append_line(FOLDER / f"{benchmark}.jsonl", line)
    print(json.dumps(line))

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bench.stats import append_line, code_version, config_hash, machine, percentile, record, summary


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 100))
def test_percentile_is_numpys_nearest_rank(values: list[float], percent: int) -> None:
    assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


def test_percentile_of_few_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(range(1, 101), 95) == 95
    assert percentile(range(1, 21), 95) == 19
    assert percentile(range(1, 1001), 99.9) == 999
    assert percentile([7.0], 99) == 7.0
    assert math.isnan(percentile([], 50))


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_percentile_refuses_nonsense(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        percentile([1.0], percent)


def test_summary() -> None:
    assert summary([float(value) for value in range(1, 201)]) == {"p50": 100.0, "p95": 190.0, "p99": 198.0, "max": 200.0}
    assert summary([0.12345], digits=2) == {"p50": 0.12, "p95": 0.12, "p99": 0.12, "max": 0.12}
    assert summary([]) is None


def test_config_hash_knows_equal_from_different() -> None:
    assert config_hash({"a": 1, "b": [2, None]}) == config_hash({"b": [2, None], "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})
    assert len(config_hash({"path": Path("x")})) == 12


def test_a_record_says_where_it_comes_from(repository: Path) -> None:
    line = record("example", {"streams": 2}, {"first_byte_ms": summary([1.0])})
    assert line["benchmark"] == "example"
    assert line["config_hash"] == config_hash({"streams": 2})
    assert line["first_byte_ms"]["p50"] == 1.0
    assert line["machine"]["cores"] >= 1
    assert line["machine"]["cpu"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=False
    ).stdout.strip()
    assert commit.startswith(line["commit"].partition("+")[0]) or not commit
    assert line["commit"] == code_version()


def test_a_copy_of_a_checkout_is_told_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("BENCH_COMMIT", "0123abcd")
    code_version.cache_clear()
    assert code_version() == "0123abcd"
    monkeypatch.undo()
    code_version.cache_clear()


def test_gpu_is_only_named_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    machine.cache_clear()
    assert (machine()["gpu"], machine()["gpu_driver"]) == ("NVIDIA H200", "570.1")
    tool.write_text("#!/bin/sh\nexit 9\n")
    machine.cache_clear()
    assert (machine()["gpu"], machine()["gpu_driver"]) == (None, None)
    monkeypatch.undo()
    machine.cache_clear()


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "results" / "example.jsonl"
    append_line(path, {"n": 1})
    append_line(path, {"n": 2})
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [1, 2]
    with pytest.raises(ValueError, match="JSON"):
        append_line(path, {"n": math.nan})

import subprocess
import sys
from pathlib import Path

import pytest

from server.bench.watch import ServerWatch, gpu_memory_mib, histogram_counts, percentiles_ms, process_tree, resident_bytes
from server.metrics import Metrics, serve_metrics

MIB = 1024 * 1024


def test_server_lag_is_what_was_observed_in_between() -> None:
    metrics = Metrics()
    port = serve_metrics(metrics, "127.0.0.1", 0)
    for _ in range(100):
        metrics.record_loop_lag(3.0)
    watch = ServerWatch(None, f"http://127.0.0.1:{port}/metrics")
    with watch:
        for lag_s in [0.0009] * 98 + [0.011, 0.019]:
            metrics.record_loop_lag(lag_s)
        metrics.record_transcript("whisper", False, 0.23)
        metrics.record_transcript("whisper", True, 4.0)
    assert watch.figures()["server_loop_lag_ms"] == {"p50": 1.0, "p95": 1.0, "p99": 15.0}
    assert watch.figures()["server_partial_ms"] == {"p50": 250.0, "p95": 250.0, "p99": 250.0}
    assert watch.figures()["server_memory_mib"] is None


def test_lag_counts_of_several_processes_are_added() -> None:
    page = "# TYPE descant_event_loop_lag_seconds histogram\n" + "".join(
        f'descant_event_loop_lag_seconds_bucket{{gateway="{gateway}",le="{bound}"}} {count}\n'
        for gateway in ("0", "1")
        for bound, count in (("0.001", 5), ("0.01", 9), ("+Inf", 10))
    )
    name = "descant_event_loop_lag_seconds"
    counts = histogram_counts(page, name, {})
    assert counts == {0.001: 10, 0.01: 18, float("inf"): 20}
    # Beyond the last bound nothing is known but that it was beyond.
    assert percentiles_ms({}, counts) == {"p50": 1.0, "p95": 10.0, "p99": 10.0}
    assert percentiles_ms(counts, counts) is None
    assert histogram_counts(page, name, {"gateway": "1"}) == {0.001: 5, 0.01: 9, float("inf"): 10}
    assert histogram_counts("# TYPE up gauge\nup 1\n", name, {}) == {}


def test_a_page_that_is_not_there_gives_no_figures() -> None:
    watch = ServerWatch(None, "http://127.0.0.1:9/metrics")
    with watch:
        pass
    assert set(watch.figures().values()) == {None}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_is_that_of_a_process_with_its_children() -> None:
    child = "import sys; block = bytearray(32 * 1024 * 1024); print('ready', flush=True); sys.stdin.read()"
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print('ready', flush=True); sys.stdin.read(); child.communicate()"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert len(process_tree(process.pid)) == 2
        assert resident_bytes(process_tree(process.pid)) > resident_bytes([process.pid]) + 32 * MIB
        watch = ServerWatch(process.pid, None)
        with watch:
            pass
        assert watch.figures()["server_memory_mib"]["peak"] >= 32
        process.stdin.close()
    assert resident_bytes([process.pid]) == 0


def test_gpu_memory_is_that_of_the_servers_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '11, 700\\n12, 300\\n13, [N/A]\\n99, 5000\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpu_memory_mib([11, 12, 13]) == 1000
    assert gpu_memory_mib([7]) is None
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert gpu_memory_mib([11]) is None

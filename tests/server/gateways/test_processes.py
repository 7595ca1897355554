"""`descant serve --gateways 2` with the embedded models: one server to clients, whatever becomes of its processes."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.bench.process import ServerProcess

SPEECH = {
    "model_id": "sonic-turbo", "transcript": "The children went to the river.",
    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
}  # fmt: skip
WAIT_S = 120.0


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes by /proc")
def test_processes_come_and_go(tmp_path: Path) -> None:
    environment = {"DESCANT_DATA_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with ServerProcess.start("--gateways=2", "--device=cpu", environment=environment) as server:
        engine, *gateways = (_roles(server.process.pid)[role] for role in ("engine", "gateway 1", "gateway 2"))
        voice = httpx.get(server.url + "/voices").json()["data"][0]["id"]

        def speak() -> httpx.Response:
            """On a connection of its own, so that any gateway may take it."""
            return httpx.post(server.url + "/tts/bytes", json={**SPEECH, "voice": voice}, timeout=WAIT_S)

        assert all(speak().status_code == 200 for _ in range(8))
        made = httpx.post(server.url + "/pronunciation-dicts", json={"name": "d", "items": []})
        assert all(httpx.get(f"{server.url}/pronunciation-dicts/{made.json()['id']}").status_code == 200 for _ in range(8))
        assert _metric(server, r'descant_first_byte_seconds_count\{model="conv_tts"\}') == 8
        assert _metric(server, r'descant_slots\{kind="speech",model="conv_tts"\}') > 0

        os.kill(gateways[0], signal.SIGKILL)
        _until(lambda: len(_roles(server.process.pid)) == 3 and gateways[0] not in _roles(server.process.pid).values())
        assert all(speak().status_code == 200 for _ in range(4))

        os.kill(engine, signal.SIGKILL)
        _until(lambda: httpx.get(server.url + "/readyz").status_code == 503)
        refused = speak()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert httpx.get(server.url + "/livez").status_code == 200
        _until(lambda: speak().status_code == 200)
        left = set(_roles(server.process.pid).values())
        asked_s = time.monotonic()
        server.stop()
    assert time.monotonic() - asked_s < 3.0  # 0.3 s on a busy machine
    assert server.process.returncode == 0
    _until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes by /proc")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    environment = {"DESCANT_DATA_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with ServerProcess.start("--gateways=1", "--device=cpu", environment=environment) as server:
        children = set(_roles(server.process.pid).values())
        assert len(children) == 2
        server.process.kill()
        _until(lambda: not any(Path(f"/proc/{process}").exists() for process in children))


def _roles(supervisor: int) -> dict[str, int]:
    """Process ids of the supervisor's children that serve, by what they are; gateways in the order of their starts."""
    found: dict[str, int] = {}
    for process in map(int, Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()):
        with contextlib.suppress(ProcessLookupError):  # it just ended
            role = re.search(rb"DESCANT_ROLE=(\w+)", Path(f"/proc/{process}/environ").read_bytes())
            if role is None:
                continue
            name = role[1].decode()
            found[name if name == "engine" else f"gateway {sum('gateway' in known for known in found) + 1}"] = process
    return found


def _metric(server: ServerProcess, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", httpx.get(server.metrics).text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.1)

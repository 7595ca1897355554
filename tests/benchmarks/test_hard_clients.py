"""The benchmark of hard clients runs against a real server, and its counts hold there."""

import json
import math
import time

import pytest
from websockets.frames import Frame, Opcode

from benchmarks.hard_clients import SMOKE, main
from benchmarks.hostile_clients import frame, never_read, reset
from benchmarks.measured_server import MeasuredServer, Row, run
from server.bench.process import ServerProcess
from server.bench.target import Target


@pytest.fixture
def measured(descant_server: ServerProcess) -> MeasuredServer:
    target = Target(descant_server.url)
    return MeasuredServer(target, target.first_voice(), descant_server.metrics, descant_server.process.pid)


def test_a_bar_is_missed_by_what_is_above_it_or_unknown() -> None:
    assert not Row("s", "f", 1.0, "s", 1.0).is_missed
    assert Row("s", "f", 1.1, "s", 1.0).is_missed
    assert Row("s", "f", math.nan, "s", 1.0).is_missed
    assert Row("s", "f", math.inf, "s", 1.0).is_missed
    assert not Row("s", "f", math.nan, "s").is_missed


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_what_a_server_reads(size: int) -> None:
    payload = b"x" * size
    head = Frame(Opcode.TEXT, payload).serialize(mask=True)[: -(size + 4)]
    assert frame(Opcode.TEXT, payload) == head + bytes(4) + payload


def test_sessions_are_seen_while_they_are_there_and_not_after(measured: MeasuredServer) -> None:
    assert measured.sessions().slots == 64
    accepted = measured.sessions().accepted
    clients = [never_read(measured, number) for number in range(4)]
    try:
        late_s = time.perf_counter() + 30.0
        while (seen := measured.sessions()).open < 4:
            assert time.perf_counter() < late_s, f"four clients have asked, and the server says {seen}"
            time.sleep(0.05)
    finally:
        for client in clients:
            reset(client)
    took_s, seen = run(measured.idle_after_s(30.0))
    assert took_s < 30.0
    assert (seen.active, seen.queued, seen.open) == (0, 0, 0)
    assert seen.accepted - accepted == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_slot_and_no_request_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """Every scenario on a server of its own; leaves with status 1 where a count misses its bar."""
    main(["--smoke"])
    *table, last = capsys.readouterr().out.splitlines()
    assert not [line for line in table if "MISSED" in line]
    found = {(each["scenario"], each["figure"]): each["value"] for each in json.loads(last)["figures"]}
    for figure in ("slots taken in the end", "sessions open in the end"):
        assert found["cancels", figure] == found["hostile", figure] == 0
    assert found["cancels", "requests lost that were kept"] == found["hostile", "requests of others lost"] == 0
    assert found["cancels", "slots that nobody can have"] == 0
    assert 0 < found["hostile", f"sessions of {4 * SMOKE.each} hostile clients"] < 4 * SMOKE.each
    assert found["overload", "failed otherwise"] == 0

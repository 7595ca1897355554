"""More clients than there is room for, and clients that misbehave, on real sockets."""

import json
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.config import Limits
from tests.fakes import FakeSynthesizer
from tests.server.api.harness import ApiServer, opened, serving, speech_body

BIG = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": 48000}
LONG = "a very long sentence. " * 800
"""More audio than the buffers of the kernel hold."""
STALL_S = 2.0


def test_refusals_are_quick_and_leave_running_streams_alone(tmp_path: Path) -> None:
    synthesizer = FakeSynthesizer(max_slots=1, step_s=0.02)
    limits = Limits(max_speech_sessions=1, max_queued_sessions=0)
    with (
        serving(tmp_path, limits=limits, synthesizer=synthesizer) as server,
        opened(server, "/tts/websocket") as holder,
        httpx.Client(base_url=server.url) as client,
    ):
        holder.send(speech_body("a sentence that takes its time to be spoken to the end.", context_id="holder"))
        holder.receive()
        took_s = []
        for _ in range(20):
            start_s = time.perf_counter()
            answer = client.post("/tts/bytes", json=speech_body())
            took_s.append(time.perf_counter() - start_s)
            if answer.status_code != 429:
                break
            assert int(answer.headers["retry-after"]) >= 1
        assert len(took_s) > 3
        assert min(took_s) < 0.05
        assert holder.until("done", "error")[-1]["type"] == "done"


def test_a_key_at_its_limit_is_told_which(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(max_sessions_per_key=1), require_keys=True) as server:
        many, few = ({"Authorization": f"Bearer {server.keys.create(name)}"} for name in ("many", "few"))
        server.synthesizer.gate.clear()
        with opened(server, "/tts/websocket", **many) as holder:
            holder.send(speech_body(context_id="holder"))
            while not server.engine.snapshot().open_sessions:
                time.sleep(0.001)
            refused = httpx.post(server.url + "/tts/bytes", json=speech_body(), headers=many)
            server.synthesizer.gate.set()
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert "limits.max_sessions_per_key is 1" in refused.text
            assert httpx.post(server.url + "/tts/bytes", json=speech_body(), headers=few).status_code == 200
            holder.until("done")


def test_sockets_of_one_key_leave_room_for_others(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(max_sessions_per_key=1), require_keys=True) as server, ExitStack() as stack:
        many, few = ({"Authorization": f"Bearer {server.keys.create(name)}"} for name in ("many", "few"))
        for _ in range(10):
            stack.enter_context(opened(server, "/tts/websocket", **many))
        with pytest.raises(InvalidStatus) as refused, opened(server, "/stt/websocket", **many):
            pass
        assert refused.value.response.status_code == 429
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert b"10 WebSockets open" in (refused.value.response.body or b"")
        with opened(server, "/tts/websocket", **few) as socket:
            socket.send(speech_body(context_id="few"))
            socket.until("done")


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
def test_who_never_reads_costs_no_connection_either(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be delivered is dropped with the connection, not kept for as long as the client lives; and that
    is no error of the server."""
    with serving(tmp_path, limits=Limits(stall_timeout_s=0.4)) as server:
        client = _connect(server)
        client.sendall(_request(path))
        while not server.connections:
            time.sleep(0.01)
        start_s = time.perf_counter()
        while server.connections:
            assert time.perf_counter() - start_s < 15, "the connection is still open"
            time.sleep(0.01)
        server.wait_idle()
        client.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
@pytest.mark.parametrize("leave", [socket.SHUT_WR, socket.SHUT_RDWR, None])
def test_who_leaves_after_the_first_audio_is_no_failure(
    tmp_path: Path, path: str, leave: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """By saying that no more comes, and never reading again, or by closing."""
    with serving(tmp_path, limits=Limits(stall_timeout_s=0.4)) as server:
        client = _connect(server)
        client.sendall(_request(path))
        assert client.recv(4096)
        client.close() if leave is None else client.shutdown(leave)
        server.wait_idle()
        start_s = time.perf_counter()
        while server.connections:
            assert time.perf_counter() - start_s < 15, "the connection is still open"
            time.sleep(0.01)
        client.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
def test_who_leaves_before_the_first_audio_is_no_failure(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(tmp_path) as server:
        server.synthesizer.gate.clear()
        client = _connect(server)
        client.sendall(_request(path))
        while not _admitted(server):
            time.sleep(0.01)
        client.close()
        start_s = time.perf_counter()
        while server.engine.snapshot().open_sessions:
            assert time.perf_counter() - start_s < 10, "the server does not see that the client went"
            time.sleep(0.01)
        server.synthesizer.gate.set()
        server.wait_idle()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_little_is_made_for_who_never_reads(tmp_path: Path) -> None:
    """Neither the kernel nor the engine takes more than some seconds of audio, which would be made at the cost of others."""
    if not hasattr(socket, "TCP_NOTSENT_LOWAT"):
        pytest.skip("this system has no TCP_NOTSENT_LOWAT")
    with serving(tmp_path, limits=Limits(stall_timeout_s=0.5)) as server:
        client = _connect(server)
        client.sendall(_request())
        while not _admitted(server):
            time.sleep(0.01)
        server.wait_idle()
        made_s = server.metrics.registry.get_sample_value("descant_audio_out_seconds_total", {"model": "fake"})
        client.close()
        assert made_s is not None
        assert 1.0 < made_s < 4.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_hundred_clients_that_misbehave_give_everything_back(tmp_path: Path) -> None:
    """They connect and say nothing, stop in the middle, never read, half-close, or die: forty of each."""
    synthesizer = FakeSynthesizer(max_slots=256)
    limits = Limits(stall_timeout_s=STALL_S, max_speech_sessions=256)
    with serving(tmp_path, limits=limits, synthesizer=synthesizer) as server, ExitStack() as stack:
        alone_s = _times_s(server)
        for number in range(200):
            connection = stack.enter_context(_connect(server))
            _MISDEEDS[number % len(_MISDEEDS)](connection)
        while _admitted(server) < 20 + 40:
            time.sleep(0.01)
        beside_s = _times_s(server)
        took_s = server.wait_idle(within_s=STALL_S + 10)
        print(f"{_admitted(server)} admitted; median {alone_s:.3f} s alone, {beside_s:.3f} s beside; idle after {took_s:.2f} s")
        assert server.engine.snapshot().active_sessions == 0
        assert httpx.post(server.url + "/tts/bytes", json=speech_body()).status_code == 200


def _admitted(server: ApiServer) -> float:
    return server.metrics.registry.get_sample_value("descant_requests_total", {"kind": "speech", "model": "fake"}) or 0.0


def _times_s(server: ApiServer) -> float:
    """Median time of a whole short answer."""
    took_s = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for _ in range(20):
            start_s = time.perf_counter()
            assert client.post("/tts/bytes", json=speech_body()).status_code == 200
            took_s.append(time.perf_counter() - start_s)
    return sorted(took_s)[len(took_s) // 2]


def _connect(server: ApiServer) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", server.port))
    return connection


def _request(path: str = "/tts/bytes") -> bytes:
    body = json.dumps(speech_body(LONG, output_format=BIG)).encode()
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body


def _says_nothing(connection: socket.socket) -> None:
    """Connected is all it is."""


def _stops_in_the_middle(connection: socket.socket) -> None:
    connection.sendall(_request()[:200])


def _never_reads(connection: socket.socket) -> None:
    connection.sendall(_request())


def _half_closes(connection: socket.socket) -> None:
    connection.sendall(_request())
    connection.shutdown(socket.SHUT_WR)


def _dies(connection: socket.socket) -> None:
    connection.sendall(_request())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


_MISDEEDS: tuple[Any, ...] = (_says_nothing, _stops_in_the_middle, _never_reads, _half_closes, _dies)

"""The load client against a small server that is slow in known ways."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request

from server.bench.clients import LoadRefused
from server.bench.table import header, line
from server.bench.target import Target
from server.bench.texts import TEXTS
from server.bench.tts_load import LEAST_PER_STREAM, Loop, SpeechLoad
from server.bench.tts_report import COLUMNS, collapsed, measure_speech, paced_verdict
from server.bench.watch import ServerWatch

CHUNK = base64.b64encode(np.full(2400, 8000, dtype="<i2").tobytes()).decode()


class SlowServer:
    """Each request gives ``chunks`` of 100 ms, each ``delay_s`` after the one before."""

    def __init__(self, *, delay_s: float = 0.0, chunks: int = 3, fail_every: int = 0, status: int = 500) -> None:
        self.delay_s = delay_s
        self.chunks = chunks
        self.fail_every = fail_every
        self.status = status
        self.silent_after: int | None = None
        """Requests after so many get no audio."""
        self.slow_handshake_s = 0.0
        self.quick_handshakes = 0
        """How many connections are taken at once, before the slow ones."""
        self.messages: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.active = self.most_active = 0

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.headers.append(dict(socket.request.headers))
        async for text in socket:
            message = json.loads(text)
            self.messages.append(message)
            about = {"context_id": message["context_id"]}
            if self.fail_every and len(self.messages) % self.fail_every == 0:
                await socket.send(
                    json.dumps({"type": "error", "message": "no", "status_code": self.status, "done": True, **about})
                )
                continue
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            is_silent = self.silent_after is not None and len(self.messages) > self.silent_after
            for _ in range(0 if is_silent else self.chunks):
                await asyncio.sleep(self.delay_s)
                await socket.send(json.dumps({"type": "chunk", "data": CHUNK, "done": False, **about}))
            self.active -= 1
            await socket.send(
                json.dumps({"type": "done", "done": True, "stage_times_ms": {"text": 1.5, "queue": 2.0}, **about})
            )

    async def take(self, connection: ServerConnection, request: Request) -> None:
        self.quick_handshakes -= 1
        if self.quick_handshakes < 0:
            await asyncio.sleep(self.slow_handshake_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server: Server
        async with serve(self.handle, "127.0.0.1", 0, process_request=self.take) as server:
            yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def measure(url: str, loop: Loop = Loop.CLOSED, level: float = 1, requests: int = 4, **fields: Any) -> dict[str, Any]:
    load = SpeechLoad(Target(url, "secret"), "sonic-turbo", "v", loop, level, requests, fields.pop("text", None))
    return await asyncio.to_thread(measure_speech, load, ServerWatch(None, None), **fields)


async def test_closed_loop_keeps_its_streams_busy() -> None:
    server = SlowServer(delay_s=0.02)
    async with server.running() as url:
        row = await measure(url, level=3, requests=12)
    assert len(server.messages) == 12 + 3
    assert server.most_active == 3
    assert (row["requests"], row["errors"], row["requests_with_underruns"], row["sessions"]) == (12, 0, 0, 3)
    assert row["first_byte_ms"]["p50"] >= 20
    assert row["first_playable_ms"] == row["first_byte_ms"] == row["first_audible_ms"]
    assert 0.2 * 0.9 <= row["rtf"]["p50"] < 1
    assert 0 < row["audio_s_per_s"] <= 3 * 0.3 / 0.06
    # 12 requests say each text once.
    assert row["characters_per_s"] == pytest.approx(sum(map(len, TEXTS)) / row["took_s"], rel=0.05)
    assert row["worst_gap_ms"]["max"] >= 20
    assert row["client_loop_lag_ms"]["p50"] >= 0
    assert row["server_stages_ms"]["queue"]["p50"] == 2.0
    assert row["config"]["loop"] == "closed"
    assert [message["transcript"] for message in server.messages[3:6]] == list(TEXTS[:3])
    assert not collapsed(row)


async def test_every_stream_has_its_share_however_many_there_are() -> None:
    async with SlowServer().running() as url:
        row = await measure(url, level=5, requests=1)
    assert row["requests"] == row["config"]["requests"] == 5 * LEAST_PER_STREAM


async def test_a_record_holds_no_key_and_is_json() -> None:
    server = SlowServer()
    async with server.running() as url:
        row = await measure(url, requests=2, text="Hello.")
    assert "secret" not in json.dumps(row, allow_nan=False)
    assert len(line(COLUMNS, row)) == len(header(COLUMNS))
    assert server.headers[0]["x-api-key"] == "secret"
    assert server.headers[0]["cartesia-version"] == row["config"]["api_version"]


async def test_slow_chunks_run_the_player_dry() -> None:
    async with SlowServer(delay_s=0.13).running() as url:
        row = await measure(url, level=2, requests=2)
    assert row["requests_with_underruns"] == 6
    assert row["underruns"] == 12
    assert row["sessions_without_underrun"] == 0
    assert row["first_playable_ms"]["p50"] > row["first_byte_ms"]["p50"]
    assert row["rtf"]["p50"] > 1
    assert collapsed(row)


async def test_open_loop_does_not_wait_for_the_server() -> None:
    server = SlowServer(delay_s=0.1)
    async with server.running() as url:
        row = await measure(url, Loop.OPEN, 100.0, 20)
    assert server.most_active > 5
    assert (row["requests"], row["errors"]) == (20, 0)
    assert (row["config"]["loop"], row["config"]["streams"]) == ("open", None)
    assert "100/s" in line(COLUMNS, row)


async def test_the_clock_of_the_open_loop_starts_when_a_request_was_due() -> None:
    """More requests are due than there are connections: the wait for another one is theirs, too."""
    server = SlowServer(delay_s=0.5)
    server.slow_handshake_s, server.quick_handshakes = 0.5, 21
    async with server.running() as url:
        row = await measure(url, Loop.OPEN, 20.0, 30)
    assert row["first_byte_ms"]["p50"] < 900
    assert row["first_byte_ms"]["max"] >= 1000


async def test_paced_sessions_listen_to_the_end() -> None:
    server = SlowServer(delay_s=0.01)
    async with server.running() as url:
        row = await measure(url, Loop.PACED, 2, 2)
    # Two starts within two seconds, then three sentences of 0.3 s with 0.3 s after each.
    assert 3 * 0.6 <= row["took_s"] < 2 + 3 * 0.6 + 2
    assert (row["requests"], row["sessions"], row["sessions_without_underrun"]) == (6, 2, 2)
    assert row["audio_s_per_s"] < 2
    assert paced_verdict([row]) == "Paced streams without an underrun: 2 of those tried."
    assert paced_verdict([{**row, "sessions_without_underrun": 1}]) == "Paced streams without an underrun: none of those tried."


async def test_client_processes_share_the_load() -> None:
    server = SlowServer(delay_s=0.02)
    async with server.running() as url:
        row = await measure(url, level=3, requests=12, processes=2)
    assert len(server.messages) == 12 + 3
    assert server.most_active == 3
    assert (row["requests"], row["errors"], row["sessions"]) == (12, 0, 3)
    assert row["config"]["client_processes"] == 2


async def test_errors_are_counted_and_left_out_of_the_times() -> None:
    async with SlowServer(fail_every=3).running() as url:
        row = await measure(url, requests=8)
    assert (row["requests"], row["errors"], row["first_error"], row["refused"]) == (8, 3, "no", 0)
    assert row["first_byte_ms"] is not None
    assert collapsed(row)


async def test_refusals_for_want_of_capacity_are_told_apart() -> None:
    async with SlowServer(fail_every=3, status=429).running() as url:
        row = await measure(url, requests=8)
    assert (row["errors"], row["refused"]) == (3, 3)
    assert row["refusal_ms"]["max"] > 0


async def test_audio_that_never_comes_is_an_error() -> None:
    server = SlowServer()
    server.silent_after = 1
    async with server.running() as url:
        row = await measure(url, requests=2, text="Hello.")
    assert (row["errors"], row["first_error"]) == (3, "done without audio")
    assert (row["first_byte_ms"], row["rtf"]) == (None, None)
    assert collapsed(row)
    assert "-" in line(COLUMNS, row)


async def test_a_server_that_refuses_the_first_request_is_not_measured() -> None:
    async with SlowServer(fail_every=1, status=404).running() as url:
        with pytest.raises(LoadRefused, match="no"):
            await measure(url)
        with pytest.raises(LoadRefused, match="no"):
            await measure(url, level=2, processes=2)


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(LoadRefused, match=r"[Cc]onnect"):
        await measure("http://127.0.0.1:9")


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize(("loop", "level"), [(Loop.CLOSED, 5), (Loop.OPEN, 5), (Loop.PACED, 2)])
def test_shares_add_up(loop: Loop, level: float, processes: int) -> None:
    load = SpeechLoad(Target(""), "m", "v", loop, level, 40)
    shares = load.shares(processes)
    assert len(shares) <= processes
    assert sum(share.level for share in shares) == pytest.approx(level)
    assert sum(share.requests for share in shares) == pytest.approx(load.total_requests, abs=processes)
    assert len({share.seed for share in shares}) == len(shares)
    assert all(share.level > 0 and share.requests > 0 for share in shares)

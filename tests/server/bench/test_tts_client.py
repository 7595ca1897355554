"""The load client against a small server that is slow in known ways."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from server.bench.tts_client import HEADER, TEXTS, Plan, format_row, measure

CHUNK = base64.b64encode(np.full(2400, 8000, dtype="<i2").tobytes()).decode()


class SlowServer:
    """Each request gives ``chunks`` of 100 ms, each ``delay_s`` after the one before."""

    def __init__(self, *, delay_s: float = 0.0, chunks: int = 3, fail_every: int = 0) -> None:
        self.delay_s = delay_s
        self.chunks = chunks
        self.fail_every = fail_every
        self.messages: list[dict[str, object]] = []
        self.active = self.most_active = 0

    async def handle(self, socket: ServerConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            self.messages.append(message)
            about = {"context_id": message["context_id"]}
            if self.fail_every and len(self.messages) % self.fail_every == 0:
                await socket.send(json.dumps({"type": "error", "message": "no", "done": True, **about}))
                continue
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            for _ in range(self.chunks):
                await asyncio.sleep(self.delay_s)
                await socket.send(json.dumps({"type": "chunk", "data": CHUNK, "done": False, **about}))
            self.active -= 1
            await socket.send(
                json.dumps({"type": "done", "done": True, "stage_times_ms": {"text": 1.5, "queue": 2.0}, **about})
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server: Server
        async with serve(self.handle, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def plan(requests: int, text: str | None = None) -> Plan:
    return Plan(url="", key="secret", model="sonic-turbo", voice="v", requests=requests, text=text)


async def test_closed_loop_keeps_its_streams_busy() -> None:
    server = SlowServer(delay_s=0.02)
    async with server.running() as url:
        row = await measure(plan(12).at(url), streams=3)
    assert len(server.messages) == 12 + 3
    assert server.most_active == 3
    assert (row["requests"], row["errors"], row["requests_with_underruns"]) == (12, 0, 0)
    assert 20 <= row["first_byte_ms"]["p50"] < 60
    assert row["first_playable_ms"] == row["first_byte_ms"] == row["first_audible_ms"]
    assert row["rtf"]["p50"] == pytest.approx(0.2, abs=0.15)
    assert row["audio_s_per_s"] == pytest.approx(3 * 0.3 / 0.065, rel=0.5)
    assert row["server_stages_ms"]["queue"]["p50"] == 2.0
    assert row["config"]["loop"] == "closed"
    assert [message["transcript"] for message in server.messages[3:6]] == list(TEXTS[:3])


async def test_a_record_holds_no_key_and_is_json() -> None:
    async with SlowServer().running() as url:
        row = await measure(plan(2, "Hello.").at(url), streams=1)
    assert "secret" not in json.dumps(row, allow_nan=False)
    assert len(format_row(row)) <= max(map(len, HEADER.splitlines())) + 2


async def test_slow_chunks_run_the_player_dry() -> None:
    async with SlowServer(delay_s=0.13).running() as url:
        row = await measure(plan(2).at(url), streams=2)
    assert row["requests_with_underruns"] == 2
    assert row["underruns"] == 4
    assert row["rtf"]["p50"] > 1


async def test_open_loop_does_not_wait_for_the_server() -> None:
    server = SlowServer(delay_s=0.1)
    async with server.running() as url:
        row = await measure(plan(20).at(url), streams=1, requests_per_s=100.0)
    assert server.most_active > 5
    assert (row["requests"], row["errors"]) == (20, 0)
    assert row["config"]["loop"] == "open"
    assert "100/s" in format_row(row)


async def test_errors_are_counted_and_left_out_of_the_times() -> None:
    async with SlowServer(fail_every=3).running() as url:
        row = await measure(plan(8).at(url), streams=1)
    assert (row["requests"], row["errors"], row["first_error"]) == (8, 3, "no")
    assert row["first_byte_ms"] is not None


async def test_audio_that_never_comes_is_an_error() -> None:
    async with SlowServer(chunks=0).running() as url:
        row = await measure(plan(2).at(url), streams=1)
    assert (row["errors"], row["first_error"], row["first_byte_ms"], row["rtf"]) == (2, "done without audio", None, None)
    assert "-" in format_row(row)


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await measure(plan(1).at("http://127.0.0.1:9"), streams=1)

"""Paced streams against a small recogniser that is late in known ways."""

import asyncio
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from server.bench.clients import LoadRefused
from server.bench.stt_client import ListeningLoad
from server.bench.stt_report import COLUMNS, data_hash, falls_behind, measure_listening
from server.bench.table import header, line
from server.bench.target import Target
from server.bench.utterances import RATE_HZ, Utterance, from_file
from server.bench.watch import ServerWatch
from server.bench.words import SpokenWord

TEXT = "one two three four"
WORD_S = 0.1


def utterance(**fields: Any) -> Utterance:
    """Four words of 100 ms each."""
    words = tuple(SpokenWord(word, n * WORD_S, (n + 1) * WORD_S) for n, word in enumerate(TEXT.split()))
    return Utterance(bytes(round(4 * WORD_S * RATE_HZ) * 2), RATE_HZ, **{"text": TEXT, "words": words, **fields})


class LateEars:
    """Hears one word per 100 ms of audio, ``partial_s`` after it came, and is done ``final_s`` after ``finalize``."""

    def __init__(self, *, partial_s: float = 0.0, final_s: float = 0.0, says: str = TEXT, max_streams: int = 100) -> None:
        self.partial_s = partial_s
        self.final_s = final_s
        self.says = says.split()
        self.max_streams = max_streams
        self.streams = self.most_streams = 0
        self.queries: list[str] = []
        self.error: str | None = None

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.queries.append(request.path)
        return connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "full") if self.streams >= self.max_streams else None

    async def handle(self, socket: ServerConnection) -> None:
        self.streams += 1
        self.most_streams = max(self.most_streams, self.streams)
        tasks = []
        heard_before, heard = 0, 0
        async for message in socket:
            if isinstance(message, bytes):
                heard += len(message)
                tasks.append(asyncio.create_task(self._partial(socket, heard - heard_before)))
            elif message == "finalize":
                await asyncio.gather(*tasks)
                await asyncio.sleep(self.final_s)
                if self.error:
                    await socket.send(json.dumps({"type": "error", "message": self.error, "status_code": 500}))
                    continue
                await self._transcript(socket, " " + " ".join(self.says), heard_before / 2 / RATE_HZ)
                await socket.send(json.dumps({"type": "flush_done"}))
                heard_before = heard
            else:
                await socket.send(json.dumps({"type": "done"}))
                break
        self.streams -= 1

    async def _partial(self, socket: ServerConnection, size_bytes: int) -> None:
        await asyncio.sleep(self.partial_s)
        words = self.says[: int(size_bytes / 2 / RATE_HZ / WORD_S)]
        await socket.send(json.dumps({"type": "transcript", "is_final": False, "text": " " + " ".join(words)}))

    async def _transcript(self, socket: ServerConnection, text: str, begins_s: float) -> None:
        words = [
            {"word": word, "start": begins_s + n * WORD_S, "end": begins_s + (n + 1) * WORD_S}
            for n, word in enumerate(self.says)
        ]
        await socket.send(json.dumps({"type": "transcript", "is_final": True, "text": text, "words": words}))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(self.handle, "127.0.0.1", 0, process_request=self.refuse) as server:
            yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def measure(url: str, *, heard: Utterance | None = None, processes: int = 1, **fields: Any) -> dict[str, Any]:
    settings = {"utterances_per_stream": 2, "chunk_ms": 50, **fields}
    load = ListeningLoad(Target(url, "secret"), "ink-whisper", "en", (heard or utterance(),), **settings)
    return await asyncio.to_thread(measure_listening, load, ServerWatch(None, None), processes)


async def test_lags_are_those_of_the_server() -> None:
    ears = LateEars(partial_s=0.15, final_s=0.25)
    async with ears.running() as url:
        row = await measure(url)
    # Those of the last audio come before ``finalize`` is answered.
    assert 150 <= row["partial_lag_ms"]["p50"] < 300
    assert 250 <= row["final_ms"]["p50"] < 550
    assert row["first_text_ms"]["p50"] >= 150
    assert (row["utterances"], row["errors"], row["words_found"], row["word_error_rate"]) == (2, 0, 1.0, 0.0)
    assert row["rtf"]["p50"] >= (0.35 + 0.25) / 0.4
    assert row["config"]["word_times"] == "synthesis"
    assert "encoding=pcm_s16le" in ears.queries[0]
    assert "sample_rate=16000" in ears.queries[0]
    assert "secret" not in json.dumps(row, allow_nan=False)
    assert not falls_behind(row)
    assert len(line(COLUMNS, row)) == len(header(COLUMNS))


async def test_wrong_words_are_counted_and_have_no_lag() -> None:
    async with LateEars(says="one too three").running() as url:
        row = await measure(url)
    assert (row["words_found"], row["word_error_rate"]) == (0.5, 0.5)


async def test_without_word_times_those_of_the_recogniser_count_from_its_connection() -> None:
    async with LateEars(partial_s=0.1).running() as url:
        row = await measure(url, heard=utterance(text=None, words=()), utterances_per_stream=3)
    assert (row["words_found"], row["word_error_rate"]) == (1.0, None)
    assert 100 <= row["partial_lag_ms"]["p50"] < 250
    assert row["config"]["word_times"] == "recogniser"


async def test_audio_is_sent_in_real_time_unless_told_otherwise() -> None:
    async with LateEars().running() as url:
        paced = await measure(url, utterances_per_stream=1)
        unpaced = await measure(url, utterances_per_stream=1, is_paced=False)
    assert paced["rtf"]["p50"] >= 0.35 / 0.4
    assert paced["client_late_ms"]["max"] < 100
    assert unpaced["rtf"]["p50"] < 0.35 / 0.4


async def test_streams_run_side_by_side_and_over_processes() -> None:
    ears = LateEars()
    async with ears.running() as url:
        row = await measure(url, streams=4, utterances_per_stream=3, processes=2)
    assert ears.most_streams > 2
    assert (row["utterances"], row["errors"], row["config"]["streams"]) == (12, 0, 4)


async def test_streams_that_find_no_room_are_errors() -> None:
    async with LateEars(max_streams=1).running() as url:
        row = await measure(url, streams=3, utterances_per_stream=4)
    assert row["refused"] == row["errors"] >= 1
    assert "429" in row["first_error"]
    assert falls_behind(row)


async def test_a_server_that_fails_or_is_not_there_is_not_measured() -> None:
    ears = LateEars()
    ears.error = "out of memory"
    async with ears.running() as url:
        with pytest.raises(LoadRefused, match="out of memory"):
            await measure(url)
    with pytest.raises(LoadRefused, match=r"[Cc]onnect"):
        await measure("http://127.0.0.1:9")


def test_runs_on_other_speech_are_not_the_same_configuration() -> None:
    spoken, other_voice = utterance(), utterance(words=(SpokenWord("one", 0.0, 0.5),))
    assert data_hash([spoken]) == data_hash([other_voice])
    file = utterance(words=())
    assert len({data_hash(heard) for heard in ([spoken], [file], [spoken, file], [utterance(text="one")])}) == 4


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "two_channels.wav"
    left = np.arange(100, dtype="<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.stack([left, -left], axis=1).tobytes())
    assert from_file(path) == Utterance(left.tobytes(), 8000)
    (tmp_path / "two_channels.txt").write_text("One two.\n")
    assert from_file(path).text == "One two."
    other = tmp_path / "other.wav"
    for content in (b"", b"RIFF", b"text"):
        other.write_bytes(content)
        with pytest.raises(LoadRefused, match=r"other\.wav"):
            from_file(other)
    with pytest.raises(LoadRefused, match="missing"):
        from_file(tmp_path / "missing.wav")

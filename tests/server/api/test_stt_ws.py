"""Both listening sockets: transcripts on command, turns on their own, parameters, and orderly ends."""

import contextlib
import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus

from models.audio import Pcm
from server.config import Limits
from tests.fakes import silence, speech
from tests.server.api.harness import VERSIONS, ApiServer, Socket, opened, serving

MANUAL = "/stt/websocket?model=ink-whisper&encoding=pcm_s16le&sample_rate=16000"
TURNS = "/stt/turns/websocket?model=ink-2&encoding=pcm_s16le&sample_rate=16000"


def s16(pcm: Pcm) -> bytes:
    return (pcm * 32767).astype("<i2").tobytes()


def feed(socket: Socket, data: bytes, step: int = 3201) -> None:
    """In messages of an odd length, so that samples are cut in two."""
    for start in range(0, len(data), step):
        socket.send(data[start : start + step])


def close_code(socket: Socket) -> int:
    """Read on to the close."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.receive()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def finals(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["text"] for frame in frames if frame["type"] == "transcript" and frame["is_final"])


@pytest.mark.parametrize("command", ["finalize", ' "finalize" ', '{"type":"finalize"}', "FINALIZE"])
@pytest.mark.parametrize("version", ["2024-06-10", "2026-08-14"])
def test_finalize_gives_the_transcript_then_flush_done(api: ApiServer, command: str, version: str) -> None:
    with opened(api, MANUAL, version) as socket:
        feed(socket, s16(speech(1, 2)))
        socket.send(command)
        frames = socket.until("flush_done")
        assert finals(frames).split() == ["one", "two"]
        final = frames[-2]
        assert (final["type"], final["is_final"], final["language"]) == ("transcript", True, "en")
        assert [word["word"].strip() for word in final["words"]] == ["one", "two"]
        assert all(word["start"] < word["end"] <= 0.6 for word in final["words"])
        assert len({frame["request_id"] for frame in frames}) == 1
        assert set(frames[-1]) == {"type", "request_id"}


@pytest.mark.parametrize("command", ["close", "done"])
def test_close_gives_the_rest_then_done_then_1000(api: ApiServer, command: str) -> None:
    with opened(api, MANUAL) as socket:
        feed(socket, s16(speech(3, 4)))
        socket.send(command)
        with contextlib.suppress(ConnectionClosedOK):  # the server may have closed by now
            socket.send(b"\x00" * 100)
        frames = socket.until("done")
        assert finals(frames).split() == ["three", "four"]
        assert close_code(socket) == 1000


def test_finals_join_verbatim(api: ApiServer) -> None:
    with opened(api, MANUAL) as socket:
        text, duration_s = "", 0.0
        for levels in ((1, 2), (3,), (4, 5)):
            feed(socket, s16(np.concatenate([speech(*levels), silence(0.3)])))
            socket.send("finalize")
            frames = socket.until("flush_done")
            text += finals(frames)
            duration_s += sum(f["duration"] for f in frames if f["type"] == "transcript" and f["is_final"])
        assert text.strip() == "one two three four five"
        assert duration_s == pytest.approx(5 * 0.25 + 0.9, abs=0.15)


def test_segments_end_on_their_own_after_silence(api: ApiServer) -> None:
    with opened(api, MANUAL + "&max_silence_duration_secs=0.4&min_volume=0.01") as socket:
        feed(socket, s16(np.concatenate([speech(6, 7), silence(1.5)])))
        while not (frame := socket.receive())["is_final"]:
            pass
        assert frame["text"].split() == ["six", "seven"]


def test_finalize_without_audio_is_only_acknowledged(api: ApiServer) -> None:
    with opened(api, MANUAL) as socket:
        for _ in range(2):
            socket.send("finalize")
            frames = socket.until("flush_done")
            assert finals(frames) == ""
        socket.send("close")
        assert socket.until("done")[-1]["type"] == "done"
        assert close_code(socket) == 1000


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_s32le", "pcm_f16le", "pcm_f32le"])
def test_every_linear_encoding(api: ApiServer, encoding: str) -> None:
    dtype, scale = {
        "pcm_s16le": ("<i2", 32767),
        "pcm_s32le": ("<i4", 2**31 - 1),
        "pcm_f16le": ("<f2", 1),
        "pcm_f32le": ("<f4", 1),
    }[encoding]
    with opened(api, MANUAL.replace("pcm_s16le", encoding)) as socket:
        feed(socket, (speech(1, 2).astype(np.float64) * scale).astype(dtype).tobytes(), step=1237)
        socket.send("finalize")
        assert finals(socket.until("flush_done")).split() == ["one", "two"]


@pytest.mark.parametrize("text", ["", "stop", "{", '{"type":"config"}', "[]"])
def test_unknown_command_is_an_error_event_and_no_end(api: ApiServer, text: str) -> None:
    with opened(api, MANUAL) as socket:
        socket.send(text)
        error = socket.receive()
        assert (error["type"], error["status_code"], error["code"]) == ("error", 400, 400)
        assert "finalize" in error["message"]
        socket.send("finalize")
        assert socket.receive()["type"] == "flush_done"


MANUAL_REFUSALS = [
    ("?encoding=pcm_s16le&sample_rate=16000", "model", None),
    ("?model=gpt-9&encoding=pcm_s16le&sample_rate=16000", "model", "model_not_found"),
    ("?model=ink-whisper&sample_rate=16000", "encoding", None),
    ("?model=ink-whisper&encoding=opus&sample_rate=16000", "encoding", None),
    ("?model=ink-whisper&encoding=pcm_s16le", "sample_rate", None),
    ("?model=ink-whisper&encoding=pcm_s16le&sample_rate=x", "sample_rate", None),
    ("?model=ink-whisper&encoding=pcm_s16le&sample_rate=100", "sample_rate", None),
]
MANUAL_ONLY_REFUSALS = [
    ("&language=xx", "language", None),
    ("&min_volume=2", "min_volume", None),
    ("&min_volume=loud", "min_volume", None),
    ("&max_silence_duration_secs=0", "max_silence_duration_secs", None),
    ("&max_silence_duration_secs=nan", "max_silence_duration_secs", None),
]
TURNS_ONLY_REFUSALS = [
    ("&turn_start_threshold=0.95", "turn_start_threshold", None),
    ("&turn_end_threshold=low", "turn_end_threshold", None),
    ("&turn_end_timeout_ms=10", "turn_end_timeout_ms", None),
    ("&turn_start_threshold=0.5&turn_eager_end_threshold=0.6", "turn.eager_end_threshold", None),
    ("&turn_eager_end_threshold=0.3&turn_end_threshold=0.3", "turn.end_threshold", None),
    ("&keyterm=a" * 101, "keyterm", None),
    ("&keyterm=" + "a" * 1201, "keyterm", None),
]
REFUSALS = [
    *(("/stt/websocket" + query, field, code) for query, field, code in MANUAL_REFUSALS),
    *(("/stt/turns/websocket" + query, field, code) for query, field, code in MANUAL_REFUSALS),
    *((MANUAL + query, field, code) for query, field, code in MANUAL_ONLY_REFUSALS),
    *((TURNS + query, field, code) for query, field, code in TURNS_ONLY_REFUSALS),
]


@pytest.mark.parametrize(("path", "field", "code"), REFUSALS)
def test_wrong_parameters_are_an_error_in_place_of_the_first_message(
    api: ApiServer, path: str, field: str, code: str | None
) -> None:
    with opened(api, path) as socket:
        error = socket.receive()
        assert (error["type"], error["status_code"], error["code"], error["error_code"]) == ("error", 400, 400, code)
        assert error["message"].startswith(f"{field}:")
        assert close_code(socket) == 1000
    api.wait_idle()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [MANUAL, TURNS])
def test_full_server_refuses_the_handshake(busy_ears: ApiServer, path: str, version: str) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(busy_ears, path, version):
        pass
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "1"


@pytest.fixture(scope="module")
def busy_ears(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with (
        serving(tmp_path_factory.mktemp("ears"), limits=Limits(max_transcription_sessions=1)) as server,
        opened(server, MANUAL),
    ):
        yield server


def test_model_failure_ends_the_socket_with_an_error(api: ApiServer) -> None:
    api.recognizer.fault_level = 0.85
    try:
        with opened(api, MANUAL) as socket:
            feed(socket, s16(speech(9, 9)))
            socket.send("finalize")
            error = socket.until("error")[-1]
            assert (error["status_code"], error["code"]) == (500, 500)
            assert close_code(socket) == 1011
    finally:
        api.recognizer.fault_level = None


def test_idle_socket_is_closed_without_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(transcription_idle_s=0.2)) as server, opened(server, MANUAL) as socket:
        start_s = time.perf_counter()
        assert close_code(socket) == 1001
        assert time.perf_counter() - start_s >= 0.15
        server.wait_idle()


@pytest.mark.parametrize("path", [MANUAL, TURNS])
def test_disconnect_frees_the_stream(api: ApiServer, path: str) -> None:
    with opened(api, path) as socket:
        feed(socket, s16(speech(1, 2)))
        socket.connection.close()
        assert api.wait_idle() < 0.5


def turns(socket: Socket, until: str) -> list[dict[str, Any]]:
    frames = socket.until(until)
    for frame in frames:
        assert ("transcript" in frame) == (frame["type"] in ("turn.update", "turn.eager_end", "turn.end"))
    return frames


@pytest.mark.parametrize("version", ["2025-04-16", "2026-08-14"])
def test_turns_of_a_conversation(api: ApiServer, version: str) -> None:
    with opened(api, TURNS, version) as socket:
        connected = socket.receive()
        assert connected["type"] == "connected"
        for levels in ((1, 2, 3), (4, 5)):
            feed(socket, s16(np.concatenate([silence(0.5), speech(*levels), silence(3.0)])))
            frames = turns(socket, "turn.end")
            assert frames[0]["type"] == "turn.start"
            assert {frame["request_id"] for frame in frames} == {connected["request_id"]}
            updates = [frame["transcript"] for frame in frames if frame["type"] == "turn.update"]
            assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(updates))
            words = ["", "one", "two", "three", "four", "five"]
            assert frames[-1]["transcript"].split() == [words[level] for level in levels]
        socket.send('{"type":"close"}')
        assert close_code(socket) == 1000


def test_close_in_the_middle_of_a_turn_ends_it(api: ApiServer) -> None:
    with opened(api, TURNS) as socket:
        assert socket.receive()["type"] == "connected"
        feed(socket, s16(np.concatenate([silence(0.3), speech(1, 2, 3)])))
        socket.send('{"type":"close"}')
        assert turns(socket, "turn.end")[-1]["transcript"].split() == ["one", "two", "three"]
        assert close_code(socket) == 1000


def test_config_changes_the_end_of_a_turn(api: ApiServer) -> None:
    """A timeout of 640 ms of silence ends a turn that thresholds alone would keep open."""
    with opened(api, TURNS + "&turn_end_threshold=0.05&turn_eager_end_threshold=0.3") as socket:
        assert socket.receive()["type"] == "connected"
        config = {"type": "config", "turn": {"end_timeout_ms": 640, "start_threshold": None}}
        socket.send(json.dumps(config))
        feed(socket, s16(np.concatenate([silence(0.3), speech(1, 2), silence(1.5)])))
        assert turns(socket, "turn.end")[-1]["transcript"].split() == ["one", "two"]


@pytest.mark.parametrize(
    "text",
    [
        "close",
        "{}",
        '{"type":"finalize"}',
        '{"type":"config","turn":{"start_threshold":0.1}}',
        '{"type":"config","turn":{"start_threshold":0.5,"end_threshold":0.5}}',
        '{"type":"config","turn":{"end_timeout_ms":"long"}}',
        '{"type":"config","turn":5}',
    ],
)
def test_wrong_turn_messages_change_nothing(api: ApiServer, text: str) -> None:
    with opened(api, TURNS) as socket:
        assert socket.receive()["type"] == "connected"
        socket.send(text)
        error = socket.receive()
        assert (error["type"], error["status_code"]) == ("error", 400)
        socket.send('{"type":"config"}')
        socket.send('{"type":"close"}')
        assert close_code(socket) == 1000


@pytest.mark.parametrize("path", [MANUAL, TURNS])
def test_keyterms_reach_the_recogniser(api: ApiServer, path: str) -> None:
    """Repeated, with spaces in both spellings, blank ones and repetitions left out."""
    heard = len(api.recognizer.windows)
    with opened(api, path + "&keyterm=Saoirse+Ronan&keyterm=Nguyen%20&keyterm=&keyterm=Nguyen") as socket:
        feed(socket, s16(speech(1, 2)))
        socket.send('{"type":"close"}')
        read_to_close(socket)
    assert {window.keyterms for window in api.recognizer.windows[heard:]} == {("Saoirse Ronan", "Nguyen")}


@pytest.mark.parametrize("path", [MANUAL, TURNS])
def test_without_keyterms_the_recogniser_gets_none(api: ApiServer, path: str) -> None:
    heard = len(api.recognizer.windows)
    with opened(api, path) as socket:
        feed(socket, s16(speech(1, 2)))
        socket.send('{"type":"close"}')
        read_to_close(socket)
    assert {window.keyterms for window in api.recognizer.windows[heard:]} == {()}


def read_to_close(socket: Socket) -> None:
    """Read whatever comes until the server closes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.receive()

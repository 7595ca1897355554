"""The speaking socket: contexts, continuations, flush, cancel, terminators of old SDKs."""

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ANNA, BERT, PHONE_MS, FakeSynthesizer
from tests.server.api.harness import RAW, VERSIONS, ApiServer, opened, serving, speech_body

PATH = "/tts/websocket"
LEGACY_VOICE = {"mode": "embedding", "embedding": [1.0] * 192}
LEGACY_SETTINGS = {
    "model_id": "sonic-english",
    "voice": LEGACY_VOICE,
    "output_format": {"container": "raw", "encoding": "pcm_f32le", "sample_rate": 44100},
}


def message(context_id: str | None, transcript: str, **fields: Any) -> dict[str, Any]:
    return speech_body(transcript, context_id=context_id, **fields)


def audio_of(frames: list[dict[str, Any]], context_id: str | None = None) -> bytes:
    chunks = [f for f in frames if f["type"] == "chunk" and context_id in (None, f["context_id"])]
    return b"".join(base64.b64decode(chunk["data"]) for chunk in chunks)


def letters_bytes(count: int) -> int:
    return 2 * count * int(PHONE_MS * 24)


def test_single_message_speaks_and_is_done(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("one", "hello there."))
        frames = socket.until("done")
        socket.quiet()
    assert frames[-1] == {"type": "done", "done": True, "status_code": 206, "context_id": "one"}
    assert len(audio_of(frames)) == letters_bytes(10)
    for chunk in frames[:-1]:
        assert set(chunk) == {"type", "data", "done", "status_code", "step_time", "context_id"}
        assert len(base64.b64decode(chunk["data"])) % 2 == 0
        assert chunk["data"]


def test_first_chunk_is_sent_at_once(tmp_path: Path) -> None:
    """While the model is held back after its first step, that step's audio has already arrived."""
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.2)) as server, opened(server, PATH) as socket:
        start_s = time.perf_counter()
        socket.send(message("one", "a long sentence."))
        assert socket.receive()["type"] == "chunk"
        assert time.perf_counter() - start_s < 0.39


def test_continuations_are_joined_verbatim(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        for piece in ("hel", "lo the", "re"):
            socket.send(message("c", piece, **{"continue": True, "add_timestamps": True}))
        socket.quiet()
        socket.send(message("c", ".", **{"continue": False}))
        frames = socket.until("done")
    words = [word for frame in frames if frame["type"] == "timestamps" for word in frame["word_timestamps"]["words"]]
    assert words == ["hello", "there."]
    assert len(audio_of(frames)) == letters_bytes(10)


def test_times_grow_over_the_whole_context(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("t", "one two. ", **{"continue": True, "add_timestamps": True, "add_phoneme_timestamps": True}))
        socket.send(message("t", "three.", **{"continue": False}))
        frames = socket.until("done")
    words = [frame["word_timestamps"] for frame in frames if frame["type"] == "timestamps"]
    assert [entry["words"] for entry in words] == [["one", "two."], ["three."]]
    assert [entry["start"] for entry in words] == [[0.0, 0.15], [0.3]]
    assert [entry["end"] for entry in words] == [[0.15, 0.3], [0.55]]
    phonemes = [frame["phoneme_timestamps"] for frame in frames if frame["type"] == "phoneme_timestamps"]
    assert sum(len(entry["phonemes"]) for entry in phonemes) == 11


def test_no_times_unless_asked(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("t", "one two."))
        assert {frame["type"] for frame in socket.until("done")} == {"chunk", "done"}


def test_contexts_interleave_and_do_not_feel_each_other(tmp_path: Path) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.005)) as server, opened(server, PATH) as socket:
        ids = ["a", "b", "c"]
        for name in ids:
            socket.send(message(name, "a sentence of some length.", voice=ANNA.id if name != "b" else BERT.id))
        frames: list[dict[str, Any]] = []
        while sum(frame["type"] == "done" for frame in frames) < len(ids):
            frames.append(socket.receive())
        order = [frame["context_id"] for frame in frames]
        assert order != sorted(order), "contexts were spoken one after the other"
        assert audio_of(frames, "a") == audio_of(frames, "c") != audio_of(frames, "b")
        socket.send(message("alone", "a sentence of some length."))
        assert audio_of(socket.until("done")) == audio_of(frames, "a")


@pytest.mark.parametrize("terminator", ["", " "])
@pytest.mark.parametrize("version", VERSIONS)
def test_blank_terminator_always_gives_done(api: ApiServer, version: str, terminator: str) -> None:
    """On a context that speaks, one that is over and one that never was."""
    with opened(api, PATH, version) as socket:
        socket.send(message("k", "hello there.", **{"continue": True}))
        socket.send(message("k", terminator, **{"continue": False}))
        assert len(audio_of(socket.until("done"))) == letters_bytes(10)
        socket.send(message("k", terminator, **{"continue": False}))
        assert socket.receive()["type"] == "done"
        socket.send(message("never", terminator, **{"continue": False}))
        frame = socket.receive()
        assert (frame["type"], frame["context_id"]) == ("done", "never")
        socket.quiet(0.05)


def test_blank_only_context_is_done_without_audio(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("w", " ", **{"continue": True}))
        socket.send(message("w", "", **{"continue": False}))
        assert [frame["type"] for frame in socket.until("done", "error")] == ["done"]


@pytest.mark.parametrize("version", ["2024-06-10", "2024-11-13"])
def test_terminator_of_old_sdks_changes_nothing_but_the_end(api: ApiServer, version: str) -> None:
    """py 1 and 2 end a context with a fixed voice, model and format that are not the context's."""
    with opened(api, PATH, version) as socket:
        socket.send(message("old", "hello there.", **{"continue": True}))
        socket.send({"context_id": "old", "transcript": "", "continue": False, **LEGACY_SETTINGS})
        frames = socket.until("done", "error")
        assert frames[-1]["type"] == "done"
        assert len(audio_of(frames)) == letters_bytes(10)


def test_flush_of_old_sdks(api: ApiServer) -> None:
    """Zero-based, on every frame: their reader indexes a list of queues with it."""
    with opened(api, PATH, "2024-11-13") as socket:
        flush = {"context_id": "f", "transcript": "", "continue": True, "flush": True, **LEGACY_SETTINGS}
        socket.send(message("f", "one", **{"continue": True, "max_buffer_delay_ms": 5000}))
        socket.send(flush)
        first = socket.until("flush_done")
        assert {frame["flush_id"] for frame in first} == {0}
        assert len(audio_of(first)) == letters_bytes(3)
        socket.send(message("f", "two", **{"continue": True}))
        socket.send({**flush, "continue": False, "flush": False})
        second = socket.until("done")
        assert {frame["flush_id"] for frame in second[:-1]} == {1}
        assert len(audio_of(second)) == letters_bytes(3)
        socket.send({**flush, "context_id": "f"})
        assert socket.receive() == {
            "type": "flush_done", "flush_done": True, "done": False, "status_code": 206, "flush_id": 0, "context_id": "f",
        }  # fmt: skip


@pytest.mark.parametrize("version", ["2025-04-16", "2026-08-14"])
def test_flush_ids_count_from_one_and_only_after_a_flush(api: ApiServer, version: str) -> None:
    with opened(api, PATH, version) as socket:
        socket.send(message("f", "one.", **{"continue": True}))
        first = socket.receive()
        assert first["type"] == "chunk"
        assert "flush_id" not in first
        socket.send(message("f", "", **{"continue": True, "flush": True}))
        done = socket.until("flush_done")[-1]
        assert done == {
            "type": "flush_done", "flush_done": True, "done": False, "status_code": 206, "flush_id": 1, "context_id": "f",
        }  # fmt: skip
        socket.send(message("f", "and two", **{"continue": True, "flush": True}))
        frames = socket.until("flush_done")
        assert {frame["flush_id"] for frame in frames} == {2}
        assert len(audio_of(frames)) == letters_bytes(6)
        socket.send(message("f", "", **{"continue": False}))
        assert socket.until("done")[-1]["type"] == "done"


def test_flush_speaks_what_the_buffer_held(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("b", "no end yet", **{"continue": True, "max_buffer_delay_ms": 5000}))
        socket.quiet(0.1)
        socket.send(message("b", "", **{"continue": True, "flush": True}))
        assert len(audio_of(socket.until("flush_done"))) == letters_bytes(8)


def test_buffer_delay_by_version(api: ApiServer) -> None:
    """Old clients send sentences and expect them to be spoken at once; newer ones may send single tokens."""
    with opened(api, PATH, "2024-11-13") as socket:
        socket.send(message("now", "no end yet", **{"continue": True}))
        assert socket.receive(1.0)["type"] == "chunk"
    with opened(api, PATH, "2025-04-16") as socket:
        socket.send(message("later", "no end yet", **{"continue": True}))
        socket.quiet(0.2)
        socket.send(message("later", " still", **{"continue": True, "max_buffer_delay_ms": 0}))
        assert socket.receive(1.0)["type"] == "chunk"


def test_cancel_is_silent_and_frees_the_slot(tmp_path: Path) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.01)) as server, opened(server, PATH) as socket:
        socket.send(message("x", "a very long sentence " * 100))
        socket.receive()
        socket.send({"context_id": "x", "cancel": True})
        socket.send({"context_id": "unknown", "cancel": True})
        assert server.wait_idle() < 0.2
        socket.send(message("y", "hi."))
        frames = socket.until("done")
        after = [frame for frame in frames if frame["context_id"] == "x"]
        assert all(frame["type"] == "chunk" for frame in after), "a cancelled context says nothing but what was under way"
        socket.quiet()
        socket.send(message("x", "hi."))
        assert len(audio_of(socket.until("done"))) == letters_bytes(2)


def test_context_id_may_be_used_again(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        for _ in range(2):
            socket.send(message("again", "hello there."))
            frames = socket.until("done")
            assert len(audio_of(frames)) == letters_bytes(10)


def test_text_that_comes_before_the_last_words_are_out_is_spoken_after_them(tmp_path: Path) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.02)) as server, opened(server, PATH) as socket:
        socket.send(message("s", "a first sentence."))
        socket.send(message("s", "a second ", **{"continue": True}))
        socket.send(message("s", "one.", **{"continue": True}))
        socket.send(message("s", "", **{"continue": False}))
        assert len(audio_of(socket.until("done"))) == letters_bytes(14)
        assert len(audio_of(socket.until("done"))) == letters_bytes(10)
        socket.quiet()


def test_missing_context_id_is_made_up(api: ApiServer) -> None:
    with opened(api, PATH, "2024-06-10") as socket:
        socket.send(message(None, "hi."))
        frames = socket.until("done")
        assert len({frame["context_id"] for frame in frames}) == 1
        assert frames[0]["context_id"]


def test_settings_of_a_context_are_those_of_its_first_message(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("l", "one. ", **{"continue": True}))
        changed = {"output_format": {**RAW, "sample_rate": 8000}, "voice": BERT.id, "model_id": "sonic-2"}
        socket.send(message("l", "two.", **{"continue": False, **changed}))
        assert len(audio_of(socket.until("done"))) == letters_bytes(6)


def test_controls_may_change_within_a_context(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        socket.send(message("g", "one. ", **{"continue": True, "generation_config": {"speed": 1.0}}))
        socket.send(message("g", "two.", **{"continue": False, "generation_config": {"speed": 1.5}}))
        assert len(audio_of(socket.until("done"))) == letters_bytes(3) + letters_bytes(2)


def test_handshake_carries_the_request_id(api: ApiServer) -> None:
    with opened(api, PATH) as socket:
        response = socket.connection.response
        assert response is not None
        assert len(response.headers["X-Request-Id"]) == 36


def test_version_in_the_query_wins(api: ApiServer) -> None:
    with opened(api, PATH + "?cartesia_version=2024-06-10&unknown=1", version="2026-08-14") as socket:
        socket.send(message("v", "hi.", model_id="gpt-9"))
        assert "error" in socket.receive()


def test_stage_times_on_request(api: ApiServer) -> None:
    for query, asked in (("", False), ("?stage_times=true", True)):
        with opened(api, PATH + query) as socket:
            socket.send(message("s", "hi."))
            done = socket.until("done")[-1]
        assert ("stage_times_ms" in done) == asked
    stages = done["stage_times_ms"]
    assert set(stages) == {"text", "queue", "first_step", "first_audio", "encode", "send", "total"}
    assert stages["total"] == pytest.approx(sum(stages.values()) - stages["total"], abs=0.01)

"""Liveness, readiness, and what clients see while the server drains."""

from pathlib import Path

import httpx

from tests.fakes import FakeSynthesizer
from tests.server.api.harness import opened, serving, speech_body
from tests.server.api.test_errors import check_shape
from tests.server.api.test_tts_ws import audio_of, letters_bytes


def test_live_and_ready(http: httpx.Client) -> None:
    for path in ("/livez", "/readyz", "/livez/"):
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.headers["x-request-id"]
    assert http.head("/livez").status_code == 200


def test_draining_server_finishes_what_runs_and_takes_nothing_new(tmp_path: Path, http: httpx.Client) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.03)) as server, opened(server, "/tts/websocket") as socket:
        socket.send(speech_body("a sentence of some length.", context_id="running"))
        first = socket.receive()
        stopped = server.drain(10)
        ready = http.get(server.url + "/readyz")
        assert ready.status_code == 503
        assert http.get(server.url + "/livez").status_code == 200
        for version in ("2024-11-13", "2026-08-14"):
            refused = http.post(server.url + "/tts/bytes", json=speech_body(), headers={"Cartesia-Version": version})
            check_shape(refused, 503, version)
            assert int(refused.headers["retry-after"]) >= 1
        socket.send(speech_body(context_id="late"))
        frames = [first, *socket.until("done")]
        late = [frame for frame in frames if frame["context_id"] == "late"]
        assert [(frame["type"], frame["status_code"]) for frame in late] == [("error", 503)]
        assert len(audio_of(frames, "running")) == letters_bytes(21)
        stopped.result(10)


def test_stopping_without_patience_ends_contexts_with_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.03)) as server, opened(server, "/tts/websocket") as socket:
        socket.send(speech_body("a very long sentence " * 50, context_id="cut"))
        socket.receive()
        server.drain(0).result(10)
        error = socket.until("error", "done")[-1]
        assert (error["type"], error["status_code"], error["context_id"]) == ("error", 503, "cut")

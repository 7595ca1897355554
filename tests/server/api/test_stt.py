"""Files to transcripts: both paths, every container, headerless audio, and refusals."""

import io
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.audio import Pcm
from server.config import Limits
from tests.fakes import FakeRecognizer, silence, speech
from tests.server.api.harness import VERSIONS, ApiServer, opened, serving
from tests.server.api.test_errors import check_shape

PATHS = ["/stt", "/stt/", "/audio/transcriptions", "/v1/audio/transcriptions"]
SPOKEN = np.concatenate([silence(0.5), speech(1, 2, 3), silence(0.5)])


def wav(pcm: Pcm, rate_hz: int = 16000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes((pcm * 32767).astype("<i2").tobytes())
    return file.getvalue()


def post(http: httpx.Client, file: bytes = wav(SPOKEN), **fields: Any) -> httpx.Response:
    path, version = fields.pop("path", "/stt"), fields.pop("version", VERSIONS[-1])
    params = fields.pop("params", {})
    data = {name: value for name, value in {"model": "ink-whisper", **fields}.items() if value is not None}
    headers = {"Cartesia-Version": version}
    return http.post(path, files={"file": ("a.wav", file, "audio/x-wav")}, data=data, headers=headers, params=params)


@pytest.mark.parametrize("path", PATHS)
def test_transcript_of_a_file(http: httpx.Client, path: str) -> None:
    answer = post(http, path=path)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"type", "text", "language", "duration", "is_final", "request_id"}
    assert (body["type"], body["text"], body["language"], body["is_final"]) == ("transcript", "one two three", "en", True)
    assert body["duration"] == pytest.approx(1.75, abs=0.01)
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities"])
def test_word_times_where_asked(http: httpx.Client, name: str) -> None:
    fields: dict[str, Any] = {name: "word"}
    words = post(http, **fields).json()["words"]
    assert [word["word"].strip() for word in words] == ["one", "two", "three"]
    starts = [word["start"] for word in words]
    assert starts == pytest.approx([0.5, 0.75, 1.0], abs=0.1)
    assert all(word["end"] > word["start"] for word in words)


def test_openai_fields_are_ignored(http: httpx.Client) -> None:
    fields: dict[str, Any] = {"response_format": "verbose_json", "temperature": "0.2", "prompt": "hm", "language": "en-US"}
    assert post(http, path="/audio/transcriptions", **fields).json()["text"] == "one two three"


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_openai_ids_are_answered(http: httpx.Client, model: str) -> None:
    assert post(http, path="/v1/audio/transcriptions", model=model).json()["text"] == "one two three"


def test_silence_is_an_empty_transcript(http: httpx.Client) -> None:
    body = post(http, wav(silence(2.0)), **{"timestamp_granularities[]": "word"}).json()
    assert (body["text"], body["words"], body["language"]) == ("", [], "en")


@pytest.mark.parametrize(
    ("encoding", "dtype"), [("pcm_s16le", "<i2"), ("pcm_f32le", "<f4"), ("pcm_s32le", "<i4"), ("pcm_f16le", "<f2")]
)
def test_headerless_audio(http: httpx.Client, encoding: str, dtype: str) -> None:
    scale = {"<i2": 32767, "<i4": 2**31 - 1}.get(dtype, 1)
    data = (SPOKEN * scale).astype(dtype).tobytes()
    answer = post(http, data, params={"encoding": encoding, "sample_rate": "16000"})
    assert answer.json()["text"] == "one two three"


def test_long_file_is_heard_to_the_end(http: httpx.Client) -> None:
    piece = np.concatenate([speech(4, 5), silence(2.0)])
    body = post(http, wav(np.tile(piece, 30))).json()
    assert body["text"].split() == ["four", "five"] * 30


REFUSALS: list[tuple[dict[str, Any], int, str, tuple[str, ...]]] = [
    ({"model": None}, 400, "model:", ()),
    ({"model": "gpt-4o-transcribe-diarize"}, 400, "model:", ("ink-whisper", "whisper-1")),
    ({"language": "xx"}, 400, "language:", ("en",)),
    ({"timestamp_granularities[]": "segment"}, 400, "timestamp_granularities[]:", ("word",)),
    ({"file": b""}, 400, "file:", ()),
    ({"file": b"this is not audio at all" * 100}, 415, "file:", ("wav", "flac")),
    ({"file": wav(SPOKEN)[:40]}, 415, "file:", ()),
    ({"params": {"encoding": "pcm_s16le"}}, 400, "sample_rate:", ()),
    ({"params": {"sample_rate": "16000"}}, 400, "encoding:", ()),
    ({"params": {"encoding": "opus", "sample_rate": "16000"}}, 400, "encoding:", ("pcm_s16le", "pcm_mulaw")),
    ({"params": {"encoding": "pcm_s16le", "sample_rate": "fast"}}, 400, "sample_rate:", ()),
    ({"params": {"encoding": "pcm_s16le", "sample_rate": "1"}}, 400, "sample_rate:", ("4000",)),
]


@pytest.mark.parametrize("version", ["2024-11-13", "2026-08-14"])
@pytest.mark.parametrize(("fields", "status", "start", "listed"), REFUSALS)
def test_refusals(
    http: httpx.Client, api: ApiServer, fields: dict[str, Any], status: int, start: str, listed: tuple[str, ...], version: str
) -> None:
    message = check_shape(post(http, version=version, **fields), status, version, start)
    for value in listed:
        assert value in message
    api.wait_idle()


def test_missing_and_wrong_parts(http: httpx.Client) -> None:
    parts = {"model": (None, "ink-whisper"), "file": (None, "text")}
    check_shape(http.post("/stt", files=parts), 400, VERSIONS[-1], "file:")
    for kind in ("", "application/json", "audio/wav", "application/x-www-form-urlencoded"):
        answer = http.post("/stt", content=b"&" * 1000, headers={"Content-Type": kind} if kind else {})
        assert (kind or "no type") in check_shape(answer, 400, VERSIONS[-1], "body: must be multipart/form-data")
    broken = {"Content-Type": "multipart/form-data"}
    check_shape(http.post("/stt", content=b"abc", headers=broken), 400, VERSIONS[-1], "body:")
    two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
    check_shape(http.post("/stt", files=two, data={"model": "ink-whisper"}), 400, VERSIONS[-1], "body:")


def test_truncated_file_is_heard_as_far_as_it_goes(http: httpx.Client) -> None:
    file = wav(SPOKEN)
    assert post(http, file[: len(file) * 2 // 3]).json()["text"].startswith("one two")


def test_limits_of_size_and_length(tmp_path: Path, http: httpx.Client) -> None:
    with serving(tmp_path, limits=Limits(max_upload_bytes=100_000, max_upload_s=3.0)) as server:
        url = server.url + "/stt"
        check_shape(post(http, b"x" * 300_000, path=url), 413, VERSIONS[-1], "body:")
        check_shape(post(http, wav(silence(4.0), 8000), path=url), 413, VERSIONS[-1], "file:")
        raw = {"encoding": "pcm_mulaw", "sample_rate": "8000"}
        check_shape(post(http, b"\xff" * 32_000, path=url, params=raw), 413, VERSIONS[-1], "file:")
        assert post(http, path=url).json()["text"] == "one two three"


def test_model_failure_is_a_500_without_details(api: ApiServer, http: httpx.Client) -> None:
    api.recognizer.fault_level = 0.85
    try:
        answer = post(http, wav(np.concatenate([speech(9, 9), silence(1.0)])))
    finally:
        api.recognizer.fault_level = None
    assert "asked to fail" not in check_shape(answer, 500, VERSIONS[-1])


def test_busy_is_429(tmp_path: Path, http: httpx.Client) -> None:
    with serving(tmp_path, limits=Limits(max_transcription_sessions=1)) as server:
        query = "?model=ink-whisper&encoding=pcm_s16le&sample_rate=16000"
        with opened(server, "/stt/websocket" + query):
            answer = post(http, path=server.url + "/stt")
            check_shape(answer, 429, VERSIONS[-1])
            assert answer.headers["retry-after"] == "1"


def test_client_that_goes_away_frees_its_stream(tmp_path: Path) -> None:
    with serving(tmp_path, recognizer=FakeRecognizer(step_s=0.2)) as server:
        long = wav(np.tile(np.concatenate([speech(4, 5), silence(2.0)]), 40))
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.url, timeout=0.5) as client:
            post(client, long)
        server.wait_idle(within_s=1.0)


@pytest.mark.parametrize(
    ("path", "fields", "heard"),
    [
        ("/stt", {}, "en"),
        ("/stt", {"language": "auto"}, "ja"),
        ("/stt", {"language": "de-AT"}, "de"),
        ("/audio/transcriptions", {}, "ja"),
        ("/v1/audio/transcriptions", {}, "ja"),
        ("/v1/audio/transcriptions", {"language": "en"}, "en"),
    ],
)
def test_language_given_left_out_and_detected(
    tmp_path: Path, http: httpx.Client, path: str, fields: dict[str, Any], heard: str
) -> None:
    model = FakeRecognizer(languages=("de", "en", "ja"))
    model.spoken = "ja"
    with serving(tmp_path, recognizer=model) as server:
        assert post(http, path=server.url + path, **fields).json()["language"] == heard


def test_text_that_is_cut_off_says_so(tmp_path: Path, http: httpx.Client) -> None:
    model = FakeRecognizer()
    model.truncates = True
    with serving(tmp_path, recognizer=model) as server:
        body = post(http, path=server.url + "/stt").json()
    assert (body["text"], body["truncated"]) == ("one two three", True)

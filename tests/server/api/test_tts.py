"""Speech over HTTP: bytes in every container, event streams, and every refusal before the first byte."""

import base64
import io
import json
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from server.config import Limits
from server.requests.audio_format import MP3_BIT_RATES_BPS, OUTPUT_ENCODINGS, OUTPUT_SAMPLE_RATES_HZ
from tests.fakes import ANNA, BERT, PHONE_MS, FakeSynthesizer
from tests.server.api.harness import RAW, ApiServer, serving, speech_body

TEXT = "hello there."
TEXT_S = 10 * PHONE_MS / 1000


def test_raw_audio_has_the_length_of_the_text(http: httpx.Client) -> None:
    answer = http.post("/tts/bytes", json=speech_body(TEXT))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/pcm"
    assert len(answer.content) == 2 * int(TEXT_S * 24000)
    assert np.abs(np.frombuffer(answer.content, "<i2")).max() > 5000


@pytest.mark.parametrize("encoding", OUTPUT_ENCODINGS)
@pytest.mark.parametrize("rate_hz", OUTPUT_SAMPLE_RATES_HZ)
def test_every_encoding_and_rate(http: httpx.Client, encoding: str, rate_hz: int) -> None:
    audio = {"container": "raw", "encoding": str(encoding), "sample_rate": rate_hz}
    answer = http.post("/tts/bytes", json=speech_body(TEXT, output_format=audio))
    width = {"pcm_f32le": 4, "pcm_s16le": 2}.get(encoding, 1)
    assert abs(len(answer.content) / width / rate_hz - TEXT_S) < 0.001


def test_wav_is_readable(http: httpx.Client) -> None:
    audio = {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 24000}
    answer = http.post("/tts/bytes", json=speech_body(TEXT, output_format=audio))
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)


@pytest.mark.parametrize("bit_rate", [*MP3_BIT_RATES_BPS, 128])
def test_mp3_at_every_bit_rate(http: httpx.Client, bit_rate: int) -> None:
    """128 is how the JavaScript SDK 2 says 128000."""
    audio = {"container": "mp3", "sample_rate": 44100, "bit_rate": bit_rate}
    answer = http.post("/tts/bytes", json=speech_body(TEXT, output_format=audio))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.content[:3] == b"ID3" or answer.content[0] == 0xFF


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
def test_answers_carry_request_id_and_stage_times(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json=speech_body(TEXT))
    assert len(answer.headers["x-request-id"]) == 36
    stages = dict(entry.split(";dur=") for entry in answer.headers["server-timing"].split(", "))
    assert set(stages) >= {"queue", "text", "first_step", "first_audio", "encode", "total"}
    assert 0 < float(stages["total"]) < 5000


def test_first_byte_is_measured_for_every_request(http: httpx.Client, api: ApiServer) -> None:
    def count() -> float:
        return api.metrics.registry.get_sample_value("descant_first_byte_seconds_count", {"model": "fake"}) or 0.0

    before = count()
    http.post("/tts/bytes", json=speech_body(TEXT))
    http.post("/tts/sse", json=speech_body(TEXT))
    assert count() == before + 2


@pytest.mark.parametrize(
    "voice",
    [
        ANNA.id,
        ANNA.id.upper(),
        {"id": ANNA.id},
        {"mode": "id", "id": ANNA.id},
        {"mode": "id", "id": ANNA.id, "__experimental_controls": {"speed": "normal", "emotion": ["positivity:high"]}},
        "f786b574-daa5-4673-aa0c-cbe3e8534c02",
        "694f9389-aac1-45b6-b726-9d9369183238",
    ],
)
def test_voice_specifiers_that_mean_the_same(http: httpx.Client, voice: Any) -> None:
    expected = http.post("/tts/bytes", json=speech_body(TEXT)).content
    assert http.post("/tts/bytes", json=speech_body(TEXT, voice=voice)).content == expected
    assert http.post("/tts/bytes", json=speech_body(TEXT, voice=BERT.id)).content != expected


def test_embedding_that_was_given_out_comes_back_as_its_voice(http: httpx.Client) -> None:
    old = {"Cartesia-Version": "2024-06-10"}
    embedding = http.get(f"/voices/{BERT.id}", headers=old).json()["embedding"]
    assert len(embedding) == 192
    for voice in ({"mode": "embedding", "embedding": embedding}, {"embedding": embedding}):
        answer = http.post("/tts/bytes", json=speech_body(TEXT, voice=voice), headers=old)
        assert answer.content == http.post("/tts/bytes", json=speech_body(TEXT, voice=BERT.id)).content


@pytest.mark.parametrize(
    ("fields", "factor"),
    [
        ({"generation_config": {"speed": 0.8}}, 0.8),
        ({"generation_config": {"speed": 2.0}}, 1.5),
        ({"generation_config": {"speed": 0.1}}, 0.6),
        ({"generation_config": None}, 1.0),
        ({"generation_config": {"speed": None, "volume": None, "emotion": "Happy"}}, 1.0),
        ({"speed": "slow"}, 0.8),
        ({"speed": "fast"}, 1.2),
        ({"voice": {"id": ANNA.id, "__experimental_controls": {"speed": 1}}}, 1.5),
        ({"voice": {"id": ANNA.id, "__experimental_controls": {"speed": "slowest"}}}, 0.6),
        ({"speed": "slow", "generation_config": {"speed": 1.5}}, 1.5),
    ],
)
def test_speed_in_every_spelling(http: httpx.Client, fields: dict[str, Any], factor: float) -> None:
    answer = http.post("/tts/bytes", json=speech_body(TEXT, **fields))
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == pytest.approx(2 * 24000 * TEXT_S / factor, rel=0.01)


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_gb", "en-GB"])
@pytest.mark.parametrize("field", ["language", "locale"])
def test_region_tags_are_taken(http: httpx.Client, field: str, language: str) -> None:
    assert http.post("/tts/bytes", json=speech_body(TEXT, **{field: language})).status_code == 200


def test_explicit_nulls_and_unknown_fields_are_ignored(http: httpx.Client) -> None:
    body = {
        **speech_body(TEXT), "generation_config": None, "duration": None, "language": None, "pronunciation_dict_id": None,
        "stream": True, "use_original_timestamps": False, "something_new": {"a": [1]}, "save": None, "speed": None,
    }  # fmt: skip
    assert http.post("/tts/bytes", json=body).status_code == 200


def frames_of(text: str) -> list[dict[str, Any]]:
    """The frames of an event stream, in the only form that all SDKs parse."""
    frames = []
    for block in text.split("\n\n")[:-1]:
        *events, line = block.split("\n")
        assert events in ([], ["event: error"])
        assert line.startswith("data: ")
        frames.append(json.loads(line.removeprefix("data: ")))
    return frames


def test_event_stream_carries_the_same_audio(http: httpx.Client) -> None:
    answer = http.post("/tts/sse", json=speech_body(TEXT))
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = frames_of(answer.text)
    assert done == {"type": "done", "done": True, "status_code": 206}
    for chunk in chunks:
        assert set(chunk) == {"type", "data", "done", "status_code", "step_time"}
        assert (chunk["type"], chunk["done"], chunk["status_code"]) == ("chunk", False, 206)
        assert isinstance(chunk["step_time"], float)
    audio = b"".join(base64.b64decode(chunk["data"]) for chunk in chunks)
    assert audio == http.post("/tts/bytes", json=speech_body(TEXT)).content


def test_event_stream_echoes_the_context_and_gives_times(http: httpx.Client) -> None:
    body = speech_body(TEXT, context_id="mine", add_timestamps=True, add_phoneme_timestamps=True)
    frames = frames_of(http.post("/tts/sse", json=body).text)
    assert all(frame["context_id"] == "mine" for frame in frames)
    words = next(frame for frame in frames if frame["type"] == "timestamps")["word_timestamps"]
    assert words["words"] == ["hello", "there."]
    assert words["start"] == [0.0, 0.25]
    assert words["end"] == [0.25, 0.5]
    phonemes = next(frame for frame in frames if frame["type"] == "phoneme_timestamps")["phoneme_timestamps"]
    assert len(phonemes["phonemes"]) == len(phonemes["start"]) == len(phonemes["end"]) == 10


def test_text_without_anything_to_say_ends_well(http: httpx.Client) -> None:
    assert http.post("/tts/bytes", json=speech_body(" . ")).status_code == 200
    assert frames_of(http.post("/tts/sse", json=speech_body(" . ")).text)[-1]["type"] == "done"


def test_failure_before_the_first_audio_is_an_http_error(http: httpx.Client) -> None:
    for path in ("/tts/bytes", "/tts/sse"):
        answer = http.post(path, json=speech_body("CRASH now."))
        assert answer.status_code == 500
        assert "asked to fail" not in answer.text


@pytest.fixture
def failing_z(api: ApiServer) -> Iterator[None]:
    """The model fails as soon as it comes to a z."""
    api.synthesizer.fault_symbol = "z"
    yield
    api.synthesizer.fault_symbol = None


@pytest.mark.usefixtures("failing_z")
def test_failure_after_the_first_audio_cuts_the_connection(http: httpx.Client, api: ApiServer) -> None:
    with http.stream("POST", "/tts/bytes", json=speech_body("one. zz.")) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()
    api.wait_idle()


@pytest.mark.usefixtures("failing_z")
@pytest.mark.parametrize("version", ["2024-06-10", "2026-08-14"])
def test_failure_after_the_first_audio_ends_an_event_stream(http: httpx.Client, version: str) -> None:
    answer = http.post("/tts/sse", json=speech_body("one. zz."), headers={"Cartesia-Version": version})
    assert "event: error\ndata: " in answer.text
    error = frames_of(answer.text)[-1]
    assert (error["type"], error["done"], error["status_code"]) == ("error", True, 500)
    assert ("error" in error) == (version < "2025")


def test_client_that_goes_away_frees_its_slot_within_100_ms(tmp_path: Path) -> None:
    """Best of three: the machine may be busy with other things."""
    synthesizer = FakeSynthesizer(step_s=0.01)
    with serving(tmp_path, synthesizer=synthesizer) as server, httpx.Client(base_url=server.url) as client:
        for path in ("/tts/bytes", "/tts/sse"):
            took_s: list[float] = []
            while len(took_s) < 3 and min(took_s, default=1.0) >= 0.1:
                with client.stream("POST", path, json=speech_body("a very long sentence " * 200 + ".")) as answer:
                    next(answer.iter_raw())
                took_s.append(server.wait_idle())
            assert min(took_s) < 0.1


def test_client_that_never_reads_is_cut_off(tmp_path: Path) -> None:
    audio = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": 48000}
    with serving(tmp_path, limits=Limits(stall_timeout_s=0.3)) as server, httpx.Client(base_url=server.url) as client:
        long = speech_body("a very long sentence. " * 800, output_format=audio)
        with client.stream("POST", "/tts/bytes", json=long) as answer:
            next(answer.iter_raw())
            time.sleep(0.1)
            quick = httpx.post(server.url + "/tts/bytes", json=speech_body(TEXT))
            assert len(quick.content) == 2 * int(TEXT_S * 24000)
            server.wait_idle(within_s=5)


def test_raw_only_on_event_streams(http: httpx.Client) -> None:
    for container in ("wav", "mp3"):
        audio = {**RAW, "container": container, "bit_rate": 128000}
        answer = http.post("/tts/sse", json=speech_body(TEXT, output_format=audio))
        assert answer.status_code == 400
        assert "output_format.container" in answer.text
        assert "raw" in answer.text

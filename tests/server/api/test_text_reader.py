"""A second model that speaks, of a family that reads text, gives no times and samples: over HTTP, events and sockets, in one
process and behind a gateway."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from models.speech import Generation, Utterance
from tests.fakes import ANNA, CLEO, DAI, READER_RATE_HZ, FakeReader, read_aloud
from tests.server.api.harness import ApiServer, opened, serving, speech_body
from tests.server.api.test_tts_ws import PATH, audio_of

RAW_16K = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": READER_RATE_HZ}
TEXT = "Hello there. Good bye."


@pytest.fixture(scope="module", params=[False, True], ids=["process", "gateway"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("reader")
    with serving(folder, reader=FakeReader(), behind_gateway=request.param) as running:
        yield running


def body(transcript: str = TEXT, **fields: Any) -> dict[str, Any]:
    config = {"seed": 3, **fields.pop("generation_config", {})}
    given = {"model_id": "reader", "voice": CLEO.id, "output_format": RAW_16K, "generation_config": config, **fields}
    return speech_body(transcript, **given)


def aloud(*texts: str, generation: Generation = Generation(seed=3)) -> bytes:  # noqa: B008 - never changed
    return b"".join(read_aloud(Utterance(text), CLEO, generation).astype("<f4").tobytes() for text in texts)


def test_bytes_are_those_of_the_seed(server: ApiServer) -> None:
    answer = httpx.post(server.url + "/tts/bytes", json=body())
    assert answer.status_code == 200, answer.text
    assert answer.content == aloud("Hello there.", "Good bye.")
    warm = {"sampling": {"temperature": 0.5}, "instructions": " Softly. "}
    spoken = httpx.post(server.url + "/tts/bytes", json=body(generation_config=warm)).content
    np.testing.assert_array_equal(
        np.frombuffer(spoken, "<f4"),
        np.frombuffer(aloud("Hello there.", "Good bye.", generation=Generation(3, {"temperature": 0.5}, "Softly.")), "<f4"),
    )
    free = [httpx.post(server.url + "/tts/bytes", json=body(generation_config={"seed": None})).content for _ in range(2)]
    assert free[0] != free[1]
    server.wait_idle()


def test_events_and_sockets_carry_audio_alone(server: ApiServer) -> None:
    lines = httpx.post(server.url + "/tts/sse", json=body()).text.splitlines()
    frames = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    assert {frame["type"] for frame in frames} == {"chunk", "done"}
    assert audio_of([{**frame, "context_id": None} for frame in frames]) == aloud("Hello there.", "Good bye.")
    with opened(server, PATH) as socket:
        for piece in ("Hello the", "re. Good", " bye."):
            socket.send(body(piece, context_id="c", **{"continue": True}))
        socket.send(body("", context_id="c", **{"continue": False}))
        frames = socket.until("done", "error")
    assert {frame["type"] for frame in frames} == {"chunk", "done"}
    assert audio_of(frames) == aloud("Hello there.", "Good bye.")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"add_timestamps": True}, "add_timestamps: the model 'reader' gives no times of words; leave it out"),
    ({"add_phoneme_timestamps": True}, "add_phoneme_timestamps: the model 'reader' gives no times of phonemes"),
    ({"generation_config": {"speed": 1.2}}, "generation_config.speed: the model 'reader' does not act on it"),
    ({"speed": "fast", "generation_config": None}, "generation_config.speed: the model 'reader' does not act on it"),
    (
        {"generation_config": {"sampling": {"top_p": 0.5}}},
        "generation_config.sampling: 'top_p' is not supported; accepted values: t",
    ),
    ({"generation_config": {"seed": -1}}, "generation_config.seed: -1 is out of range; accepted values: 0 to 4294967295"),
    ({"generation_config": {"seed": 1.5}}, "generation_config.seed: "),
    ({"generation_config": {"sampling": {"temperature": "hot"}}}, "generation_config.sampling.temperature: "),
    ({"normalization": "off"}, "normalization: the model 'reader' reads numbers and signs by itself"),
    ({"voice": f"{CLEO.id}+{CLEO.id}"}, "voice: voices of the model 'reader' do not mix"),
    ({"voice": f"{CLEO.id}+{ANNA.id}"}, "voice: 'Anna' is a voice of the model 'fake', not of 'reader'; ask for model 'fake'"),
    ({"transcript": "A <<k|æ|t>>."}, "transcript: the model reads text and cannot speak the phones"),
    ({"transcript": "..."}, "transcript: '...' holds nothing that can be spoken"),
]


@pytest.mark.parametrize(
    ("fields", "message"), REFUSED, ids=[f"{row[1].partition(':')[0]}-{i}" for i, row in enumerate(REFUSED)]
)
def test_what_it_cannot_do_is_refused_before_the_first_byte(server: ApiServer, fields: dict[str, Any], message: str) -> None:
    given = body()
    given |= {**fields, "generation_config": fields["generation_config"]} if "generation_config" in fields else fields
    sent = {name: value for name, value in given.items() if value is not None}
    for path in ("/tts/bytes", "/tts/sse"):
        answer = httpx.post(server.url + path, json=sent)
        assert answer.status_code == 400, answer.text
        assert message in answer.json()["message"]
    with opened(server, PATH) as socket:
        socket.send({**sent, "context_id": "c"})
        (frame,) = socket.until("error", "done")
        assert frame["type"] == "error"
        assert message in frame["message"]
    server.wait_idle()


def test_times_wanted_by_a_later_message_end_the_context_with_the_reason(server: ApiServer) -> None:
    with opened(server, PATH) as socket:
        socket.send(body("Hello there. ", context_id="c", **{"continue": True}))
        socket.send(body("Good bye.", context_id="c", add_timestamps=True))
        last = socket.until("error", "done")[-1]
        assert (last["type"], last["context_id"]) == ("error", "c")
        assert "gives no times of words" in last["message"]
    server.wait_idle()


def test_the_other_model_goes_on_giving_times(server: ApiServer) -> None:
    with opened(server, PATH) as socket:
        socket.send(speech_body("hello there.", context_id="c", add_timestamps=True))
        frames = socket.until("done", "error")
    assert "timestamps" in [frame["type"] for frame in frames]


def test_voices_of_its_own_are_kept_with_records_that_nobody_reads(server: ApiServer) -> None:
    own = server.own_voices
    kept = own.create("", replace(CLEO, name="Kept", record={"code": [3, 1]}))
    other = own.create("", replace(CLEO, name="Other", record={"code": [9]}))
    same, changed = (httpx.post(server.url + "/tts/bytes", json=body(voice=made.voice.id)).content for made in (kept, other))
    assert same == aloud("Hello there.", "Good bye.")
    assert len(changed) == len(same)
    assert changed != same
    path = f"{server.url}/voices/{kept.voice.id}"
    embedding = httpx.get(path, params={"expand[]": "embedding"}).json()["embedding"]
    assert len(embedding) == 192
    again = httpx.post(
        server.url + "/tts/bytes", json=body(voice={"mode": "embedding", "embedding": embedding}),
        headers={"Cartesia-Version": "2024-06-10"},
    )  # fmt: skip
    assert again.content == same
    for made in (kept, other):
        assert httpx.delete(f"{server.url}/voices/{made.voice.id}").status_code == 204


def test_a_well_known_id_is_answered_by_a_voice_of_the_model(server: ApiServer) -> None:
    answer = httpx.post(server.url + "/tts/bytes", json=body(voice="f786b574-daa5-4673-aa0c-cbe3e8534c02"))
    assert answer.content == aloud("Hello there.", "Good bye.")


def test_its_voices_are_listed_and_its_languages_taken(server: ApiServer) -> None:
    listed = httpx.get(server.url + "/voices", params={"language": "ja"}).json()["data"]
    assert [voice["id"] for voice in listed] == [DAI.id]
    answer = httpx.post(server.url + "/tts/bytes", json=body("元気ですか？", voice=DAI.id, language="ja"))
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == 4 * 6 * READER_RATE_HZ // 100

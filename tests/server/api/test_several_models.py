"""Two models that speak and two that recognize in one server, in one process and behind a gateway: who answers, and what is
refused before the first byte."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import ANNA, BERT, CLEO, DAI, READER_RATE_HZ, FakeReader, FakeRecognizer, silence, speech
from tests.server.api.harness import VERSIONS, ApiServer, opened, serving, speech_body
from tests.server.api.test_errors import check_shape
from tests.server.api.test_stt_ws import MANUAL, feed, finals, s16
from tests.server.api.test_tts_ws import PATH

HEADERLESS = {"encoding": "pcm_s16le", "sample_rate": "16000"}


@pytest.fixture(scope="module", params=[False, True], ids=["process", "gateway"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    second = FakeRecognizer(languages=("de", "ja"))
    with serving(
        tmp_path_factory.mktemp("several"),
        reader=FakeReader(),
        second_recognizer=second,
        installed={"whisper-base": "recognition", "kokoro": "speech"},
        behind_gateway=request.param,
    ) as running:
        yield running


def transcribe(server: ApiServer, model: str, version: str = VERSIONS[-1], **data: str) -> httpx.Response:
    pcm = s16(speech(1, 2, 3)) + s16(silence(0.5))
    return httpx.post(
        server.url + "/stt", params=HEADERLESS, files={"file": pcm}, data={"model": model, **data},
        headers={"Cartesia-Version": version},
    )  # fmt: skip


def heard_by(server: ApiServer) -> dict[str, int]:
    return {name: len(model.windows) for name, model in server.recognizers.items()}


def test_the_first_page_says_what_is_loaded_and_who_answers(server: ApiServer) -> None:
    page = httpx.get(server.url).json()
    assert [(model["name"], model["kind"], model["device"]) for model in page["loaded"]] == [
        ("fake", "speech", "cpu"),
        ("reader", "speech", "cpu"),
        ("fake_recognizer", "recognition", "cpu"),
        ("second_recognizer", "recognition", "cpu"),
    ]
    assert page["loaded"][1]["voices"] == 2
    assert page["loaded"][3]["languages"] == ["de", "ja"]
    assert all(model["in_memory"] for model in page["loaded"])
    answers = page["models"]
    assert (answers["tts"]["sonic-3"], answers["tts"]["reader"]) == ("fake", "reader")
    assert (answers["stt"]["ink-2"], answers["stt"]["second_recognizer"]) == ("fake_recognizer", "second_recognizer")


@pytest.mark.parametrize(
    ("model_id", "name", "language"),
    [
        ("ink-whisper", "fake_recognizer", "en"),
        ("whisper-1", "fake_recognizer", "en"),
        ("fake_recognizer", "fake_recognizer", "en"),
        ("second_recognizer", "second_recognizer", "ja"),
    ],
)
def test_files_go_to_the_recognizer_of_the_id(server: ApiServer, model_id: str, name: str, language: str) -> None:
    before = heard_by(server)
    answer = transcribe(server, model_id, language=language)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["text"].split(), answer.json()["language"]) == (["one", "two", "three"], language)
    assert [each for each, count in heard_by(server).items() if count > before[each]] == [name]


def test_sockets_go_to_the_recognizer_of_the_id(server: ApiServer) -> None:
    before = heard_by(server)
    path = MANUAL.replace("ink-whisper", "second_recognizer").replace("ink-2", "second_recognizer") + "&language=de"
    assert "second_recognizer" in path
    with opened(server, path) as socket:
        feed(socket, s16(speech(1, 2)))
        socket.send("finalize")
        assert finals(socket.until("flush_done")).split() == ["one", "two"]
        socket.send("close")
        socket.until("done")
    assert [name for name, count in heard_by(server).items() if count > before[name]] == ["second_recognizer"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("model", "language", "says"),
    [
        (
            "whisper-base",
            "en",
            "model: 'whisper-base' is installed, but this server has not loaded it; loaded: fake_rec",
        ),
        ("whisper-large", "en", "model: 'whisper-large' is not served here; accepted values: fake_recognizer, gpt-4o-"),
        ("kokoro", "en", "model: 'kokoro' speaks; accepted values: fake_recognizer, "),
        ("reader", "en", "model: 'reader' speaks; accepted values: "),
        ("second_recognizer", "en", "language: 'en' is not supported; accepted values: de, ja"),
        ("ink-whisper", "de", "language: 'de' is not supported; accepted values: en"),
    ],
)
def test_recognition_that_cannot_be_is_refused(server: ApiServer, version: str, model: str, language: str, says: str) -> None:
    message = check_shape(transcribe(server, model, version, language=language), 400, version, says)
    if model == "whisper-base":
        assert message.endswith("--recognition-model second_recognizer --recognition-model whisper-base")
    path = f"/stt/websocket?model={model}&encoding=pcm_s16le&sample_rate=16000&language={language}"
    with opened(server, path, version) as socket:
        error = socket.receive()
        assert (error["type"], error["status_code"]) == ("error", 400)
        assert error["message"].startswith(says)
    server.wait_idle()


SPEECH_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model_id": "kokoro"}, "model_id: 'kokoro' is installed, but this server has not loaded it; loaded: fake, reader. "),
    ({"model_id": "whisper-base"}, "model_id: 'whisper-base' recognizes speech; accepted values: fake, reader, sonic, "),
    ({"model_id": "second_recognizer"}, "model_id: 'second_recognizer' recognizes speech; accepted values: "),
    ({"voice": CLEO.id}, "voice: 'Cleo' is a voice of the model 'reader', not of 'fake'; ask for model 'reader', or for one "
     f"of the voices of 'fake': {ANNA.id} (Anna), {BERT.id} (Bert)"),
    ({"model_id": "reader"}, "voice: 'Anna' is a voice of the model 'fake', not of 'reader'; ask for model 'fake', or for one "
     f"of the voices of 'reader': {CLEO.id} (Cleo), {DAI.id} (Dai)"),
    ({"language": "ja"}, "language: 'ja' is not supported; accepted values: en"),
    ({"model_id": "reader", "voice": CLEO.id, "language": "de"}, "language: 'de' is not supported; accepted values: en, ja"),
]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("fields", "says"), SPEECH_REFUSED, ids=range(len(SPEECH_REFUSED)))
def test_speech_that_cannot_be_is_refused(server: ApiServer, version: str, fields: dict[str, Any], says: str) -> None:
    for path in ("/tts/bytes", "/tts/sse"):
        answer = httpx.post(server.url + path, json=speech_body(**fields), headers={"Cartesia-Version": version})
        check_shape(answer, 400, version, says)
    with opened(server, PATH, version) as socket:
        socket.send(speech_body(**fields, context_id="c"))
        (frame,) = socket.until("error", "done")
        assert (frame["type"], frame["status_code"], frame["context_id"]) == ("error", 400, "c")
        assert says in (frame.get("message") or frame["error"])
    server.wait_idle()


def test_a_well_known_voice_is_stood_in_for_by_one_of_the_model(server: ApiServer) -> None:
    katie = "f786b574-daa5-4673-aa0c-cbe3e8534c02"
    raw = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": READER_RATE_HZ}
    for model in ("sonic-3", "fake", "reader"):
        answer = httpx.post(server.url + "/tts/bytes", json=speech_body(model_id=model, voice=katie, output_format=raw))
        assert answer.status_code == 200, answer.text


def test_voices_of_all_models_are_listed_those_of_the_first_at_the_top(server: ApiServer) -> None:
    def listed(**query: str) -> list[tuple[str, str]]:
        page = httpx.get(server.url + "/voices", params=query).json()["data"]
        return [(voice["id"], voice["model"]) for voice in page]

    both = [(ANNA.id, "fake"), (BERT.id, "fake"), (CLEO.id, "reader"), (DAI.id, "reader")]
    assert listed() == both
    assert listed(model="reader") == both[2:]
    assert listed(model="sonic-3") == both[:2]
    refused = httpx.get(server.url + "/voices", params={"model": "nobody"})
    assert check_shape(refused, 400, VERSIONS[-1], "model: 'nobody' is not served here; accepted values: fake, reader, ")


def test_numbers_are_counted_by_the_name_of_the_model(server: ApiServer) -> None:
    def requests(kind: str, model: str) -> float:
        labels = {"kind": kind, "model": model}
        return server.metrics.registry.get_sample_value("descant_requests_total", labels) or 0.0

    before = requests("transcription", "second_recognizer"), requests("speech", "reader")
    assert transcribe(server, "second_recognizer", language="de").status_code == 200
    raw = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": READER_RATE_HZ}
    spoken = httpx.post(server.url + "/tts/bytes", json=speech_body(model_id="reader", voice=CLEO.id, output_format=raw))
    assert spoken.status_code == 200
    assert (requests("transcription", "second_recognizer"), requests("speech", "reader")) == (before[0] + 1, before[1] + 1)

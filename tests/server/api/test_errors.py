"""Every refusal on every route in the shape of every version, with the field named and its values listed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.api.body import MAX_JSON_BYTES
from server.config import Limits
from server.requests.audio_format import MP3_BIT_RATES_BPS, OUTPUT_ENCODINGS, OUTPUT_SAMPLE_RATES_HZ
from server.requests.speech import MAX_TRANSCRIPT_CHARS
from tests.fakes import ANNA, FakeSynthesizer
from tests.server.api.harness import RAW, VERSIONS, ApiServer, opened, serving, speech_body

UNKNOWN_ID = "00000000-0000-4000-8000-ffffffffffff"


def format_with(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**RAW, **fields}.items() if value is not None}


REFUSALS: list[tuple[dict[str, Any], int, str | None, str, tuple[object, ...]]] = [
    ({"model_id": None}, 400, None, "model_id", ()),
    ({"model_id": 3}, 400, None, "model_id", ()),
    ({"model_id": "gpt-9"}, 400, "model_not_found", "model_id", ("sonic-3", "sonic-turbo")),
    ({"transcript": None}, 400, None, "transcript", ()),
    ({"transcript": ["a"]}, 400, None, "transcript", ()),
    ({"transcript": ""}, 400, None, "transcript", ()),
    ({"transcript": " \n"}, 400, None, "transcript", ()),
    ({"transcript": "x" * (MAX_TRANSCRIPT_CHARS + 1)}, 400, None, "transcript", (MAX_TRANSCRIPT_CHARS,)),
    ({"voice": None}, 400, None, "voice", ()),
    ({"voice": 7}, 400, None, "voice", ()),
    ({"voice": {}}, 400, None, "voice", ()),
    ({"voice": {"mode": "id"}}, 400, None, "voice", ()),
    ({"voice": UNKNOWN_ID}, 404, "voice_not_found", "voice", (ANNA.id,)),
    ({"voice": {"mode": "id", "id": UNKNOWN_ID}}, 404, "voice_not_found", "voice", (ANNA.id,)),
    ({"voice": "../../etc/passwd"}, 404, "voice_not_found", "voice", ()),
    ({"voice": {"mode": "embedding", "embedding": [0.5] * 192}}, 400, None, "voice.embedding", ()),
    ({"voice": {"embedding": ["a"]}}, 400, None, "voice.embedding", ()),
    (
        {"voice": {"id": ANNA.id, "__experimental_controls": {"speed": "warp"}}},
        400, None, "voice.__experimental_controls.speed", ("slowest", "fastest"),
    ),
    ({"voice": {"id": ANNA.id, "__experimental_controls": {"speed": 3}}}, 400, None, "voice.__experimental_controls.speed", ()),
    ({"output_format": None}, 400, None, "output_format", ()),
    ({"output_format": "wav"}, 400, None, "output_format", ()),
    ({"output_format": format_with(container=None)}, 400, None, "output_format.container", ("raw",)),
    ({"output_format": format_with(container="ogg")}, 400, None, "output_format.container", ("raw",)),
    ({"output_format": format_with(encoding=None)}, 400, None, "output_format.encoding", OUTPUT_ENCODINGS),
    ({"output_format": format_with(encoding="pcm_s32le")}, 400, None, "output_format.encoding", OUTPUT_ENCODINGS),
    ({"output_format": format_with(sample_rate=None)}, 400, None, "output_format.sample_rate", OUTPUT_SAMPLE_RATES_HZ),
    ({"output_format": format_with(sample_rate=11025)}, 400, None, "output_format.sample_rate", OUTPUT_SAMPLE_RATES_HZ),
    ({"output_format": format_with(sample_rate="fast")}, 400, None, "output_format.sample_rate", ()),
    ({"output_format": format_with(sample_rate=True)}, 400, None, "output_format.sample_rate", ()),
    ({"language": "xx"}, 400, None, "language", ("en",)),
    ({"language": "e;n"}, 400, None, "language", ("en",)),
    ({"language": 5}, 400, None, "language", ()),
    ({"locale": "de-DE"}, 400, None, "locale", ("en",)),
    ({"language": "en", "locale": "en-GB"}, 400, None, "locale", ()),
    ({"normalization": "some"}, 400, None, "normalization", ("auto", "off")),
    ({"speed": "warp"}, 400, None, "speed", ("slow", "normal", "fast")),
    ({"speed": 1.5}, 400, None, "speed", ("slow", "normal", "fast")),
    ({"generation_config": 1}, 400, None, "generation_config", ()),
    ({"generation_config": {"speed": "fast"}}, 400, None, "generation_config.speed", ()),
    ({"generation_config": {"volume": True}}, 400, None, "generation_config.volume", ()),
    ({"generation_config": {"emotion": 3}}, 400, None, "generation_config.emotion", ()),
    ({"generation_config": {"emotion": "zesty"}}, 400, None, "generation_config.emotion", ("neutral", "determined")),
    ({"pronunciation_dict_id": "pdict_1"}, 404, None, "pronunciation_dict_id", ()),
    ({"add_timestamps": "perhaps"}, 400, None, "add_timestamps", ()),
]  # fmt: skip


def check_shape(answer: httpx.Response, status: int, version: str, message_start: str | None = None) -> str:
    """The error body is in the version's shape; gives its message."""
    assert answer.status_code == status, answer.text
    assert len(answer.headers["x-request-id"]) == 36
    if version >= "2026-03-01":
        body = answer.json()
        assert set(body) == {"error_code", "title", "message", "request_id"}
        assert body["request_id"] == answer.headers["x-request-id"]
        assert isinstance(body["title"], str)
        message = body["message"]
    else:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        title, _, message = answer.text.partition(": ")
        assert title
    if message_start is not None:
        assert message.startswith(message_start), message
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
@pytest.mark.parametrize(("fields", "status", "code", "field", "listed"), REFUSALS)
def test_refusals_of_speech(
    http: httpx.Client, path: str, fields: dict[str, Any], status: int, code: str | None, field: str, listed: tuple[object, ...]
) -> None:
    answer = http.post(path, json=speech_body(**fields))
    message = check_shape(answer, status, VERSIONS[-1], field + ":")
    assert answer.json()["error_code"] == code
    for value in listed:
        assert str(value) in message


@pytest.mark.parametrize("bit_rate", [None, 1, 320000])
def test_refused_bit_rates(http: httpx.Client, bit_rate: int | None) -> None:
    audio = {"container": "mp3", "sample_rate": 44100, "bit_rate": bit_rate}
    answer = http.post("/tts/bytes", json=speech_body(output_format=audio))
    message = check_shape(answer, 400, VERSIONS[-1], "output_format.bit_rate:")
    assert all(str(rate) in message for rate in MP3_BIT_RATES_BPS)


def refusal_of(error: InvalidStatus) -> httpx.Response:
    """The HTTP answer to a refused handshake."""
    response = error.response
    return httpx.Response(response.status_code, headers=dict(response.headers.raw_items()), content=bytes(response.body or b""))


ROUTES = [
    ("POST", "/tts/bytes", 400),
    ("POST", "/tts/sse", 400),
    ("POST", "/stt", 400),
    ("POST", "/audio/transcriptions", 400),
    ("POST", "/v1/audio/transcriptions", 400),
    ("GET", f"/voices/{UNKNOWN_ID}", 404),
    ("GET", "/nowhere", 404),
    ("GET", "/pronunciation-dicts/../../keys", 404),
    ("DELETE", f"/pronunciation-dicts/{UNKNOWN_ID}", 404),
    ("GET", "/tts/websocket", 404),
    ("GET", "/tts/bytes", 405),
    ("DELETE", "/voices", 405),
    ("POST", "/", 405),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("method", "path", "status"), ROUTES)
def test_shape_by_version_on_every_route(http: httpx.Client, method: str, path: str, status: int, version: str) -> None:
    answer = http.request(method, path, headers={"Cartesia-Version": version})
    check_shape(answer, status, version)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("version", ["yesterday", "2026-13-01", "2026-02-30", "20260301", "2026-03-01x", "٢٠٢٦-03-01"])
def test_version_must_be_a_date(http: httpx.Client, version: str) -> None:
    answer = http.get("/voices", headers={b"Cartesia-Version": version.encode()})
    check_shape(answer, 400, VERSIONS[-1], "Cartesia-Version:")


def test_version_in_the_query_wins_over_the_header(http: httpx.Client) -> None:
    answer = http.get("/nowhere?cartesia_version=2024-06-10", headers={"Cartesia-Version": "2026-08-14"})
    check_shape(answer, 404, "2024-06-10")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"transcript": "\\ud800"}', b'{"speed": Infinity}']
)
def test_broken_bodies(http: httpx.Client, body: bytes) -> None:
    check_shape(http.post("/tts/bytes", content=body), 400, VERSIONS[-1])


def test_body_over_the_limit_is_refused_by_its_claim_and_while_it_comes(http: httpx.Client) -> None:
    big = b'{"transcript": "' + b"x" * MAX_JSON_BYTES + b'"}'
    check_shape(http.post("/tts/bytes", content=big), 413, VERSIONS[-1], "body:")
    answer = http.post("/tts/bytes", content=iter([big[: MAX_JSON_BYTES // 2], big[MAX_JSON_BYTES // 2 :]]))
    check_shape(answer, 413, VERSIONS[-1], "body:")


@pytest.mark.parametrize("version", VERSIONS)
def test_busy_is_429_with_retry_after(http: httpx.Client, version: str, busy: ApiServer) -> None:
    for path in ("/tts/bytes", "/tts/sse"):
        answer = http.post(busy.url + path, json=speech_body(), headers={"Cartesia-Version": version})
        check_shape(answer, 429, version)
        assert int(answer.headers["retry-after"]) >= 1


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server whose only session is taken for good: its model is held before the first step."""
    synthesizer = FakeSynthesizer(max_slots=1)
    limits = Limits(max_speech_sessions=1, max_queued_sessions=0)
    data = tmp_path_factory.mktemp("busy")
    with (
        serving(data, limits=limits, synthesizer=synthesizer) as server,
        opened(server, "/tts/websocket") as socket,
    ):
        synthesizer.gate.clear()
        socket.send(speech_body(context_id="holder"))
        while not server.engine.snapshot().open_sessions:
            time.sleep(0.001)
        yield server
        synthesizer.gate.set()


def test_too_many_sockets_are_refused_at_the_handshake(tmp_path: Path) -> None:
    limits = Limits(max_speech_sessions=1, max_transcription_sessions=1)
    with serving(tmp_path, limits=limits) as server, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(opened(server, "/tts/websocket"))
        with pytest.raises(InvalidStatus) as refused, opened(server, "/tts/websocket"):
            pass
        check_shape(refusal_of(refused.value), 429, VERSIONS[-1])
        assert refused.value.response.headers["Retry-After"] == "1"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["/nowhere", "/tts/bytes", "/voices"])
def test_socket_to_nowhere_is_404_before_the_handshake(api: ApiServer, version: str, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(api, path, version):
        pass
    check_shape(refusal_of(refused.value), 404, version)


@pytest.mark.parametrize("path", ["/tts/bytes", "/stt"])
def test_body_that_stops_coming_is_408(tmp_path: Path, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x"
    with (
        serving(tmp_path, limits=Limits(stall_timeout_s=0.2)) as server,
        create_connection(("127.0.0.1", server.port), timeout=5) as client,
    ):
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")

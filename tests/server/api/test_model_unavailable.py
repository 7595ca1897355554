"""What clients are told of a model that left memory and takes long to come back, or cannot: in the shape of every version."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.engine.on_demand import OnDemandRecognizer, OnDemandSynthesizer
from tests.fakes import FakeRecognizer, FakeSynthesizer
from tests.server.api.harness import VERSIONS, ApiServer, opened, serving, speech_body
from tests.server.api.test_errors import check_shape
from tests.server.api.test_stt_ws import MANUAL
from tests.server.api.test_tts_ws import PATH


def _fails() -> Any:
    raise OSError("the disk is gone")


def _leave(drop: Callable[[], bool]) -> None:
    assert drop()


class _Voice(OnDemandSynthesizer):
    slots_in_use = property(lambda self: len(self._slots))


class _Recognizer(OnDemandRecognizer):
    pass


@pytest.fixture(scope="module", params=[30.0, 0.0], ids=["long", "broken"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Models that are away: it is known that they take half a minute, or it is not known yet that they cannot come back."""
    waits = {"idle_s": 60.0, "load_s": request.param, "max_load_s": 10.0}
    voice = _Voice("fake", FakeSynthesizer(), _fails, _leave, **waits)
    recognizer = _Recognizer("fake_recognizer", FakeRecognizer(), _fails, _leave, **waits)
    folder = tmp_path_factory.mktemp("away")
    with serving(folder, synthesizer=cast(Any, voice), recognizer=cast(Any, recognizer)) as running:
        assert voice.leave()
        assert recognizer.leave()
        yield running


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
def test_speech(server: ApiServer, path: str, version: str) -> None:
    answer = httpx.post(server.url + path, json=speech_body(), headers={"Cartesia-Version": version})
    assert "fake" in check_shape(answer, 503, version, "model fake ")
    assert 4 <= int(answer.headers["retry-after"]) <= 30
    server.wait_idle()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_context(server: ApiServer, version: str) -> None:
    with opened(server, PATH, version) as socket:
        socket.send(speech_body(context_id="c"))
        (frame,) = socket.until("error", "done")
    assert (frame["type"], frame["status_code"], frame["context_id"]) == ("error", 503, "c")
    server.wait_idle()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file(server: ApiServer, version: str) -> None:
    loud = b"\x00\x40\x00\xc0" * 16_000
    answer = httpx.post(
        server.url + "/stt", params={"encoding": "pcm_s16le", "sample_rate": "16000"}, files={"file": loud},
        data={"model": "ink-whisper"}, headers={"Cartesia-Version": version},
    )  # fmt: skip
    check_shape(answer, 503, version, "model fake_recognizer ")
    assert 4 <= int(answer.headers["retry-after"]) <= 30
    server.wait_idle()


@pytest.mark.parametrize("server", [30.0], indirect=True)
def test_an_audio_socket_is_refused_before_it_opens_where_it_is_known(server: ApiServer) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(server, MANUAL):
        pass
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) >= 4

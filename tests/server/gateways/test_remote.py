"""The API layers before an engine that is reached through a Unix socket: nothing is different but what must be."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from models.speech import Generation
from models.voices import Voice
from server.config import Limits
from server.errors import Busy, DescantError, InvalidRequest, VoiceNotFound
from server.gateways.wire import error_frame, frame_of, raise_error, value_of
from server.requests.speech import Controls, Pronunciations, Replacement, SpeechRequest, SpokenAudio
from server.requests.transcription import TranscriptionRequest, TurnSettings
from tests.fakes import ANNA, FakeSynthesizer, speech
from tests.server.api.harness import ApiServer, opened, serving, speech_body
from tests.server.api.test_stt_ws import MANUAL, feed, finals, s16
from tests.server.api.test_tts_ws import PATH, audio_of, letters_bytes, message
from tests.server.api.test_voice_making import tone, wav

VOICE = Voice("v", "V", "", "en", "en-GB", "", "fake", {"anna": 0.1, "codes": [[1, 2], [3]], "third": -1 / 3})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with serving(tmp_path, behind_gateway=True) as running:
        yield running


def test_requests_and_events_arrive_as_they_were() -> None:
    request = SpeechRequest(
        "f", VOICE, "r", controls=Controls(1.1, emotion="sad"), generation=Generation(7, {"temperature": 0.7}, "Whisper."),
        key_id="k", received_s=time.perf_counter(),
    )  # fmt: skip
    turns = TranscriptionRequest("f", "r", turns=TurnSettings(0.7), keyterms=("Ärger",))
    assert value_of(frame_of(request)) == request
    assert value_of(frame_of(turns)) == turns
    entries = (Replacement("a", "b", True),)
    given = SpeechRequest("f", VOICE, "r", pronunciations=Pronunciations(entries))
    assert value_of(frame_of(given)).pronunciations.entries == entries
    audio = SpokenAudio(np.linspace(-1, 1, 7, dtype=np.float32), 0.1, 2)
    heard = value_of(frame_of(audio))
    np.testing.assert_array_equal(heard.pcm, audio.pcm)
    assert (heard.start_s, heard.flush_index) == (0.1, 2)


def test_a_dictionary_is_parsed_once() -> None:
    """What is made of it is kept by its identity (`server.text.normalize.replacements.compiled`)."""

    def arrived(text: str) -> Pronunciations:
        request = SpeechRequest("f", VOICE, "r", pronunciations=Pronunciations((Replacement(text, "b"),)))
        read: Pronunciations = value_of(frame_of(request)).pronunciations
        return read

    assert arrived("a") is arrived("a")
    assert arrived("changed").entries == (Replacement("changed", "b"),)


@pytest.mark.parametrize("error", [Busy("full", retry_after_s=1.5), VoiceNotFound("voice: none", field="voice")], ids=repr)
def test_errors_arrive_as_they_were(error: DescantError) -> None:
    with pytest.raises(type(error)) as raised:
        raise_error(error_frame(error))
    told = raised.value
    assert (told.message, told.field, told.retry_after_s) == (error.message, error.field, error.retry_after_s)


def test_an_error_of_a_face_arrives_as_what_it_is() -> None:
    class OfAFace(InvalidRequest):
        http_status = 405

    with pytest.raises(InvalidRequest, match="no"):
        raise_error(error_frame(OfAFace("no")))


def test_speech_over_http_with_the_stages_of_both_processes(server: ApiServer) -> None:
    answer = httpx.post(server.url + "/tts/bytes", json=speech_body())
    assert answer.status_code == 200
    assert len(answer.content) == letters_bytes(10)
    stages = [part.partition(";")[0].strip() for part in answer.headers["server-timing"].split(",")]
    assert stages == ["text", "queue", "first_step", "first_audio", "encode", "total"]
    server.wait_idle()


def test_contexts_on_a_socket(server: ApiServer) -> None:
    with opened(server, PATH) as socket:
        for piece in ("hel", "lo the", "re"):
            socket.send(message("c", piece, **{"continue": True, "add_timestamps": True}))
        socket.send(message("c", "", **{"continue": False}))
        frames = socket.until("done")
        assert len(audio_of(frames)) == letters_bytes(10)
        assert [word for f in frames if f["type"] == "timestamps" for word in f["word_timestamps"]["words"]] == [
            "hello",
            "there",
        ]
        socket.send(message("gone", "a long sentence " * 100))
        socket.receive()
        socket.send({"context_id": "gone", "cancel": True})
        server.wait_idle()


def test_what_the_engine_refuses(server: ApiServer) -> None:
    answer = httpx.post(server.url + "/tts/bytes", json=speech_body("CRASH now."))
    assert answer.status_code == 500
    with opened(server, PATH) as socket:
        socket.send(message("long", "x" * 15_000, **{"continue": True}))
        socket.send(message("long", "x" * 15_000, **{"continue": True}))
        error = socket.until("error", "done")[-1]
        assert (error["type"], error["status_code"], error["context_id"]) == ("error", 400, "long")
    server.wait_idle()


def test_ears_and_a_full_engine(tmp_path: Path) -> None:
    limits = Limits(max_transcription_sessions=1, max_speech_sessions=1, max_queued_sessions=0)
    with serving(tmp_path, limits=limits, behind_gateway=True) as server, opened(server, MANUAL) as socket:
        feed(socket, s16(speech(1, 2)))
        socket.send("finalize")
        assert finals(socket.until("flush_done")).split() == ["one", "two"]
        # Refused before the handshake is over, as in one process.
        with pytest.raises(InvalidStatus) as refused, opened(server, MANUAL):
            pass
        assert refused.value.response.status_code == 429
        server.synthesizer.gate.clear()
        with opened(server, PATH) as holder:
            holder.send(message("holder", "hello there."))
            while not server.engine.snapshot().models[0].open:
                time.sleep(0.001)
            busy = httpx.post(server.url + "/tts/bytes", json=speech_body())
            assert (busy.status_code, busy.headers["retry-after"]) == (429, "1")
            server.synthesizer.gate.set()
            holder.until("done")
        socket.send("close")
        assert socket.until("done")


def test_a_client_that_never_reads_waits_in_the_engine(tmp_path: Path) -> None:
    audio = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": 48000}
    with serving(tmp_path, limits=Limits(stall_timeout_s=0.5), behind_gateway=True) as server, opened(server, PATH) as stalled:
        for number in range(4):
            stalled.send(message(str(number), "a very long sentence. " * 800, output_format=audio))
        with opened(server, PATH) as socket:
            socket.send(message("quick", "hello there."))
            assert len(audio_of(socket.until("done"))) == letters_bytes(10)
        server.wait_idle(within_s=15)


def test_an_engine_that_drains_makes_its_gateway_unready(tmp_path: Path) -> None:
    with serving(tmp_path, synthesizer=FakeSynthesizer(step_s=0.05), behind_gateway=True) as server:
        assert httpx.get(server.url + "/readyz").status_code == 200
        with opened(server, PATH) as socket:
            socket.send(message("last", "hello there."))
            socket.receive()
            draining = server.drain(5.0)
            while httpx.get(server.url + "/readyz").status_code == 200:
                time.sleep(0.01)
            assert httpx.post(server.url + "/tts/bytes", json=speech_body()).status_code == 503
            assert socket.until("done", "error")[-1]["type"] == "done"
        draining.result(10)


def test_a_clone_is_made_by_the_engine(server: ApiServer) -> None:
    answer = httpx.post(server.url + "/voices/clone", data={"name": "Mine"}, files={"clip": ("clip.wav", wav(tone(4)))})
    assert answer.status_code == 200, answer.text
    assert len(server.cloner.clips) == 1
    spoken = httpx.post(server.url + "/tts/bytes", json=speech_body(voice=answer.json()["id"]))
    assert len(spoken.content) == letters_bytes(10)
    refused = httpx.post(server.url + "/voices/clone", data={"name": "None"}, files={"clip": ("clip.wav", wav(tone(0.5)))})
    assert refused.status_code == 400
    assert "clip" in refused.text
    assert ANNA.id != answer.json()["id"]

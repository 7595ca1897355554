"""One server with the packaged recognizer and whisper-base at once, each by its own id, through the Cartesia SDK."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from cartesia import AsyncCartesia, Cartesia

from benchmarks.real.installed import MODELS_VARIABLE, installed_model, store_folder
from benchmarks.real.scoring import errors, normalized
from benchmarks.real.speech_sets import Clip, kokoro, languages
from models.packaged import RECOGNIZER
from server.bench.process import ServerProcess

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

WHISPER_BASE = "whisper-base"
MODELS = (WHISPER_BASE, RECOGNIZER.name)
RATE_HZ = 16_000
CHUNK_BYTES = 3200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    installed_model(WHISPER_BASE)
    environment = {
        "DESCANT_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        MODELS_VARIABLE: str(store_folder()),
        "OMP_NUM_THREADS": "1",
    }
    models = ("--recognition-model", WHISPER_BASE, "--recognition-model", RECOGNIZER.name)
    with ServerProcess.start(*models, environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Cartesia]:
    with Cartesia(api_key="any", base_url=server.url, websocket_base_url=server.websocket_url, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def sentence() -> Clip:
    return kokoro("kokoro", None)[0]


def pcm_s16le(clip: Clip) -> bytes:
    return (clip.pcm * 32767).astype("<i2").tobytes()


def transcribe(client: Cartesia, clip: Clip, model: str) -> str:
    answer = client.stt.transcribe(
        file=("a.raw", pcm_s16le(clip)), model=model, language=clip.language, encoding="pcm_s16le", sample_rate=RATE_HZ
    )
    return answer.text


def test_both_models_answer_to_their_names(client: Cartesia, sentence: Clip) -> None:
    assert errors(sentence.text, transcribe(client, sentence, WHISPER_BASE), "en").count == 0
    assert transcribe(client, sentence, RECOGNIZER.name)


def test_the_first_model_answers_to_the_general_ids(client: Cartesia, sentence: Clip) -> None:
    by_name = transcribe(client, sentence, WHISPER_BASE)
    assert {transcribe(client, sentence, model) for model in ("ink-whisper", "whisper-1")} == {by_name}


def test_the_two_models_do_read_by_different_weights(client: Cartesia) -> None:
    clips = kokoro("kokoro", None)[:6]
    wrong = {model: sum(errors(clip.text, transcribe(client, clip, model), "en").count for clip in clips) for model in MODELS}
    # The packaged one has heard synthetic voices of another kind only.
    assert wrong[WHISPER_BASE] * 4 < wrong[RECOGNIZER.name]


def test_a_language_that_a_model_lacks_is_refused_with_those_it_has(client: Cartesia) -> None:
    clip = next(clip for clip in languages() if clip.language == "pl")
    assert transcribe(client, clip, WHISPER_BASE)
    with pytest.raises(Exception, match=r"language.*'pl'.*en") as refused:
        transcribe(client, clip, RECOGNIZER.name)
    assert getattr(refused.value, "status_code", None) == 400


@pytest.mark.parametrize("model", MODELS)
async def test_turns_socket_of_each_model(server: ServerProcess, sentence: Clip, model: str) -> None:
    async with async_client(server) as client:
        manager = client.stt.auto_finalize.websocket(model=model, encoding="pcm_s16le", sample_rate=RATE_HZ)
        async with manager as connection:
            for piece in pieces(sentence):
                await connection.send_raw(piece)
            await connection.send({"type": "close"})
            events: list[Any] = [event async for event in connection]
    assert [events[0].type, events[1].type, events[-1].type] == ["connected", "turn.start", "turn.end"]
    assert "".join(event.transcript for event in events if event.type == "turn.end").strip()


async def test_both_models_stream_at_once(server: ServerProcess, sentence: Clip) -> None:
    async with async_client(server) as client:
        texts = await asyncio.gather(*(streamed(client, sentence, model) for model in MODELS))
    assert normalized(texts[0], "en") == normalized(sentence.text, "en")
    assert texts[1].strip()


def async_client(server: ServerProcess) -> AsyncCartesia:
    return AsyncCartesia(api_key="any", base_url=server.url, websocket_base_url=server.websocket_url, max_retries=0)


def pieces(clip: Clip) -> list[bytes]:
    audio = pcm_s16le(clip)
    return [audio[at : at + CHUNK_BYTES] for at in range(0, len(audio), CHUNK_BYTES)]


async def streamed(client: AsyncCartesia, clip: Clip, model: str) -> str:
    """The final texts of a stream that is sent as fast as the server takes it."""
    async with client.stt.manual_finalize.websocket(model=model, encoding="pcm_s16le", sample_rate=RATE_HZ) as connection:
        for piece in pieces(clip):
            await connection.send_raw(piece)
        await connection.send("close")
        events: list[Any] = [event async for event in connection]
    assert events[-1].type == "done"
    return "".join(event.text for event in events if event.type == "transcript" and event.is_final)

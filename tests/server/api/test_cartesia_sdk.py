"""The unmodified Cartesia SDK, blocking and async, against this server: with fake models in a thread, and against
`descant serve` with the embedded models in a process of its own."""

import base64
import io
import wave
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import cartesia
import httpx
import numpy as np
import pytest
import pytest_asyncio
from cartesia import AsyncCartesia, Cartesia

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."
PIECES = ("The birch canoe slid ", "on the smooth planks. ", "Glue the sheet to the dark blue background.")
MODEL = "sonic-3.5"
RATE_HZ = 16000
RAW: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE_HZ}
CHUNK_BYTES = 3200


@dataclass(frozen=True)
class Target:
    url: str
    websocket_url: str


@pytest.fixture(scope="module", params=["fakes", "process"])
def target(request: pytest.FixtureRequest) -> Target:
    if request.param == "fakes":
        api = request.getfixturevalue("api")
        return Target(api.url, api.ws_url)
    server = request.getfixturevalue("descant_server")
    return Target(server.url, server.websocket_url)


@pytest.fixture(scope="module")
def client(target: Target) -> Iterator[Cartesia]:
    with Cartesia(api_key="any", base_url=target.url, websocket_base_url=target.websocket_url, max_retries=0) as made:
        yield made


@pytest_asyncio.fixture
async def async_client(target: Target) -> AsyncIterator[AsyncCartesia]:
    made = AsyncCartesia(api_key="any", base_url=target.url, websocket_base_url=target.websocket_url, max_retries=0)
    async with made:
        yield made


@pytest.fixture(scope="module", params=["general id", "own name"])
def recognizer(request: pytest.FixtureRequest, target: Target) -> str:
    """What a recognizer is asked for by."""
    if request.param == "general id":
        return "ink-whisper"
    loaded = httpx.get(target.url).json()["loaded"]
    return next(str(model["name"]) for model in loaded if model["kind"] == "recognition")


@pytest.fixture(scope="module")
def voice(client: Cartesia) -> str:
    return next(iter(client.voices.list())).id


@pytest.fixture(scope="module")
def speech(client: Cartesia, voice: str) -> bytes:
    """Raw 16 kHz speech to listen to."""
    return client.tts.generate(model_id=MODEL, transcript=TEXT, voice=voice, output_format=RAW).read()


SAID = {
    "de": "Der Zug fährt am 3. Mai um 15:30 Uhr ab.",
    "en": "The train leaves on May 3rd at 3:30 pm.",
    "es": "El tren sale el 3 de mayo a las 15:30.",
    "fr": "Le train part le 3 mai à 15h30.",
    "it": "Il treno parte il 3 maggio alle 15:30.",
}


def test_every_language_of_the_voices_is_spoken_and_any_other_is_refused_with_their_list(client: Cartesia) -> None:
    voices = list(client.voices.list(limit=100))
    languages = sorted({voice.language for voice in voices})
    one_of_each = {(voice.language, voice.locales[0].locale): voice for voice in voices if voice.locales}
    assert {language for language, _ in one_of_each} == set(languages)
    for chosen in one_of_each.values():
        audio = client.tts.generate(
            model_id=MODEL, transcript=SAID[chosen.language], voice=chosen.id, language=chosen.language, output_format=RAW
        ).read()
        samples = np.frombuffer(audio, dtype="<i2")
        assert 1.0 < len(samples) / RATE_HZ < 10.0
        assert np.abs(samples).max() > 1000
    with pytest.raises(cartesia.BadRequestError) as refusal:
        client.tts.generate(model_id=MODEL, transcript="Qapla'", voice=voices[0].id, language="sv", output_format=RAW)
    assert f"accepted values: {', '.join(languages)}" in str(refusal.value)


def audio_of(events: list[Any]) -> bytes:
    return b"".join(base64.b64decode(event.data) for event in events if event.type == "chunk")


def words_of(events: list[Any]) -> list[str]:
    return [word for event in events if event.type == "timestamps" for word in event.word_timestamps.words]


def check_speech(events: list[Any], context_id: str | None) -> None:
    """Sound, then one end, every event with its context."""
    assert [event.type for event in events].count("done") == 1
    assert events[-1].type == "done"
    assert all(event.context_id == context_id for event in events)
    audio = audio_of(events)
    assert len(audio) % 2 == 0
    assert len(audio) > 2 * RATE_HZ


def check_words(events: list[Any]) -> None:
    """Words as they were written, with times that never run backwards and end with the audio."""
    assert words_of(events) == TEXT.split()
    times = [event.word_timestamps for event in events if event.type == "timestamps"]
    starts = [start for entry in times for start in entry.start]
    ends = [end for entry in times for end in entry.end]
    assert starts == sorted(starts)
    assert all(start < end for start, end in zip(starts, ends, strict=True))
    assert ends[-1] <= len(audio_of(events)) / 2 / RATE_HZ + 0.05


# --- speech over HTTP ---------------------------------------------------------------


def test_generate(client: Cartesia, voice: str) -> None:
    audio: Any = {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 44100}
    response = client.tts.generate(
        model_id=MODEL, transcript=TEXT, voice=voice, output_format=audio, generation_config={"speed": 1.2, "volume": 0.8}
    )
    with wave.open(io.BytesIO(response.read())) as file:
        assert file.getframerate() == 44100


async def test_generate_async(async_client: AsyncCartesia, voice: str) -> None:
    response = await async_client.tts.generate(model_id=MODEL, transcript=TEXT, voice=voice, output_format=RAW)
    audio = b"".join([piece async for piece in response.iter_bytes()])
    assert len(audio) > 2 * RATE_HZ


def test_generate_sse(client: Cartesia, voice: str) -> None:
    stream = client.tts.generate_sse(
        model_id=MODEL, transcript=TEXT, voice={"id": voice}, output_format=RAW, add_timestamps=True, context_id="sse"
    )
    events = list(stream)
    check_speech(events, "sse")
    check_words(events)


async def test_generate_sse_async(async_client: AsyncCartesia, voice: str) -> None:
    stream = await async_client.tts.generate_sse(model_id=MODEL, transcript=TEXT, voice=voice, output_format=RAW)
    events = [event async for event in stream]
    check_speech(events, None)


def test_refusals_become_typed_exceptions(client: Cartesia, voice: str) -> None:
    with pytest.raises(cartesia.NotFoundError, match="voice_not_found"):
        client.tts.generate(model_id=MODEL, transcript=TEXT, voice="nobody", output_format=RAW)
    with pytest.raises(cartesia.BadRequestError, match="model_not_found"):
        client.tts.generate(model_id="gpt-9", transcript=TEXT, voice=voice, output_format=RAW)


# --- speech over the WebSocket ------------------------------------------------------


def test_websocket_with_continuations_and_timestamps(client: Cartesia, voice: str) -> None:
    with client.tts.websocket_connect() as connection:
        context = connection.context(model_id=MODEL, voice=voice, output_format=RAW, add_timestamps=True, timeout=20)
        for piece in PIECES:
            context.push(piece)
        context.no_more_inputs()
        events = list(context.receive())
    check_speech(events, context._context_id)
    check_words(events)


async def test_websocket_async_with_several_contexts(async_client: AsyncCartesia, voice: str) -> None:
    async with async_client.tts.websocket_connect() as connection:
        contexts = [
            connection.context(model_id=MODEL, voice=voice, output_format=RAW, add_timestamps=True, timeout=20)
            for _ in range(3)
        ]
        for piece in PIECES:
            for context in contexts:
                await context.push(piece)
        for context in contexts:
            await context.no_more_inputs()
        for context in contexts:
            events = [event async for event in context.receive()]
            check_speech(events, context._context_id)
            check_words(events)


def test_websocket_flush_cancel_and_reuse(client: Cartesia, voice: str) -> None:
    with client.tts.websocket_connect() as connection:
        flushed = connection.context(model_id=MODEL, voice=voice, output_format=RAW, timeout=20)
        flushed.send(transcript=PIECES[0], voice=voice, model_id=MODEL, output_format=RAW, flush=True)
        events = []
        for event in flushed.receive():
            events.append(event)
            if event.type == "flush_done":
                break
        assert audio_of(events)
        flushed.cancel()
        context = connection.context(model_id=MODEL, voice=voice, output_format=RAW, timeout=20)
        context.push(TEXT)
        context.no_more_inputs()
        own = [event for event in context.receive() if event.context_id == context._context_id]
        check_speech(own, context._context_id)


def test_websocket_terminator_on_an_unused_context(client: Cartesia) -> None:
    """The SDK fills this message with a voice of its own."""
    with client.tts.websocket_connect() as connection:
        context = connection.context(timeout=10)
        context.no_more_inputs()
        assert [event.type for event in context.receive()] == ["done"]


def test_websocket_error_ends_the_context(client: Cartesia) -> None:
    with client.tts.websocket_connect() as connection:
        context = connection.context(model_id=MODEL, voice="nobody", output_format=RAW, timeout=10)
        context.push(TEXT)
        events: list[Any] = list(context.receive())
        assert [event.type for event in events] == ["error"]
        assert events[0].status_code == 404


def test_websocket_in_the_style_of_version_2(client: Cartesia, voice: str) -> None:
    connection = client.tts.websocket()
    try:
        request: Any = {"model_id": MODEL, "transcript": TEXT, "voice": {"mode": "id", "id": voice}, "output_format": RAW}
        outputs: list[Any] = list(connection.send(stream=True, **request))
        assert sum(len(output.audio) for output in outputs if output.audio) > 2 * RATE_HZ
    finally:
        connection.close()


# --- transcription ------------------------------------------------------------------


def wav(speech: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(speech)
    return file.getvalue()


def test_transcribe(client: Cartesia, speech: bytes, recognizer: str) -> None:
    answer = client.stt.transcribe(file=("a.wav", wav(speech)), model=recognizer, timestamp_granularities=["word"])
    assert answer.text
    assert answer.duration == pytest.approx(len(speech) / 2 / RATE_HZ, abs=0.05)
    assert answer.words
    assert [word.word.strip() for word in answer.words] == answer.text.split()


async def test_transcribe_async(async_client: AsyncCartesia, speech: bytes, recognizer: str) -> None:
    answer = await async_client.stt.transcribe(
        file=speech, model=recognizer, language="en", encoding="pcm_s16le", sample_rate=RATE_HZ
    )
    assert answer.text


def chunks(speech: bytes) -> Iterator[bytes]:
    for start in range(0, len(speech), CHUNK_BYTES):
        yield speech[start : start + CHUNK_BYTES]


def test_manual_finalize_socket(client: Cartesia, speech: bytes, recognizer: str) -> None:
    with client.stt.manual_finalize.websocket(model=recognizer, encoding="pcm_s16le", sample_rate=RATE_HZ) as connection:
        for chunk in chunks(speech):
            connection.send_raw(chunk)
        connection.send("finalize")
        events: list[Any] = []
        for event in connection:
            events.append(event)
            if event.type == "flush_done":
                connection.send("close")
    kinds = [event.type for event in events]
    assert kinds[-1] == "done"
    assert kinds.count("flush_done") == 1
    assert "".join(event.text for event in events if event.type == "transcript" and event.is_final).strip()


async def test_manual_finalize_socket_async(async_client: AsyncCartesia, speech: bytes) -> None:
    manager = async_client.stt.manual_finalize.websocket(model="ink-2", encoding="pcm_s16le", sample_rate=RATE_HZ)
    async with manager as connection:
        for chunk in chunks(speech):
            await connection.send_raw(chunk)
        await connection.send("close")
        events: list[Any] = [event async for event in connection]
    assert events[-1].type == "done"
    assert "".join(event.text for event in events if event.type == "transcript" and event.is_final).strip()


def test_auto_finalize_socket(client: Cartesia, speech: bytes, recognizer: str) -> None:
    options: Any = {"model": recognizer, "encoding": "pcm_s16le", "sample_rate": RATE_HZ}
    with client.stt.auto_finalize.websocket(**options, turn_end_timeout_ms=1000) as connection:
        connection.send({"type": "config", "turn": {"start_threshold": 0.7}})
        for chunk in chunks(speech + bytes(3 * 2 * RATE_HZ)):
            connection.send_raw(chunk)
        connection.send({"type": "close"})
        events: list[Any] = list(connection)
    check_turns(events)


async def test_auto_finalize_socket_async(async_client: AsyncCartesia, speech: bytes) -> None:
    options: Any = {"model": "ink-2", "encoding": "pcm_s16le", "sample_rate": RATE_HZ}
    async with async_client.stt.auto_finalize.websocket(**options) as connection:
        for chunk in chunks(speech):
            await connection.send_raw(chunk)
        await connection.send({"type": "close"})
        events: list[Any] = [event async for event in connection]
    check_turns(events)


def check_turns(events: list[Any]) -> None:
    kinds = [event.type for event in events]
    assert kinds[0] == "connected"
    assert kinds[1] == "turn.start"
    assert kinds[-1] == "turn.end"
    assert kinds.count("turn.start") == kinds.count("turn.end")
    assert "".join(event.transcript for event in events if event.type == "turn.end").strip()
    assert len({event.request_id for event in events}) == 1


# --- voices and status --------------------------------------------------------------


def test_voices(client: Cartesia) -> None:
    """The SDK's pager stops only at an empty page."""
    listed = list(client.voices.list(limit=1))
    assert len(listed) == len({item.id for item in listed}) >= 2
    assert client.voices.get(listed[0].id).name == listed[0].name
    with pytest.raises(cartesia.NotFoundError):
        client.voices.get("nobody")


def test_voices_of_ones_own(client: Cartesia, voice: str) -> None:
    wav: Any = {**RAW, "container": "wav"}
    clip = client.tts.generate(
        model_id=MODEL,
        transcript=f"{TEXT} Four hours of steady work faced us.",
        voice=voice,
        output_format=wav,
    ).read()
    made = client.voices.clone(clip=("clip.wav", clip, "audio/x-wav"), name="Mine", language="en", description="From a clip.")
    try:
        assert (made.name, made.description, made.language) == ("Mine", "From a clip.", "en")
        assert made.id in [item.id for item in client.voices.list(is_owner=True)]
        assert client.voices.get(made.id).name == "Mine"
        changed = client.voices.update(made.id, name="Ours", gender="feminine")
        assert (changed.name, changed.gender, changed.description) == ("Ours", "feminine", "From a clip.")
        for one in (made.id, f"{made.id}:0.5+{voice}"):
            spoken = client.tts.generate(model_id=MODEL, transcript=TEXT, voice=one, output_format=RAW).read()
            assert len(spoken) > RATE_HZ
        events: Any = list(client.tts.generate_sse(model_id=MODEL, transcript=TEXT, voice=made.id, output_format=RAW))
        assert len(audio_of(events)) > RATE_HZ
        with client.tts.websocket_connect() as connection:
            context = connection.context(model_id=MODEL, voice=made.id, output_format=RAW)
            context.push(TEXT)
            context.no_more_inputs()
            assert len(audio_of(list(context.receive()))) > RATE_HZ
        for bad, status, message in (
            (b"no audio at all", 415, "clip: is not an audio file"),
            (clip[:20_000], 400, "clip: holds"),
        ):
            with pytest.raises(cartesia.APIStatusError, match=message) as refusal:
                client.voices.clone(clip=("clip.wav", bad), name="Bad", language="en")
            assert refusal.value.status_code == status
    finally:
        client.voices.delete(made.id)
    assert made.id not in [item.id for item in client.voices.list()]
    with pytest.raises(cartesia.NotFoundError):
        client.tts.generate(model_id=MODEL, transcript=TEXT, voice=made.id, output_format=RAW)


async def test_voices_async(async_client: AsyncCartesia) -> None:
    listed = [item async for item in async_client.voices.list()]
    assert (await async_client.voices.get(listed[-1].id)).id == listed[-1].id


def test_status(client: Cartesia) -> None:
    assert client.get_status().ok


def test_access_token(client: Cartesia, target: Target, voice: str) -> None:
    token = client.access_token.create(grants={"tts": True}, expires_in=60).token
    with Cartesia(token=token, base_url=target.url, max_retries=0) as browser:
        audio = browser.tts.generate(model_id=MODEL, transcript="Hello.", voice=voice, output_format=RAW)
        assert audio.read()


def spoken_phonemes(client: Cartesia, voice: str, **fields: Any) -> list[str]:
    """Phonemes of the WebSocket's phoneme timestamps."""
    with client.tts.websocket_connect() as connection:
        context = connection.context(model_id=MODEL, voice=voice, output_format=RAW, add_phoneme_timestamps=True, **fields)
        context.push("The GIF plays, and Nguyen's friends laugh.")
        context.no_more_inputs()
        events: list[Any] = list(context.receive())
    return [one for event in events if event.type == "phoneme_timestamps" for one in event.phoneme_timestamps.phonemes]


def test_pronunciation_dictionaries(client: Cartesia, voice: str, target: Target, request: pytest.FixtureRequest) -> None:
    items: Any = [{"text": "gif", "alias": "<<dʒ|ɪ|f>>"}, {"text": "Nguyen", "alias": "win", "case_sensitive": True}]
    made = client.pronunciation_dicts.create(name="names", items=items)
    try:
        assert [item.text for item in client.pronunciation_dicts.retrieve(made.id).items] == ["gif", "Nguyen"]
        assert next(entry.id for entry in client.pronunciation_dicts.list(limit=1)) == made.id
        assert client.pronunciation_dicts.update(made.id, name="better").items == made.items
        with pytest.raises(cartesia.NotFoundError, match="pdict_x"):
            client.tts.generate(
                model_id=MODEL, transcript=TEXT, voice=voice, output_format=RAW, pronunciation_dict_id="pdict_x"
            )
        if "process" in request.node.callspec.id:
            plain = spoken_phonemes(client, voice)
            # Two words sound differently, and nothing else does.
            expected = "ð ə dʒ ɪ f p l eɪ z æ n d w ɪ n z f ɹ ɛ n d z l æ f".split()
            assert spoken_phonemes(client, voice, pronunciation_dict_id=made.id) == expected
            assert plain[:2] == expected[:2]
            assert plain[plain.index("p") : plain.index("p") + 7] == expected[5:12]
            assert plain[-9:] == expected[-9:]
            assert plain != expected
    finally:
        client.pronunciation_dicts.delete(made.id)
    assert made.id not in [entry.id for entry in client.pronunciation_dicts.list()]

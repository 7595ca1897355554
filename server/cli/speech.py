"""`descant speak`, `transcribe` and `voices`: the models without a listening server."""

import asyncio
import json
import time
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.config import load_settings
from server.errors import InvalidRequest
from server.process.data_folder import own_voices, pronunciation_store
from server.process.model_choice import ModelChoice, choose_models, chosen_model
from server.requests.audio_format import MP3_BIT_RATES_BPS, AudioFormat, Container, Encoding
from server.requests.keyterms import checked_keyterms
from server.requests.locales import DETECTED, primary_language, spoken_language
from server.requests.speech import NO_PRONUNCIATIONS, Controls, SpeechRequest
from server.requests.transcription import TranscriptionRequest
from server.text.delivery import checked_emotion

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def speak(
    text: Annotated[str, typer.Argument(help="What to say; '-' reads standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .wav, .mp3 or .raw.")],
    model: Annotated[str | None, typer.Option(help="Name of the model; the first of the settings if absent.")] = None,
    voice: Annotated[str | None, typer.Option(help="Voice id or name; the first of `descant voices` if absent.")] = None,
    language: Annotated[str | None, typer.Option(help="Such as de or en-GB; the voice's own if absent.")] = None,
    speed: Annotated[float, typer.Option(min=0.6, max=1.5, help="1.5 is half as fast again.")] = 1.0,
    volume: Annotated[float, typer.Option(min=0.5, max=2.0, help="Factor on the amplitude.")] = 1.0,
    pitch: Annotated[float, typer.Option(min=-12, max=12, help="Shift in semitones.")] = 0.0,
    pitch_range: Annotated[float, typer.Option(min=0, max=2, help="Factor on the movement of the pitch; 0 is monotone.")] = 1.0,
    emotion: Annotated[str | None, typer.Option(help="Such as excited, sad or calm.")] = None,
    pronunciation_dict_id: Annotated[str | None, typer.Option(help="Dictionary made on this server without a key.")] = None,
    sample_rate: Annotated[int, typer.Option(help="Hz; 24000 is the model's own.")] = 24000,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Say TEXT into a file."""
    audio_format = _format_for(output, sample_rate)
    if text == "-":
        text = typer.get_text_stream("stdin").read()
    if not text.strip():
        raise InvalidRequest("text: is empty", field="text")
    controls = Controls(speed, volume, pitch, checked_emotion(emotion, "emotion"), pitch_range)
    file, result = asyncio.run(_speak(text, audio_format, model, voice, language, controls, pronunciation_dict_id, device))
    output.write_bytes(file)
    if as_json:
        typer.echo(json.dumps({"file": str(output), **result}))
        return
    typer.echo(
        f"{output}: {result['audio_s']:.2f} s of audio in {result['wall_s']:.2f} s, "
        f"first audio after {result['first_audio_ms']:.0f} ms (model loaded before)"
    )


async def _speak(
    text: str,
    audio_format: AudioFormat,
    model: str | None,
    voice: str | None,
    language: str | None,
    controls: Controls,
    pronunciation_dict_id: str | None,
    device: str | None,
) -> tuple[bytes, dict[str, float]]:
    from server.audio.output import OutputChain, whole_file
    from server.audio.speech import EncodedAudio, encoded_speech
    from server.metrics import Metrics
    from server.process.build import load_engine, voice_store
    from server.process.serve import running_engine

    settings = load_settings(flags={"device": device})
    source = chosen_model(settings, "speech", model or settings.speech_models[0])
    with Console(stderr=True).status(f"loading {source.name} …"):
        engine = load_engine(settings, ModelChoice((source,), ()), Metrics()).engine
    voices = voice_store(settings, engine).of("")
    primary = primary_language(language, voices.languages(), "language") if language else None
    chosen = voices.find(voice, primary) if voice else voices.first(language)
    pronunciations = NO_PRONUNCIATIONS
    if pronunciation_dict_id is not None:
        found = pronunciation_store(settings).get("", pronunciation_dict_id, "pronunciation_dict_id")
        pronunciations = found.pronunciations
    async with running_engine(engine):
        start_s = time.perf_counter()
        request = SpeechRequest(
            source.name, chosen, str(uuid.uuid4()), primary or chosen.language, controls,
            pronunciations=pronunciations, received_s=start_s,
        )  # fmt: skip
        stream = engine.speak(request)
        chain = OutputChain(audio_format, stream.sample_rate_hz)
        first_s = 0.0
        stream.push(text)
        stream.finish()
        body = bytearray()
        with Console(stderr=True).status("speaking …"):
            async for event in encoded_speech(stream, stream.times, chain):
                if isinstance(event, EncodedAudio):
                    first_s = first_s or time.perf_counter() - start_s
                    body += event.data
    wall_s = time.perf_counter() - start_s
    return whole_file(audio_format, bytes(body)), {"audio_s": chain.taken_s, "wall_s": wall_s, "first_audio_ms": first_s * 1000}


def _format_for(output: Path, sample_rate_hz: int) -> AudioFormat:
    containers = {".wav": Container.WAV, ".mp3": Container.MP3, ".raw": Container.RAW}
    container = containers.get(output.suffix.lower())
    if container is None:
        raise InvalidRequest.choice("output", output.name, ("*.wav", "*.mp3", "*.raw"))
    return AudioFormat(container, Encoding.PCM_S16LE, sample_rate_hz, MP3_BIT_RATES_BPS[-2])


def transcribe(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="wav, mp3, flac, ogg, webm, m4a …")],
    words: Annotated[bool, typer.Option("--words", help="Show the time of each word.")] = False,
    language: Annotated[str | None, typer.Option(help="Spoken, such as de; detected if absent and the model can.")] = None,
    keyterm: Annotated[list[str] | None, typer.Option(help="A name or phrase to listen for; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; the first of the settings if absent.")] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Write down what is said in FILE."""
    result = asyncio.run(_transcribe(file.read_bytes(), language, checked_keyterms(keyterm or ()), model, device))
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(result["text"])
    if words:
        for word, start_s, end_s in result["words"]:  # type: ignore[attr-defined]
            typer.echo(f"{start_s:8.2f} {end_s:8.2f}  {word}")


async def _transcribe(
    data: bytes, language: str | None, keyterms: tuple[str, ...], model: str | None, device: str | None
) -> dict[str, object]:
    from server.audio.files import decode_file
    from server.engine.hearing.whole import whole_transcript
    from server.metrics import Metrics
    from server.process.build import load_engine
    from server.process.serve import running_engine

    settings = load_settings(flags={"device": device})
    pcm = decode_file(data, max_s=settings.limits.max_upload_s)
    source = chosen_model(settings, "recognition", model or settings.recognition_models[0])
    with Console(stderr=True).status(f"loading {source.name} …"):
        engine = load_engine(settings, ModelChoice((), (source,)), Metrics()).engine
    async with running_engine(engine):
        stream = engine.transcribe(TranscriptionRequest(
            model=source.name, request_id=str(uuid.uuid4()), language=spoken_language(language or DETECTED), interim=False,
            whole=True, keyterms=keyterms, received_s=time.perf_counter(),
        ))  # fmt: skip
        with Console(stderr=True).status("listening …"):
            finals = await whole_transcript(stream, pcm)
    words = [(word.word, word.start_s, word.end_s) for final in finals for word in final.words]
    text = "".join(final.text for final in finals).strip()
    spoken = next((final.language for final in finals if final.text.strip()), None)
    return {"text": text, "language": spoken, "words": words, "duration_s": len(pcm) / stream.sample_rate_hz}


def voices(as_json: AsJson = False) -> None:
    """List the voices of the models that speak, and those that were cloned on this machine."""
    from models.registry import load_voice_makers
    from server.process.loading import load_speech
    from server.storage.voices import VoiceStore

    settings = load_settings()
    models = choose_models(settings).speech
    stock = {model.name: load_speech(settings, model, "cpu").info.voices for model in models}
    makers = load_voice_makers([voice for voices in stock.values() for voice in voices])
    store = VoiceStore(stock, own_voices(settings), makers).of("")
    rows = [
        {
            "id": voice.id,
            "name": voice.name,
            "model": store.model_of(voice),
            "locale": voice.locale,
            "gender": voice.gender,
            "description": voice.description,
        }
        for voice in store.list()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['name']:10} {row['model']:10} {row['locale']:6} {row['gender']:15} {row['description']}")

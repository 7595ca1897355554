"""`descant clone`: a voice from a recording, without a listening server."""

import asyncio
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.config import load_settings
from server.errors import InvalidRequest
from server.process.data_folder import own_voices
from server.process.model_choice import choose_models
from server.storage.own_voices import OwnVoice, check_words


def clone(
    name: Annotated[str, typer.Argument(help="What to call the voice.")],
    clip: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="3 to 10 s of one person: wav, mp3, flac, ogg …")],
    description: Annotated[str, typer.Option(help="Shown in lists.")] = "",
    language: Annotated[str, typer.Option(help="What the voice speaks.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Keep a voice like that of CLIP. Running servers offer it at once, to every key."""
    made, similarity = asyncio.run(_clone(name, clip.read_bytes(), description, language))
    if as_json:
        typer.echo(json.dumps({**asdict(made.voice), "similarity": round(similarity, 3)}))
        return
    typer.echo(f"{made.voice.id}  {made.voice.name}")
    typer.secho(f"Speech of this voice and the clip are {similarity:.2f} alike (1 is the same speaker).", err=True)
    typer.secho(f'Try: descant speak --voice "{made.voice.name}" --output hello.wav "Hello there."', err=True)


async def _clone(name: str, data: bytes, description: str, language: str) -> tuple[OwnVoice, float]:
    from models.registry import load_cloner, load_synthesizer, load_voice_makers
    from models.silero_vad import SileroDetector
    from models.voices import Voice
    from server.audio.files import decode_file
    from server.engine.speech.cloning import Cloning

    settings = load_settings()
    check_words(name, description)
    pcm = decode_file(data, max_s=settings.limits.max_upload_s, field="clip")
    with Console(stderr=True).status("loading models …"):
        family = choose_models(settings).speech[0].family
        stock = load_synthesizer(family, "cpu", 1).info.voices
        cloning = Cloning(partial(load_cloner, family), SileroDetector())
    locales = load_voice_makers(stock)[family].locales
    if not locales:
        raise InvalidRequest(f"clip: the model family {family!r} makes no voices from recordings", field="clip")
    if language not in locales:
        raise InvalidRequest.choice("language", language, sorted(locales))
    with Console(stderr=True).status("listening …"):
        cloned = await cloning.clone(pcm, "clip")
    voice = Voice("", name, description, language, locales[language], "", cloned.family, cloned.record)
    return own_voices(settings).create("", voice), cloned.similarity

"""Speech to be recognised: from a file, or said by the server that is measured."""

import asyncio
import base64
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import WebSocketException

from server.bench.clients import LoadRefused
from server.bench.target import Target
from server.bench.tts_client import REQUEST_TIMEOUT_S, Speaker
from server.bench.words import SpokenWord, scored_words

RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Utterance:
    """Audio as 16-bit little-endian PCM in one channel."""

    audio: bytes
    sample_rate_hz: int
    text: str | None = None
    """What is said, where it is known."""
    words: tuple[SpokenWord, ...] = ()
    """When, where it is known."""

    @property
    def duration_s(self) -> float:
        return len(self.audio) / 2 / self.sample_rate_hz


def from_file(path: Path) -> Utterance:
    """A WAV file of 16-bit samples, the first channel of several, with its text in a ``.txt`` beside it if there is one.

    Raises LoadRefused for any other file.
    """
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() != 2:
                raise LoadRefused(f"{path}: has {8 * file.getsampwidth()}-bit samples; 16 are needed")
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
            rate_hz = file.getframerate()
    except (OSError, EOFError, wave.Error) as error:
        raise LoadRefused(f"{path}: is no WAV file that can be read ({error})") from error
    if not len(frames):
        raise LoadRefused(f"{path}: holds no audio")
    beside = path.with_suffix(".txt")
    return Utterance(frames[:, 0].tobytes(), rate_hz, beside.read_text(encoding="utf-8").strip() if beside.exists() else None)


async def synthesised(target: Target, model: str, voice: str, texts: Sequence[str]) -> list[Utterance]:
    """Each text as the server says it, with the times of its words. Raises LoadRefused."""
    speaker = Speaker(target, model, voice, RATE_HZ)
    try:
        return [await _say(speaker, text) for text in texts]
    finally:
        await speaker.close()


async def _say(speaker: Speaker, text: str) -> Utterance:
    audio: list[bytes] = []
    words: list[SpokenWord] = []
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            async for event in speaker.events(text, add_timestamps=True):
                fields = event.fields
                if fields["type"] == "chunk":
                    audio.append(base64.b64decode(fields["data"]))
                elif fields["type"] == "timestamps":
                    words += _spoken_words(fields["word_timestamps"])
                elif fields["type"] == "error":
                    raise LoadRefused(f"the server did not say the text to be recognised: {fields.get('message')}")
    except (OSError, WebSocketException) as error:
        raise LoadRefused(f"the server did not say the text to be recognised: {error}") from error
    if not any(audio):
        raise LoadRefused("the server gave no audio for the text to be recognised")
    return Utterance(b"".join(audio), RATE_HZ, text, tuple(words))


def _spoken_words(columns: dict[str, list[Any]]) -> list[SpokenWord]:
    rows = zip(columns["words"], columns["start"], columns["end"], strict=True)
    return [SpokenWord(scored, start_s, end_s) for word, start_s, end_s in rows for scored in scored_words(word)]

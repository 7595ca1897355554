"""Requests, events and errors as frames of `proto/engine.proto`: JSON of the types of `server.requests`, audio beside it.

A stream begins with its request. It is answered by OPENED or by an error, and then by events. The kind of a frame is
the name of its type, or a word: ``push`` (the JSON is the bare text), ``flush``, ``finish``, ``delay`` (milliseconds),
``times`` (words or phonemes, as wanted), ``feed`` (samples), and the constants here.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from models.audio import Pcm
from models.voices import ClonedVoice
from server import errors
from server.engine.interface import ServedModel
from server.errors import DescantError, InternalError
from server.pb.engine_pb2 import Frame
from server.requests.speech import (
    NO_PRONUNCIATIONS,
    Controls,
    Pronunciations,
    SpeechFlushed,
    SpeechRequest,
    SpokenAudio,
    SpokenTimes,
    StageTimes,
)
from server.requests.transcription import Transcript, TranscriptFlushed, TranscriptionRequest, Turn, TurnSettings

OPENED, ERROR = "opened", "error"
MOST_DICTIONARIES = 64
"""Pronunciation dictionaries kept on either side, in the order of their use."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a gateway has to know of its engine."""

    ready: bool
    models: tuple[ServedModel, ...]


@dataclass(frozen=True, slots=True)
class _Speech:
    """A request with its dictionary beside it, as text that stands for the parsed form."""

    request: SpeechRequest
    pronunciations: str


@dataclass(frozen=True, slots=True)
class _Audio:
    start_s: float
    flush_index: int


@dataclass(frozen=True, slots=True)
class _Error:
    type: str
    message: str
    field: str | None
    retry_after_s: float | None


_TYPES: dict[str, Any] = {
    known.__name__: TypeAdapter(known)
    for known in (
        SpeechRequest, TranscriptionRequest, Controls, TurnSettings, SpokenTimes, SpeechFlushed, StageTimes, Transcript, Turn,
        TranscriptFlushed, Description, ClonedVoice, Pronunciations, _Speech, _Audio, _Error,
    )
}  # fmt: skip
_ERRORS: dict[str, type[DescantError]] = {
    name: known for name, known in vars(errors).items() if isinstance(known, type) and issubclass(known, DescantError)
}


def frame_of(value: Any) -> Frame:
    """One value of a known type as a frame."""
    if isinstance(value, SpokenAudio):
        json = _TYPES["_Audio"].dump_json(_Audio(value.start_s, value.flush_index))
        return Frame(kind="SpokenAudio", json=json, pcm=value.pcm.tobytes())
    if isinstance(value, SpeechRequest):
        speech = _Speech(replace(value, pronunciations=NO_PRONUNCIATIONS), _written(value.pronunciations))
        return Frame(kind="SpeechRequest", json=_TYPES["_Speech"].dump_json(speech))
    kind = type(value).__name__
    return Frame(kind=kind, json=_TYPES[kind].dump_json(value))


def value_of(frame: Frame) -> Any:
    """What `frame_of` was given."""
    if frame.kind == "SpokenAudio":
        audio = _TYPES["_Audio"].validate_json(frame.json)
        return SpokenAudio(pcm_of(frame), audio.start_s, audio.flush_index)
    if frame.kind == "SpeechRequest":
        speech: _Speech = _TYPES["_Speech"].validate_json(frame.json)
        return replace(speech.request, pronunciations=_read(speech.pronunciations))
    return _TYPES[frame.kind].validate_json(frame.json)


@lru_cache(MOST_DICTIONARIES)
def _written(pronunciations: Pronunciations) -> str:
    return _TYPES["Pronunciations"].dump_json(pronunciations).decode("utf-8") if pronunciations.entries else ""


@lru_cache(MOST_DICTIONARIES)
def _read(written: str) -> Pronunciations:
    """The same object for the same text, so that what is made of a dictionary is made once, not for each request."""
    read: Pronunciations = _TYPES["Pronunciations"].validate_json(written) if written else NO_PRONUNCIATIONS
    return read


def pcm_frame(kind: str, pcm: Pcm, text: str = "") -> Frame:
    return Frame(kind=kind, json=text.encode("utf-8"), pcm=np.ascontiguousarray(pcm, dtype=np.float32).tobytes())


def pcm_of(frame: Frame) -> Pcm:
    """Shares the frame's memory; read only."""
    return np.frombuffer(frame.pcm, dtype=np.float32)


def error_frame(error: DescantError) -> Frame:
    known = next((kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS), InternalError)
    told = _Error(known.__name__, error.message, error.field, error.retry_after_s)
    return Frame(kind=ERROR, json=_TYPES["_Error"].dump_json(told))


def raise_error(frame: Frame) -> None:
    """Raises the error of a frame that holds one."""
    if frame.kind == ERROR:
        told = _TYPES["_Error"].validate_json(frame.json)
        raise _ERRORS[told.type](told.message, field=told.field, retry_after_s=told.retry_after_s)

"""``POST /stt`` and the OpenAI path for it: an audio file in, its transcript out."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import AliasChoices, Field
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse

from models.audio import Pcm
from server.api.body import Form, read_form, takes_form
from server.api.call import Call, call_of
from server.api.disconnect import cancelled_when_gone
from server.api.listening_params import ENCODING, SAMPLE_RATE, audio_encoding, word_times
from server.api.query import takes_query
from server.audio.files import FILE_RATE_HZ, decode_file, decode_headerless
from server.engine.hearing.whole import whole_transcript
from server.errors import InvalidRequest
from server.requests.locales import DETECTED, spoken_language
from server.requests.transcription import DEFAULT_LANGUAGE, TranscriptionRequest

if TYPE_CHECKING:
    from server.engine.interface import AudioStream

_FORM_OVERHEAD_BYTES = 64 * 1024
_MAX_FIELDS = 64
_GRANULARITIES = ("timestamp_granularities[]", "timestamp_granularities")
"""OpenAI's SDK writes the brackets, Cartesia's does not."""


class TranscriptionForm(Form):
    model: str | None = None
    """Such as ink-whisper."""
    language: str | None = None
    """Code of the language spoken; "auto" to detect it."""
    timestamp_granularities: list[str] = Field([], validation_alias=AliasChoices(*_GRANULARITIES))
    """"word" asks for the times of words."""

    lists = frozenset(_GRANULARITIES)


@takes_query(*(replace(parameter, is_required=False) for parameter in (ENCODING, SAMPLE_RATE)))
@takes_form(TranscriptionForm, "file")
async def transcribe_file(request: Request) -> JSONResponse:
    """The transcript of an audio file, in English where no language is given."""
    return await _transcript(request, DEFAULT_LANGUAGE)


@takes_query(*(replace(parameter, is_required=False) for parameter in (ENCODING, SAMPLE_RATE)))
@takes_form(TranscriptionForm, "file")
async def transcribe_openai_file(request: Request) -> JSONResponse:
    """The same by OpenAI's path, where the language is detected if none is given."""
    return await _transcript(request, DETECTED)


async def _transcript(request: Request, default_language: str) -> JSONResponse:
    call = call_of(request.scope)
    limit = call.services.settings.limits.max_upload_bytes + _FORM_OVERHEAD_BYTES
    async with read_form(request, limit, _MAX_FIELDS) as form:
        transcription = _to_request(TranscriptionForm.of(form), default_language, call)
        decode = _decoder(request, call, _upload(form))
        # Admission comes before decoding, so that no more files are decoded at once than may be heard.
        stream = call.services.engine.transcribe(transcription)
        async with cancelled_when_gone(request.receive, stream):
            body = await _transcribe(stream, transcription, decode)
    return JSONResponse({**body, "request_id": call.request_id})


def _upload(form: FormData) -> UploadFile:
    upload = form.get("file")
    if not isinstance(upload, UploadFile):
        raise InvalidRequest("file: is required, as a file part of a multipart/form-data body", field="file")
    if not upload.size:
        raise InvalidRequest("file: is empty", field="file")
    return upload


def _to_request(form: TranscriptionForm, default_language: str, call: Call) -> TranscriptionRequest:
    if not form.model:
        raise InvalidRequest("model: is required", field="model")
    return TranscriptionRequest(
        model=call.services.catalog.recognition_model(form.model),
        request_id=call.request_id,
        language=spoken_language(form.language or default_language),
        want_words=_wants_words(form),
        interim=False,
        whole=True,
        key_id=call.key_id,
        received_s=call.received_s,
    )


def _wants_words(form: TranscriptionForm) -> bool:
    for granularity in form.timestamp_granularities:
        if granularity != "word":
            raise InvalidRequest.choice("timestamp_granularities[]", granularity, ("word",))
    return bool(form.timestamp_granularities)


def _decoder(request: Request, call: Call, upload: UploadFile) -> Callable[[], Pcm]:
    """How to get samples at FILE_RATE_HZ, to run in a thread; what the query says is checked here."""
    max_s = call.services.settings.limits.max_upload_s
    query = request.query_params
    if "encoding" not in query and "sample_rate" not in query:
        return lambda: decode_file(upload.file, max_s=max_s)
    encoding, source_hz = audio_encoding(query)

    return lambda: decode_headerless(upload.file, encoding, source_hz, max_s=max_s)


async def _transcribe(stream: "AudioStream", transcription: TranscriptionRequest, decode: Callable[[], Pcm]) -> dict[str, Any]:
    await stream.opened()
    pcm = await asyncio.to_thread(decode)
    finals = await whole_transcript(stream, pcm)
    body: dict[str, Any] = {
        "type": "transcript",
        "text": "".join(final.text for final in finals).strip(),
        "language": finals[0].language if finals else transcription.language,
        "duration": round(len(pcm) / FILE_RATE_HZ, 3),
        "is_final": True,
    }
    if any(final.truncated for final in finals):
        body["truncated"] = True
    if transcription.want_words:
        body["words"] = word_times([word for final in finals for word in final.words])
    return body

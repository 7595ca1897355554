"""New voices: ``/voices/clone`` from a recording, and the embeddings of the API's first versions."""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse

from models.voices import ClonedVoice, Voice
from server.api.body import Form, read_form, takes_form, takes_json
from server.api.call import Call, call_of
from server.api.embeddings import embedding_of
from server.api.voice_specifier import voice_by_embedding
from server.api.voices import shown
from server.audio.files import decode_file
from server.errors import InvalidRequest
from server.storage.own_voices import check_words

MAX_CLIP_BYTES = 64 * 1024 * 1024
MAX_CLIP_S = 600.0
_MAX_FIELDS = 16


class ClipForm(Form):
    language: str = ""
    """Such as en or en-GB."""
    enhance: str = ""
    """Taken, and means nothing: noise under the voice is left out of the measures of every clip."""

    def check_enhance(self) -> None:
        if self.enhance.lower() not in ("", "true", "false", "1", "0"):
            raise InvalidRequest.choice("enhance", self.enhance, ("true", "false"))


class CloneForm(ClipForm):
    name: str = ""
    description: str = ""
    base_voice_id: str = ""


@takes_form(CloneForm, "clip")
async def clone_voice(request: Request) -> JSONResponse:
    """A voice from a recording, kept for the caller; VoiceMetadata of every version."""
    call = call_of(request.scope)
    async with read_form(request, MAX_CLIP_BYTES, _MAX_FIELDS) as form:
        fields = CloneForm.of(form)
        check_words(fields.name, fields.description)
        language, locale = _language(fields.language or "en", call)
        fields.check_enhance()
        if fields.base_voice_id:
            call.voices.get(fields.base_voice_id)
        cloned = await _clone(form, call)
    return await _kept(call, _voice(cloned, fields.name, fields.description, language, locale))


@takes_form(ClipForm, "clip")
async def clone_clip(request: Request) -> JSONResponse:
    """Version 2024-06-10: the embedding of a recording's voice; nothing is kept."""
    call = call_of(request.scope)
    async with read_form(request, MAX_CLIP_BYTES, _MAX_FIELDS) as form:
        fields = ClipForm.of(form)
        fields.check_enhance()
        language, locale = _language(fields.language or "en", call)
        voice = _voice(await _clone(form, call), "Clip", "", language, locale)
    return JSONResponse({"embedding": embedding_of(voice, call.voices)})


@takes_json
async def create_voice(request: Request, body: dict[str, Any]) -> JSONResponse:
    """Versions up to 2024-11-13: keep a voice given by its embedding."""
    call = call_of(request.scope)
    name, description, embedding = body.get("name"), body.get("description") or "", body.get("embedding")
    if not isinstance(name, str) or not name.strip():
        raise InvalidRequest("name: is required", field="name")
    if not isinstance(description, str):
        raise InvalidRequest("description: must be a string", field="description")
    voice = voice_by_embedding(_numbers(embedding, "embedding"), call.voices, "embedding")
    return await _kept(call, replace(voice, name=name, description=description))


@takes_json
async def mix_voices(request: Request, body: dict[str, Any]) -> JSONResponse:
    """Versions up to 2024-11-13: the embedding between voices, each an id or an embedding with a weight."""
    call = call_of(request.scope)
    given = body.get("voices")
    if not isinstance(given, list) or not given:
        raise InvalidRequest("voices: must be a list of voices with weights", field="voices")
    parts = []
    for place, part in enumerate(given):
        field = f"voices.{place}"
        if not isinstance(part, dict):
            raise InvalidRequest(f"{field}: must be an object with id or embedding, and weight", field=field)
        weight = part.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise InvalidRequest(f"{field}.weight: must be a number", field=f"{field}.weight")
        if isinstance(part.get("id"), str):
            voice = call.voices.get(part["id"])
        else:
            embedding = _numbers(part.get("embedding"), f"{field}.embedding")
            voice = voice_by_embedding(embedding, call.voices, f"{field}.embedding")
        parts.append((voice, float(weight)))
    return JSONResponse({"embedding": embedding_of(call.voices.mix(parts), call.voices)})


async def _clone(form: FormData, call: Call) -> ClonedVoice:
    clip = form.get("clip")
    if not isinstance(clip, UploadFile):
        raise InvalidRequest("clip: is required, as a file part of a multipart/form-data body", field="clip")
    if not clip.size:
        raise InvalidRequest("clip: is empty", field="clip")
    pcm = await asyncio.to_thread(decode_file, clip.file, max_s=MAX_CLIP_S, field="clip")
    return await call.services.cloning.clone(pcm, "clip")


async def _kept(call: Call, voice: Voice) -> JSONResponse:
    made = await asyncio.to_thread(call.services.voices.own.create, call.key_id, voice)
    return JSONResponse(shown(made.voice, call.voices))


def _voice(cloned: ClonedVoice, name: str, description: str, language: str, locale: str) -> Voice:
    return Voice("", name, description, language, locale, "", cloned.family, cloned.record)


def _language(text: str, call: Call) -> tuple[str, str]:
    """The language and the locale of a tag such as ``en`` or ``en-GB``."""
    language, _, region = text.strip().replace("_", "-").partition("-")
    language = language.lower()
    locales = call.voices.made_locales()
    if not locales:
        raise InvalidRequest("clip: the model installed here makes no voices from recordings", field="clip")
    if language not in locales:
        raise InvalidRequest.choice("language", text, sorted(locales))
    return language, f"{language}-{region.upper()}" if region else locales[language]


def _numbers(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{field}: must be a list of numbers", field=field)
    return value

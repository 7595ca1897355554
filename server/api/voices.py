"""``/voices``: list, show, change and delete, in the shape of each version."""

import asyncio
from collections.abc import Set
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models.voices import Voice
from server.api.body import takes_json
from server.api.call import Call, call_of
from server.api.embeddings import embedding_of
from server.api.paging import PAGE_PARAMETERS, page_body, page_of
from server.api.query import QueryParameter, takes_query
from server.api.versions import has_paged_voices
from server.errors import InvalidRequest
from server.storage.voices import Voices

GENDERS = ("masculine", "feminine", "gender_neutral")
_EXPANDABLE = ("is_starred", "embedding", "preview_file_url")
_EXPAND = QueryParameter(
    "expand[]", "More fields to show.", {"type": "array", "items": {"type": "string", "enum": list(_EXPANDABLE)}}
)
_CREATED_AT = "2026-11-23T00:00:00Z"
"""The date of the embedded voices; clients of every version require one."""


@takes_query(
    *PAGE_PARAMETERS,
    QueryParameter("q", "Part of a voice's name, description or id."),
    QueryParameter("model", "Id of a model that speaks: only its voices."),
    QueryParameter("gender", "Of the voice.", {"type": "string", "enum": list(GENDERS)}),
    QueryParameter("language", "Language or locale of the voice."),
    QueryParameter("is_owner", "Only voices that the caller made.", {"type": "boolean"}),
    QueryParameter("is_starred", "No voice is.", {"type": "boolean"}),
    _EXPAND,
)
async def list_voices(request: Request) -> JSONResponse:
    """A page of voices; before 2024-11-13 all of them in a bare array."""
    call = call_of(request.scope)
    voices = call.voices
    if not has_paged_voices(call.version):
        return JSONResponse([_legacy_voice(voice, voices) for voice in voices.list()])
    query = request.query_params
    if query.get("model"):
        voices = voices.of_model(call.services.catalog.speech_model(query["model"], "model"))
    found = [voice for voice in voices.list() if _matches(voice, voices, query)]
    page, has_more = page_of(found, query)
    expand = {*query.getlist("expand[]"), *query.getlist("expand")}
    return JSONResponse(page_body(page, has_more, [shown(voice, voices, expand) for voice in page]))


@takes_query(_EXPAND)
async def get_voice(request: Request) -> JSONResponse:
    """One voice by id; a well-known Cartesia id shows the voice that stands in."""
    call = call_of(request.scope)
    return _answer(call, call.voices.get(request.path_params["voice_id"]), request)


@takes_json
async def update_voice(request: Request, body: dict[str, Any]) -> JSONResponse:
    """Change name, description or gender of a voice that the caller made."""
    call = call_of(request.scope)
    changes = {field: _text(body, field) for field in ("name", "description") if body.get(field) is not None}
    if "gender" in body:
        gender = body["gender"]
        if gender is not None and gender not in GENDERS:
            raise InvalidRequest.choice("gender", gender, GENDERS)
        changes["gender"] = gender or ""
    own = call.services.voices.own
    made = await asyncio.to_thread(partial(own.update, call.key_id, request.path_params["voice_id"], **changes))
    return _answer(call, made.voice, request)


async def delete_voice(request: Request) -> Response:
    """Forget a voice that the caller made."""
    call = call_of(request.scope)
    await asyncio.to_thread(call.services.voices.own.delete, call.key_id, request.path_params["voice_id"])
    return Response(status_code=204)


def _answer(call: Call, voice: Voice, request: Request) -> JSONResponse:
    if not has_paged_voices(call.version):
        return JSONResponse(_legacy_voice(voice, call.voices))
    query = request.query_params
    return JSONResponse(shown(voice, call.voices, {*query.getlist("expand[]"), *query.getlist("expand")}))


def shown(voice: Voice, voices: Voices, expand: Set[str] = frozenset()) -> dict[str, Any]:
    """The fields of all versions together: clients ignore what they do not know."""
    made = voices.made(voice.id)
    is_private = made is not None and made.owner_id == voices.owner_id
    fields: dict[str, Any] = {
        "id": voice.id,
        "name": voice.name,
        "tagline": "",
        "description": voice.description,
        "model": voices.model_of(voice),
        "created_at": made.created_at if made else _CREATED_AT,
        "language": voice.language,
        "gender": voice.gender if voice.gender in GENDERS else None,
        "country": voice.locale.partition("-")[2] or None,
        "locales": [{"locale": voice.locale, "is_native": True}],
        "is_owner": is_private,
        "is_public": not is_private,
        "access": "private" if is_private else "public",
        "visibility": "owner" if is_private else "all",
        "user_id": made.owner_id if made else None,
    }
    if "is_starred" in expand:
        fields["is_starred"] = False
    if "embedding" in expand:
        fields["embedding"] = embedding_of(voice, voices)
    if "preview_file_url" in expand:
        fields["preview_file_url"] = None
    return fields


def _legacy_voice(voice: Voice, voices: Voices) -> dict[str, Any]:
    """Version 2024-06-10; its SDK reads ``embedding`` and sends it back as the voice."""
    return shown(voice, voices, {"embedding"})


def _text(body: dict[str, Any], field: str) -> str:
    value = body[field]
    if not isinstance(value, str):
        raise InvalidRequest(f"{field}: must be a string", field=field)
    return value


def _matches(voice: Voice, voices: Voices, query: Any) -> bool:
    text = query.get("q", "").strip().lower()
    if text and not any(text in field.lower() for field in (voice.name, voice.description, voice.id)):
        return False
    gender = query.get("gender", "")
    if gender and gender not in GENDERS:
        raise InvalidRequest.choice("gender", gender, GENDERS)
    if gender and gender != voice.gender:
        return False
    made = voices.made(voice.id)
    if _flag(query, "is_owner") and (made is None or made.owner_id != voices.owner_id):
        return False
    if _flag(query, "is_starred"):
        return False
    language = query.get("language", "").replace("_", "-").lower()
    return language in ("", voice.language.lower(), voice.locale.lower())


def _flag(query: Any, name: str) -> bool:
    text = query.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise InvalidRequest.choice(name, text, ("true", "false"))
    return text in ("true", "1")

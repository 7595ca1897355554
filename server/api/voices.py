"""``GET /voices`` and ``GET /voices/{id}`` in the shape of each version."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from models.base import Voice
from server.api.call import call_of
from server.api.embeddings import embedding_of
from server.api.paging import page_body, page_of
from server.api.versions import has_paged_voices
from server.errors import InvalidRequest

GENDERS = ("masculine", "feminine", "gender_neutral")
_CREATED_AT = "2026-11-23T00:00:00Z"
"""The date of the embedded voices; clients of every version require one."""


async def list_voices(request: Request) -> JSONResponse:
    """A page of voices; before 2024-11-13 all of them in a bare array."""
    call = call_of(request.scope)
    voices = call.services.voices.list()
    if not has_paged_voices(call.version):
        return JSONResponse([_legacy_voice(voice) for voice in voices])
    query = request.query_params
    found = [voice for voice in voices if _matches(voice, query)]
    page, has_more = page_of(found, query)
    expand = {*query.getlist("expand[]"), *query.getlist("expand")}
    return JSONResponse(page_body(page, has_more, [_voice(voice, expand) for voice in page]))


async def get_voice(request: Request) -> JSONResponse:
    """One voice by id; a well-known Cartesia id shows the voice that stands in."""
    call = call_of(request.scope)
    voice = call.services.voices.get(request.path_params["voice_id"])
    if not has_paged_voices(call.version):
        return JSONResponse(_legacy_voice(voice))
    query = request.query_params
    return JSONResponse(_voice(voice, {*query.getlist("expand[]"), *query.getlist("expand")}))


def _voice(voice: Voice, expand: set[str]) -> dict[str, Any]:
    """The fields of all versions together: clients ignore what they do not know."""
    fields: dict[str, Any] = {
        "id": voice.id,
        "name": voice.name,
        "tagline": "",
        "description": voice.description,
        "created_at": _CREATED_AT,
        "language": voice.language,
        "gender": voice.gender if voice.gender in GENDERS else None,
        "country": voice.locale.partition("-")[2] or None,
        "locales": [{"locale": voice.locale, "is_native": True}],
        "is_owner": False,
        "is_public": True,
        "access": "public",
        "visibility": "all",
    }
    if "is_starred" in expand:
        fields["is_starred"] = False
    if "embedding" in expand:
        fields["embedding"] = embedding_of(voice.id)
    if "preview_file_url" in expand:
        fields["preview_file_url"] = None
    return fields


def _legacy_voice(voice: Voice) -> dict[str, Any]:
    """Version 2024-06-10; its SDK reads ``embedding`` and sends it back as the voice."""
    return {**_voice(voice, {"embedding"}), "user_id": None}


def _matches(voice: Voice, query: Any) -> bool:
    text = query.get("q", "").strip().lower()
    if text and not any(text in field.lower() for field in (voice.name, voice.description, voice.id)):
        return False
    gender = query.get("gender", "")
    if gender and gender not in GENDERS:
        raise InvalidRequest.choice("gender", gender, GENDERS)
    if gender and gender != voice.gender:
        return False
    if _flag(query, "is_owner") or _flag(query, "is_starred"):
        return False
    language = query.get("language", "").replace("_", "-").lower()
    return language in ("", voice.language.lower(), voice.locale.lower())


def _flag(query: Any, name: str) -> bool:
    text = query.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise InvalidRequest.choice(name, text, ("true", "false"))
    return text in ("true", "1")

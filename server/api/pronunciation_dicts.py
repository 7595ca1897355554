"""``/pronunciation-dicts``: dictionaries that a caller makes, and names in speech requests.

An item's spoken form is ``alias`` since 2025-11-04 and was ``pronunciation``
before; both are taken, and both are given.
"""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.api.body import Body, takes_json
from server.api.call import call_of
from server.api.paging import PAGE_PARAMETERS, page_body, page_of
from server.api.query import takes_query
from server.errors import InvalidRequest
from server.requests.speech import Replacement
from server.storage.pronunciations import PronunciationDictionary


class ItemBody(Body):
    text: str
    alias: str | None = None
    pronunciation: str | None = None
    case_sensitive: bool = False

    def to_replacement(self, field: str) -> Replacement:
        alias = self.alias if self.alias is not None else self.pronunciation
        if alias is None:
            raise InvalidRequest(f"{field}.alias: is required", field=f"{field}.alias")
        return Replacement(self.text, alias, self.case_sensitive)


class DictionaryBody(Body):
    name: str | None = None
    description: str | None = None
    items: list[ItemBody] | None = None

    def replacements(self) -> list[Replacement] | None:
        """None where the items are left out."""
        if self.items is None:
            return None
        return [item.to_replacement(f"items.{place}") for place, item in enumerate(self.items)]


@takes_query(*PAGE_PARAMETERS)
async def list_dictionaries(request: Request) -> JSONResponse:
    """A page of the caller's dictionaries, newest first."""
    call = call_of(request.scope)
    page, has_more = page_of(call.services.pronunciations.list(call.key_id), request.query_params)
    return JSONResponse(page_body(page, has_more, [_shown(dictionary) for dictionary in page]))


@takes_json
async def create_dictionary(request: Request, body: DictionaryBody) -> JSONResponse:
    """A new dictionary, to be named as pronunciation_dict_id."""
    call = call_of(request.scope)
    if body.name is None:
        raise InvalidRequest("name: is required", field="name")
    store = call.services.pronunciations
    made = await asyncio.to_thread(store.create, call.key_id, body.name, body.replacements() or [], body.description or "")
    return JSONResponse(_shown(made))


async def get_dictionary(request: Request) -> JSONResponse:
    """One dictionary with its items."""
    call = call_of(request.scope)
    return JSONResponse(_shown(call.services.pronunciations.get(call.key_id, request.path_params["id"])))


@takes_json
async def update_dictionary(request: Request, body: DictionaryBody) -> JSONResponse:
    """Change the name or the description, or replace all items."""
    return await _changed(request, name=body.name, description=body.description, items=body.replacements())


async def pin_dictionary(request: Request) -> JSONResponse:
    """Mark it as pinned."""
    return await _changed(request, pinned=True)


async def unpin_dictionary(request: Request) -> JSONResponse:
    """Take the mark away."""
    return await _changed(request, pinned=False)


async def delete_dictionary(request: Request) -> Response:
    """Forget a dictionary."""
    call = call_of(request.scope)
    await asyncio.to_thread(call.services.pronunciations.delete, call.key_id, request.path_params["id"])
    return Response(status_code=204)


async def _changed(request: Request, **changes: Any) -> JSONResponse:
    call = call_of(request.scope)
    update = call.services.pronunciations.update
    return JSONResponse(_shown(await asyncio.to_thread(update, call.key_id, request.path_params["id"], **changes)))


def _shown(dictionary: PronunciationDictionary) -> dict[str, Any]:
    """The fields of all versions together: clients ignore what they do not know."""
    return {
        "id": dictionary.id,
        "name": dictionary.name,
        "description": dictionary.description,
        "owner_id": dictionary.owner_id,
        "pinned": dictionary.pinned,
        "created_at": dictionary.created_at,
        "items": [
            {"text": item.text, "alias": item.alias, "pronunciation": item.alias, "case_sensitive": item.case_sensitive}
            for item in dictionary.pronunciations.entries
        ],
    }

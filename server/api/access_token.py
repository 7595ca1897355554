"""``POST /access-token``: a short-lived token for clients that must not hold an API key."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from server.access_tokens import GRANTS, MAX_LIFE_S
from server.api.body import Body, read_json
from server.api.call import call_of
from server.errors import InvalidRequest


class _Grants(Body):
    tts: bool = False
    stt: bool = False


class _Wanted(Body):
    grants: _Grants = _Grants()
    expires_in: int = Field(default=60, ge=1, le=MAX_LIFE_S)
    """Seconds."""


async def create_token(request: Request) -> JSONResponse:
    call = call_of(request.scope)
    wanted = _Wanted.check(await read_json(request))
    grants = [name for name in GRANTS if getattr(wanted.grants, name)]
    if not grants:
        raise InvalidRequest(f"grants: at least one of {', '.join(GRANTS)} must be true", field="grants")
    return JSONResponse({"token": call.services.keys.tokens.create(call.key_id, grants, wanted.expires_in)})

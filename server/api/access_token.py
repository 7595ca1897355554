"""``POST /access-token``: a short-lived token for clients that must not hold an API key."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from server.api.body import Body, takes_json
from server.api.call import call_of
from server.errors import InvalidRequest
from server.storage.access_tokens import GRANTS, MAX_LIFE_S


class GrantsBody(Body):
    tts: bool = False
    stt: bool = False


class TokenBody(Body):
    grants: GrantsBody = GrantsBody()
    expires_in: int = Field(default=60, ge=1, le=MAX_LIFE_S)
    """Seconds."""


@takes_json
async def create_token(request: Request, body: TokenBody) -> JSONResponse:
    """A token that stands for the key for a while, for speech, transcription or both."""
    call = call_of(request.scope)
    grants = [name for name in GRANTS if getattr(body.grants, name)]
    if not grants:
        raise InvalidRequest(f"grants: at least one of {', '.join(GRANTS)} must be true", field="grants")
    return JSONResponse({"token": call.services.keys.tokens.create(call.key_id, grants, body.expires_in)})

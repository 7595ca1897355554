"""Who calls: API keys, and access tokens made with them, by every way clients send them.

The first carrier that is present decides, in the order Authorization, X-API-Key,
``api_key``, ``access_token``. The query carriers count on WebSockets only, where
browsers have no other, because addresses end up in logs.
"""

import time
from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.types import Scope

from server.errors import Forbidden, Unauthorized
from server.services import Services
from server.storage.keys import key_in_headers, keys_are_required

OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/openapi.json", "/docs"})
QUERY_CARRIERS = ("api_key", "access_token")
_GRANT_OF = {"tts": "tts", "stt": "stt", "audio": "stt", "v1": "stt"}
"""What a token needs for a path, by the path's first part; other paths need a key."""


def authenticate(connection: HTTPConnection, services: Services) -> str:
    """The id of the caller's key, "" where any key will do. Raises Unauthorized, and Forbidden for what a token may not do."""
    if not keys_are_required(services.settings, services.keys):
        return ""
    plain = _first_key(connection)
    if plain is None:
        raise Unauthorized("An API key is required: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
    if (key_id := services.keys.verify(plain)) is not None:
        return key_id
    token = services.keys.tokens.read(plain)
    if token is None or all(key.id != token.key_id for key in services.keys.list()):
        raise Unauthorized("The API key or access token is not valid.")
    if token.expires_s <= time.time():
        raise Unauthorized("The access token has expired.")
    path = connection.scope["path"]
    if _GRANT_OF.get(path.split("/")[1]) not in token.grants:
        raise Forbidden(f"The access token does not allow {path}; it allows {' and '.join(sorted(token.grants))}.")
    return token.key_id


def hide_query_keys(scope: Scope) -> None:
    """Take keys out of the address once they were read, so that no log line of the HTTP server shows them."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(name in QUERY_CARRIERS for name, _ in pairs):
        kept = [(name, value) for name, value in pairs if name not in QUERY_CARRIERS]
        scope["query_string"] = urlencode(kept).encode("ascii")


def _first_key(connection: HTTPConnection) -> str | None:
    headers = connection.headers
    plain = key_in_headers(headers.get("authorization", ""), headers.get("x-api-key", ""))
    if plain is not None:
        return plain
    if connection.scope["type"] == "websocket":
        for name in QUERY_CARRIERS:
            if plain := connection.query_params.get(name, ""):
                return plain
    return None

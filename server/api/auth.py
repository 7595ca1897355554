"""Keys and access tokens by every way that HTTP clients send them; what they allow is `server.storage.authentication`.

The first carrier that is present decides, in the order Authorization, X-API-Key,
``api_key``, ``access_token``. The query carriers count on WebSockets only, where
browsers have no other, because addresses end up in logs.
"""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.types import Scope

from server.services import Services
from server.storage import authentication
from server.storage.authentication import Operation, credential_in

OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/openapi.json", "/docs"})
QUERY_CARRIERS = ("api_key", "access_token")
_GRANT_OF = {"tts": "tts", "stt": "stt", "audio": "stt", "v1": "stt"}
"""What a token needs for a path, by the path's first part; other paths need a key."""


def authenticate(connection: HTTPConnection, services: Services) -> str:
    """The id of the caller's key, "" where any key will do. Raises Unauthorized, and Forbidden for what a token may not do."""
    path = connection.scope["path"]
    operation = Operation(path, _GRANT_OF.get(path[1:].partition("/")[0]))
    how_to_send = "it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
    return authentication.authenticate(services.settings, services.keys, _credential(connection), operation, how_to_send)


def hide_query_keys(scope: Scope) -> None:
    """Take keys out of the address once they were read, so that no log line of the HTTP server shows them."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(name in QUERY_CARRIERS for name, _ in pairs):
        kept = [(name, value) for name, value in pairs if name not in QUERY_CARRIERS]
        scope["query_string"] = urlencode(kept).encode("ascii")


def _credential(connection: HTTPConnection) -> str | None:
    headers = connection.headers
    plain = credential_in(headers.get("authorization", ""), headers.get("x-api-key", ""))
    if plain is not None:
        return plain
    if connection.scope["type"] == "websocket":
        for name in QUERY_CARRIERS:
            if plain := connection.query_params.get(name, ""):
                return plain
    return None

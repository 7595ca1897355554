"""Who calls, and whether they may: the one decision behind HTTP and gRPC, by API keys and the access tokens made with them."""

import time
from dataclasses import dataclass

from server.config import Settings
from server.errors import Forbidden, Unauthorized
from server.storage.keys import KeyStore


@dataclass(frozen=True, slots=True)
class Operation:
    """What a caller asks for."""

    name: str
    """As the caller knows it: a path, or a method's name."""
    grant: str | None
    """What an access token must allow (one of `server.storage.access_tokens.GRANTS`); None: takes a key, no token."""


def authenticate(settings: Settings, keys: KeyStore, credential: str | None, operation: Operation, how_to_send: str) -> str:
    """The id of the caller's key, "" where any key will do.

    ``credential`` is the key or token that came, None without any; ``how_to_send`` tells a caller without one where it
    belongs. Raises Unauthorized, and Forbidden for what a token does not allow.
    """
    if not keys_are_required(settings, keys):
        return ""
    if credential is None:
        raise Unauthorized(f"An API key is required: send {how_to_send}.")
    if (key_id := keys.verify(credential)) is not None:
        return key_id
    token = keys.tokens.read(credential)
    if token is None or all(key.id != token.key_id for key in keys.list()):
        raise Unauthorized("The API key or access token is not valid.")
    if token.expires_s <= time.time():
        raise Unauthorized("The access token has expired.")
    if operation.grant not in token.grants:
        allowed = " and ".join(sorted(token.grants))
        raise Forbidden(f"The access token does not allow {operation.name}; it allows {allowed}.")
    return token.key_id


def keys_are_required(settings: Settings, keys: KeyStore) -> bool:
    """Beyond loopback, where the settings say so, and wherever somebody made a key."""
    return settings.require_keys or not settings.is_loopback or bool(keys.list())


def credential_in(authorization: str, x_api_key: str) -> str | None:
    """The key or token that a caller's headers (or gRPC metadata) carry; the first that is present decides, None without any.

    A scheme other than Bearer is a credential that is wrong, not one that is absent.
    """
    if authorization := authorization.strip():
        scheme, _, plain = authorization.partition(" ")
        return plain.strip() if scheme.lower() == "bearer" else ""
    return x_api_key.strip() or None

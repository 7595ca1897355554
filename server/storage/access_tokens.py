"""Access tokens: what a browser or an app carries instead of an API key, for at most an hour and for part of the API.

A token is a JSON Web Token (RFC 7519) signed with HMAC-SHA-256. Nothing is kept of it but the secret that signs all of
them, in a private file, so every process that shares the data directory takes it. It ends with its key: the store of keys
is asked for that at each use.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.storage.json_file import JsonFile

MAX_LIFE_S = 3600
GRANTS = ("tts", "stt")


@dataclass(frozen=True, slots=True)
class AccessToken:
    key_id: str
    """Of the key that made it, "" where no key was asked for."""
    grants: frozenset[str]
    expires_s: int
    """Unix time."""


class AccessTokens:
    """Makes and reads tokens; the secret in ``path`` is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._secret: JsonFile[bytes] = JsonFile(
            path, lambda data: bytes.fromhex(data["secret"]), b"", "secret of access tokens"
        )

    def create(self, key_id: str, grants: Iterable[str], life_s: int) -> str:
        if not self._secret.read():
            self._secret.change(lambda made: {"secret": made.hex() or secrets.token_hex(32)})
        now_s = int(time.time())
        claims = {
            "sub": key_id,
            "grants": dict.fromkeys(grants, True),
            "iat": now_s,
            "exp": now_s + life_s,
            "jti": secrets.token_hex(8),
        }
        signed = f"{_HEADER}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, token: str) -> AccessToken | None:
        """The token, which may have expired; None for what this server did not sign."""
        signed, _, signature = token.rpartition(".")
        if not self._secret.read() or not signature.isascii() or not hmac.compare_digest(signature, self._signature(signed)):
            return None
        claims: Any = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
        return AccessToken(claims["sub"], frozenset(claims["grants"]), claims["exp"])

    def _signature(self, signed: str) -> str:
        message = signed.encode("utf-8", "surrogateescape")
        return _encode(hmac.digest(self._secret.read(), message, hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')

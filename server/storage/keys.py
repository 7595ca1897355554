"""Key store: API keys as SHA-256 hashes in one private JSON file.

A key is 256 random bits, so a plain fast hash is enough: there is no weak
password to slow an attacker down for. The file is replaced as a whole, has mode
600, and is read again when it changes, so keys made or revoked by the command
line count at once in a running server.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from server.storage.access_tokens import AccessTokens
from server.storage.json_file import JsonFile

_PREFIX = "sk_descant_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. ``hint`` is its first characters, to tell keys apart."""

    id: str
    name: str
    hint: str
    created_at: str
    """RFC 3339, UTC."""
    sha256: str


class KeyStore:
    """Keys in ``path``, which need not exist."""

    def __init__(self, path: Path) -> None:
        self._file: JsonFile[tuple[ApiKey, ...]] = JsonFile(path, _parse, (), "key file")
        self.tokens = AccessTokens(path.with_name("access-token-secret.json"))

    def create(self, name: str) -> str:
        """Make a key and return its plain text, which is not kept anywhere."""
        plain = _PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            id="key_" + secrets.token_hex(6),
            name=name,
            hint=plain[: len(_PREFIX) + 4],
            created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            sha256=_hash(plain),
        )
        self._write((*self.list(), key))
        return plain

    def list(self) -> Sequence[ApiKey]:
        """All keys, oldest first. Raises JsonFileError when the file is damaged."""
        return self._file.read()

    def revoke(self, key_id: str) -> bool:
        """Forget a key; False when there is none with this id."""
        keys = self.list()
        kept = tuple(key for key in keys if key.id != key_id)
        if len(kept) == len(keys):
            return False
        self._write(kept)
        return True

    def verify(self, plain: str) -> str | None:
        """The id of the key with this plain text, or None. Takes the same time wherever a match stands."""
        wanted = _hash(plain)
        found = None
        for key in self.list():
            if hmac.compare_digest(key.sha256, wanted):
                found = key.id
        return found

    def _write(self, keys: Sequence[ApiKey]) -> None:
        self._file.write({"keys": [asdict(key) for key in keys]})


def _parse(data: Any) -> tuple[ApiKey, ...]:
    return tuple(ApiKey(**row) for row in data["keys"])


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()

"""A model somewhere else: what it is said to be, and its files, before a byte of them is here."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file and how it is known to be the right one: by sha256, by git's hash, or by its commit alone."""

    name: str
    url: str
    bytes: int
    sha256: str | None = None
    git_sha1: str | None = None
    """What git calls the file (sha1 over a header and the content): the hub's own name for files that it keeps in git."""

    @property
    def part_name(self) -> str:
        """The name of its unfinished download: the same content is taken up again under another address."""
        known = self.sha256 or self.git_sha1 or hashlib.sha256(self.url.encode()).hexdigest()
        return f"{known}-{self.name.replace('/', '_')[-100:]}.part"


@dataclass(frozen=True, slots=True)
class Offer:
    name: str
    kind: Literal["catalogue", "hub"]
    reference: str
    files: tuple[RemoteFile, ...]
    licence_id: str
    licence_text: str | None
    languages: tuple[str, ...] | None = None
    """None: known only after it was converted, as `parameters`."""
    parameters: int | None = None

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class ContentHash:
    """Both hashes of a file of known size, fed block by block."""

    def __init__(self, size_bytes: int) -> None:
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)

    def update(self, block: bytes) -> None:
        self._sha256.update(block)
        self._git.update(block)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def mismatch(self, file: RemoteFile) -> tuple[str, str] | None:
        """What was found and what was expected, where they differ."""
        for kind, found, expected in (
            ("sha256", self.sha256, file.sha256),
            ("git sha1", self._git.hexdigest(), file.git_sha1),
        ):
            if expected is not None and found != expected:
                return f"{kind} {found}", expected
        return None


def blocks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def hash_of(path: Path, size_bytes: int) -> ContentHash:
    """Read from disk again, whatever was hashed on the way."""
    content = ContentHash(size_bytes)
    for block in blocks(path):
        content.update(block)
    return content

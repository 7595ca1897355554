"""Private JSON files that are replaced as a whole and read again when somebody else replaced them."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class JsonFileError(Exception):
    """A file of this server is damaged or cannot be read; the message says how to mend it."""


class JsonFile(Generic[T]):
    """The value in ``path``, which need not exist. Readers in any process see it before or after a change, never between."""

    def __init__(self, path: Path, parse: Callable[[Any], T], empty: T, what: str) -> None:
        """``parse`` turns JSON into the value; it may raise TypeError, ValueError, KeyError or AttributeError.

        ``what`` names the file in messages, such as "key file".
        """
        self._path = path
        self._parse = parse
        self._empty = empty
        self._what = what
        self._stamp: tuple[int, int, int] | None = None
        self._value = empty

    def read(self) -> T:
        """The value as of now; the same object until the file changes. Raises JsonFileError when it is damaged."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._value = None, self._empty
            return self._value
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            try:
                value = self._parse(json.loads(self._path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                raise JsonFileError(f"cannot read the {self._what} {self._path}: {error}; restore it or delete it") from None
            self._stamp, self._value = stamp, value
        return self._value

    def change(self, change: Callable[[T], Any]) -> None:
        """Write the JSON that ``change`` makes of the value. One change at a time, over all threads and processes."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            self.write(change(self.read()))
        finally:
            os.close(folder)

    def write(self, data: Any) -> None:
        """Replace the file, with mode 600, by this JSON."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # mkstemp makes the file with mode 600, and the rename keeps it.
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.stem}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


class OwnersFiles(Generic[T]):
    """What API keys keep: a file for each owner in ``folder``, which need not exist, with a tuple of dataclasses.

    The owner is the key's id, or "" where no key is asked for. File names are hashes of owners, so nothing that a client
    sends is ever part of a path. Safe to use from several threads and processes; changes wait for the disk.
    """

    def __init__(self, folder: Path, parse: Callable[[Any], T], what: str) -> None:
        """``parse`` turns the JSON of one dataclass back into it, ``what`` names them in messages; see `JsonFile`."""
        self._folder = folder
        self._parse = parse
        self._what = what
        self._files: dict[str, JsonFile[tuple[T, ...]]] = {}

    def read(self, owner_id: str) -> tuple[T, ...]:
        """The owner's; the same object until something changes. Raises JsonFileError."""
        return self._file(owner_id).read()

    def change(self, owner_id: str, change: Callable[[tuple[T, ...]], tuple[T, ...]]) -> None:
        """Keep what ``change`` makes of what is kept; nothing else changes it meanwhile."""
        self._file(owner_id).change(lambda kept: {"items": [asdict(item) for item in change(kept)]})  # type: ignore[call-overload]

    def _file(self, owner_id: str) -> JsonFile[tuple[T, ...]]:
        file = self._files.get(owner_id)
        if file is None:
            path = self._folder / (hashlib.sha256(owner_id.encode("utf-8")).hexdigest()[:32] + ".json")
            file = JsonFile(path, lambda data: tuple(self._parse(row) for row in data["items"]), (), self._what)
            file = self._files.setdefault(owner_id, file)
        return file

"""A folder for the sockets of a running server; what killed servers left behind goes with the next start."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "descant-run-"


@contextlib.contextmanager
def run_folder() -> Iterator[tuple[Path, int]]:
    """A new folder, and a file descriptor that says that it is in use for as long as any process has it open.

    Processes that use the folder and may outlive this one are to inherit the descriptor.
    """
    _remove_left_behind()
    folder, used = _new()
    try:
        yield folder, used
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(used)


def _new() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        used = os.open(folder, os.O_RDONLY)
        fcntl.flock(used, fcntl.LOCK_EX)
        if folder.exists():
            return folder, used
        os.close(used)  # another start took it for one left behind, before it was locked


def _remove_left_behind() -> None:
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):  # somebody else's, in use, or gone meanwhile
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)

"""What can go wrong with models on disk, each with the exit code of the command line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class ModelStoreError(Exception):
    """The message names the file or name, what is wrong and what to do."""

    exit_code: ClassVar[int] = 2


class ModelMissing(ModelStoreError):
    """No such model, version or file."""

    exit_code = 1


class ModelCorrupt(ModelStoreError):
    """Content that is not what its hash says."""

    exit_code = 3


def gigabytes(size_bytes: int) -> str:
    """For people: "145 MB", "3.09 GB"; units of 1000."""
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the file system refuses into one line that names the folder and a way out."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelStoreError(
                f"the disk of {folder} is full; nothing was installed. Free some space (`descant models rm --unused`) or "
                "choose another folder with DESCANT_MODELS_DIR"
            ) from None
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise ModelStoreError(f"{folder} cannot be written: {error.strerror} ({error.filename})") from None
        raise

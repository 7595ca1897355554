"""Files that other tools on this machine have already: the hub client's cache, and that of OpenAI's package. Found by hash."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from server.model_store.hub import UNKNOWN_LICENCE, HubReference, Listing
from server.model_store.network import Network
from server.model_store.offer import RemoteFile, hash_of

OPENAI_CACHE = Path("~/.cache/whisper")


def take(file: RemoteFile, part: Path, network: Network) -> bool:
    """Copy a file of the right content to ``part``, and say whether there is one. Its hash is checked, not its name alone."""
    if file.sha256 is None and file.git_sha1 is None:
        return False
    for candidate in _candidates(file, network):
        if (
            candidate.is_file()
            and candidate.stat().st_size == file.bytes
            and hash_of(candidate, file.bytes).mismatch(file) is None
        ):
            shutil.copyfile(candidate, part)
            return True
    return False


def list_files(reference: HubReference, network: Network) -> Listing | None:
    """What the cache holds of a commit: blobs have their hash for a name. None if it has no such commit."""
    folder = network.cache / f"models--{reference.owner}--{reference.name}" / "snapshots" / reference.commit
    files = []
    for path in sorted(folder.rglob("*")):
        blob = path.resolve()
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            url = f"{network.endpoint}/{reference.owner}/{reference.name}/resolve/{reference.commit}/{name}"
            hashes = {64: {"sha256": blob.name}, 40: {"git_sha1": blob.name}}.get(len(blob.name), {})
            files.append(RemoteFile(name, url, blob.stat().st_size, **hashes))
    return Listing(tuple(files), UNKNOWN_LICENCE) if files else None


def _candidates(file: RemoteFile, network: Network) -> Iterator[Path]:
    for known in (file.sha256, file.git_sha1):
        if known is not None:
            yield from sorted(network.cache.glob(f"models--*/blobs/{known}"))
    yield OPENAI_CACHE.expanduser() / file.name

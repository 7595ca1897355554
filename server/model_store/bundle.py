"""An installed model as one file, to carry to a machine without a network: a plain tar of its record and its contents.

    descant-bundle.json     {"format": 1, "manifest": …}, first
    blobs/sha256/<hash>     each content once

Reading trusts nothing in it: members are matched with the manifest one by one, written by our own names, and hashed.
"""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from models.importing import UnusableSource
from models.registry import importers
from server.model_store.errors import ModelCorrupt, ModelMissing, ModelStoreError, disk_errors
from server.model_store.manifest import Manifest, StoredFile
from server.model_store.store import InstalledModel, ModelStore, file_sha256

RECORD = "descant-bundle.json"
FORMAT = 1
_BLOBS = "blobs/sha256/"
_LARGEST_RECORD_BYTES = 4 << 20
_BLOCK_BYTES = 1 << 20


def export_bundle(store: ModelStore, model: InstalledModel, path: Path) -> str:
    """Write a model to ``path``, whole or not at all; the same model gives the same bytes. Returns the sha256 of the file.

    Raises ModelStoreError if there is a file already, ModelCorrupt if the model is damaged.
    """
    if path.exists():
        raise ModelStoreError(f"{path} exists already")
    faults = store.verify(model)
    if faults:
        raise ModelCorrupt("; ".join(faults))
    record = json.dumps({"format": FORMAT, "manifest": model.manifest.model_dump(mode="json")}, indent=1).encode()
    unfinished = path.with_name(f".{path.name}.unfinished")
    with disk_errors(path.parent):
        try:
            with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, RECORD, len(record), io.BytesIO(record))
                for file in {file.sha256: file for file in model.manifest.files}.values():
                    with (model.folder / file.path).open("rb") as content:
                        _add(tar, _BLOBS + file.sha256, file.bytes, content)
            sha256 = file_sha256(unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return sha256


def _add(tar: tarfile.TarFile, name: str, size_bytes: int, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, 0o444
    tar.addfile(member, content)


def read_record(path: Path) -> Manifest:
    """What a bundle says it holds. Raises ModelStoreError."""
    with _opened(path) as tar:
        return _record(path, tar)


def import_bundle(store: ModelStore, path: Path, staging: Path) -> InstalledModel:
    """Install a bundle after all of it was checked; the caller holds the model's lock, which gave ``staging``.

    Raises ModelCorrupt for content that is not what its manifest says, ModelStoreError for what cannot be used here.
    """
    prepared = staging / "prepared"
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir()
    try:
        with _opened(path) as tar:
            manifest = _record(path, tar)
            known = importers()
            if manifest.family not in known:
                raise ModelStoreError(f"{path} holds a {manifest.family}; families known here: {', '.join(sorted(known))}")
            store.require_space(manifest.bytes, manifest.name)
            _unpack(path, tar, manifest, prepared)
        try:
            known[manifest.family].check(prepared)
        except UnusableSource as error:
            raise ModelStoreError(str(error).replace(str(prepared), str(path))) from None
        return store.commit(manifest.model_copy(update={"installed_at": datetime.now(UTC)}), prepared)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    if not path.is_file():
        raise ModelMissing(f"{path} does not exist")
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise ModelCorrupt(f"{path} is cut off or no bundle: {error}") from None


def _record(path: Path, tar: tarfile.TarFile) -> Manifest:
    member = tar.next()
    if member is None or member.name != RECORD or not member.isreg() or member.size > _LARGEST_RECORD_BYTES:
        raise ModelCorrupt(f"{path} is no bundle: {RECORD} does not come first")
    try:
        content = json.loads(_reader(tar, member).read())
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ModelCorrupt(f"{path} is a bundle of another format than {FORMAT}")
        return Manifest.model_validate_json(json.dumps(content["manifest"]))
    except (ValidationError, ValueError, KeyError) as error:
        raise ModelCorrupt(f"{path}: its {RECORD} is damaged: {str(error).splitlines()[0]}") from None


def _unpack(path: Path, tar: tarfile.TarFile, manifest: Manifest, prepared: Path) -> None:
    """Only regular members that the manifest names, each once; where they are written is ours to say."""
    expected: dict[str, list[StoredFile]] = {}
    for file in manifest.files:
        expected.setdefault(_BLOBS + file.sha256, []).append(file)
    while (member := tar.next()) is not None:
        files = expected.pop(member.name, None)
        if files is None or not member.isreg() or member.size != files[0].bytes:
            raise ModelCorrupt(f"{path} holds {member.name!r}, which its manifest does not, or not like this")
        digest = hashlib.sha256()
        target = prepared / files[0].path
        target.parent.mkdir(parents=True, exist_ok=True)
        reader = _reader(tar, member)
        with target.open("wb") as out:
            while block := reader.read(_BLOCK_BYTES):
                digest.update(block)
                out.write(block)
        if digest.hexdigest() != files[0].sha256:
            raise ModelCorrupt(f"{path}: {files[0].path} has the sha256 {digest.hexdigest()} instead of {files[0].sha256}")
        for file in files[1:]:
            (prepared / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, prepared / file.path)
    if expected:
        missing = ", ".join(file.path for files in expected.values() for file in files)
        raise ModelCorrupt(f"{path} lacks {missing}")


def _reader(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    reader = tar.extractfile(member)
    assert reader is not None  # regular members have content
    return reader

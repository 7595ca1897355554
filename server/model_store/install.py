"""From files of a checkpoint to an installed model: recognised, converted, checked, hashed and put into the store."""

import getpass
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from models.importing import Converted, ModelFacts, ModelImporter, SourceFiles, UnusableSource
from models.registry import importers
from server.model_store.errors import ModelStoreError
from server.model_store.manifest import (
    LICENCE_FILE,
    VERSION_DIGITS,
    ConvertedFile,
    Licence,
    Manifest,
    Source,
    SourceFile,
    StoredFile,
    content_digest,
)
from server.model_store.store import InstalledModel, ModelStore, file_sha256

_LICENCE_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")
_MOST_FILES = 10_000
NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Recognised:
    """Files of a checkpoint that a family reads."""

    family: str
    importer: ModelImporter
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What is to be recorded of where files came from."""

    kind: Literal["catalogue", "hub", "import"]
    reference: str
    urls: Mapping[str, str]
    """By file name; empty for files of this machine."""


def recognise(names: Collection[str], config: Mapping[str, Any] | None, where: str) -> Recognised:
    """Which family reads a checkpoint of these files. Raises ModelStoreError listing what is taken."""
    known = importers()
    for family, importer in known.items():
        wanted = importer.wanted(names, config)
        if wanted is not None:
            return Recognised(family, importer, wanted)
    kind = f" (config.json: model_type {config['model_type']!r})" if config and "model_type" in config else ""
    shown = ", ".join(sorted(names)[:12]) or "nothing"
    raise ModelStoreError(
        f"{where} holds no model that can be used{kind}. Found: {shown}. Taken: "
        + "; ".join(importer.layouts for importer in known.values())
    )


def local_source(paths: Sequence[Path]) -> SourceFiles:
    """The files of a folder, or several files, by name. Raises ModelStoreError for what is missing or named twice."""
    source: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.is_file()][: _MOST_FILES + 1]
            if len(inside) > _MOST_FILES:
                raise ModelStoreError(f"{path} holds more than {_MOST_FILES} files; give the model's own folder")
            found = {file.relative_to(path).as_posix(): file for file in inside}
            found = {name: file for name, file in found.items() if not any(part.startswith(".") for part in name.split("/"))}
        elif path.is_file():
            found = {path.name: path}
        else:
            raise ModelStoreError(f"{path} does not exist")
        twice = sorted(found.keys() & source.keys())
        if twice:
            raise ModelStoreError(f"{twice[0]} was given twice: {source[twice[0]]} and {found[twice[0]]}")
        source |= found
    return source


def read_config(source: SourceFiles) -> dict[str, Any] | None:
    """The content of config.json, None if there is none. Raises ModelStoreError if it is no JSON object."""
    if "config.json" not in source:
        return None
    try:
        config = json.loads(source["config.json"].read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelStoreError(f"{source['config.json']} is no JSON file: {error}") from None
    if not isinstance(config, dict):
        raise ModelStoreError(f"{source['config.json']} is no JSON object")
    return config


def user_name() -> str:
    """Who runs this; in a container a user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def install(
    store: ModelStore,
    staging: Path,
    name: str,
    recognised: Recognised,
    source: SourceFiles,
    origin: Origin,
    licence: Licence,
    licence_text: str | None = None,
) -> InstalledModel:
    """Convert, check and install; the caller holds the model's lock, which gave ``staging``.

    Raises ModelStoreError naming the file that cannot be used; then nothing is left of it.
    """
    read = {name: source[name] for name in recognised.names if name in source}
    missing = [name for name in recognised.names if name not in source]
    if missing:
        raise ModelStoreError(f"{origin.reference} lacks {', '.join(missing)}")
    store.require_space(sum(path.stat().st_size for path in read.values()), name)
    prepared = staging / "prepared"
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir()
    try:
        siblings = [m.folder for m in store.list() if m.family == recognised.family and m.folder.is_dir()]
        try:
            converted = recognised.importer.convert(read, prepared, siblings)
            facts = recognised.importer.check(prepared)
        except UnusableSource as error:
            # What the user knows is where the files came from.
            raise ModelStoreError(str(error).replace(str(prepared), origin.reference)) from None
        _write_licence(prepared, source, licence_text)
        manifest = _manifest(name, recognised, read, prepared, converted, facts, origin, licence)
        return store.commit(manifest, prepared)
    finally:
        shutil.rmtree(prepared, ignore_errors=True)


def _write_licence(prepared: Path, source: SourceFiles, text: str | None) -> None:
    beside = next((source[name] for name in _LICENCE_NAMES if name in source), None)
    if text is not None:
        (prepared / LICENCE_FILE).write_text(text, encoding="utf-8")
    elif beside is not None:
        shutil.copyfile(beside, prepared / LICENCE_FILE)


def _manifest(
    name: str,
    recognised: Recognised,
    read: SourceFiles,
    prepared: Path,
    converted: Converted,
    facts: ModelFacts,
    origin: Origin,
    licence: Licence,
) -> Manifest:
    files = tuple(
        StoredFile(path=path.relative_to(prepared).as_posix(), bytes=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(prepared.rglob("*"))
        if path.is_file()
    )
    sources = {
        name: SourceFile(name=name, bytes=path.stat().st_size, sha256=file_sha256(path), url=origin.urls.get(name))
        for name, path in read.items()
    }
    hashes = {file.path: file.sha256 for file in files}
    return Manifest(
        name=name,
        version=content_digest(files)[:VERSION_DIGITS],
        family=recognised.family,
        kind=recognised.importer.kind,
        languages=facts.languages,
        sample_rate_hz=facts.sample_rate_hz,
        parameters=facts.parameters,
        licence=licence,
        source=Source(kind=origin.kind, reference=origin.reference, layout=converted.layout, files=tuple(sources.values())),
        files=files,
        conversions=tuple(
            ConvertedFile(
                output=conversion.output,
                output_sha256=hashes[conversion.output],
                inputs={name: sources[name].sha256 for name in conversion.inputs},
            )
            for conversion in converted.conversions
        ),
        notes=converted.notes,
        installed_at=datetime.now(UTC),
    )

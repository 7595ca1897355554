"""The models on this machine, by content.

    blobs/sha256/<hash>             every file once, read-only
    manifests/<name>/<version>.json what a version is made of; while this file is there, it is installed
    views/<name>/<version>/…        links to the blobs under the files' own names: the folder that models are loaded from
    staging/<name>/                 of an installation that runs, or of a download that can be taken up again
    locks/                          one for each model, and one for changes of the store

Reading takes no lock and writes nothing, so the folder may be mounted read-only.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from models.importing import ModelKind
from server.model_store.errors import ModelCorrupt, ModelMissing, ModelStoreError, disk_errors, gigabytes
from server.model_store.manifest import Manifest, StoredFile, check_name, split_reference

_STORE_LOCK = ".store"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One version of a model that is whole as far as names and sizes say."""

    manifest: Manifest
    folder: Path
    """Where it is loaded from; its files keep their names."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def family(self) -> str:
        return self.manifest.family

    @property
    def kind(self) -> ModelKind:
        return self.manifest.kind

    @property
    def languages(self) -> tuple[str, ...]:
        return self.manifest.languages


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelStore:
    """The models under ``folder``, which need not exist. Safe to use from several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()

    def find(self, reference: str) -> InstalledModel:
        """A model by ``name`` (the version that was installed last) or ``name@version``.

        Raises ModelMissing, which says what is installed and how to get this one, and ModelCorrupt for a file that is gone
        or cut off; contents are hashed by `verify` alone.
        """
        model = self.any_state(reference)
        for file in model.manifest.files:
            self._check_size(model, file)
        return model

    def any_state(self, reference: str) -> InstalledModel:
        """As `find`, whatever became of its files."""
        name, version = split_reference(reference)
        versions = [manifest for manifest in self._manifests(name) if manifest.version.startswith(version or "")]
        if not versions:
            others = ", ".join(f"{m.name}@{m.version}" for m in self.list()) or "none"
            raise ModelMissing(
                f"model {reference!r} is not installed in {self.folder} (installed: {others}); install it with "
                f"`descant models pull {name}` or `descant models import PATH --name {name}`"
            )
        return self._installed(max(versions, key=lambda manifest: manifest.installed_at))

    def list(self) -> tuple[InstalledModel, ...]:
        """Every version of every model, by name, the newest first. Raises ModelCorrupt for a manifest that is damaged."""
        root = self.folder / "manifests"
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        found = [sorted(self._manifests(name), key=lambda m: m.installed_at, reverse=True) for name in names]
        return tuple(self._installed(manifest) for versions in found for manifest in versions)

    def verify(self, model: InstalledModel) -> tuple[str, ...]:
        """What is wrong with a model after every byte of it was read and hashed; empty if nothing is."""
        faults = []
        for file in model.manifest.files:
            try:
                self._check_size(model, file)
                found = file_sha256(self._blob(file.sha256))
            except (ModelCorrupt, OSError) as error:
                faults.append(str(error))
                continue
            if found != file.sha256:
                faults.append(f"{model.name}: {file.path} has the sha256 {found} instead of {file.sha256}")
        return tuple(faults)

    @contextmanager
    def lock(self, name: str, waiting: Callable[[], None]) -> Iterator[Path]:
        """Hold the lock of a model, for any change to it; gives the folder to prepare files in, as it was left.

        ``waiting`` is called if another process holds it.
        """
        check_name(name)
        with disk_errors(self.folder), self._lock(name, waiting):
            staging = self.folder / "staging" / name
            staging.mkdir(parents=True, exist_ok=True)
            try:
                yield staging
            finally:
                with suppress(OSError):
                    staging.rmdir()  # unless something was left there on purpose

    def free_bytes(self) -> int:
        """On the disk of the store."""
        existing = next(folder for folder in (self.folder, *self.folder.absolute().parents) if folder.exists())
        return shutil.disk_usage(existing).free

    def require_space(self, size_bytes: int, what: str) -> None:
        """Raises ModelStoreError if the disk has less room."""
        free = self.free_bytes()
        if free < size_bytes:
            raise ModelStoreError(
                f"{what} needs {gigabytes(size_bytes)} in {self.folder}, where {gigabytes(free)} are free. Free some space "
                "(`descant models rm --unused`) or choose another folder with DESCANT_MODELS_DIR"
            )

    def commit(self, manifest: Manifest, prepared: Path) -> InstalledModel:
        """Install what lies in ``prepared`` under the names of the manifest; the caller holds the model's `lock`.

        Whole or not at all: the manifest is written last, and what came in without one is removed again.
        """
        with self._lock(_STORE_LOCK, lambda: None):
            try:
                for file in manifest.files:
                    self._store(prepared / file.path, file.sha256)
                model = self._installed(manifest)
                self._link(model)
                path = self._manifest_path(manifest)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(path, manifest.model_dump_json(indent=1))
            except BaseException:
                self._sweep()
                raise
            return model

    def remove(self, model: InstalledModel) -> int:
        """Uninstall one version. Returns the bytes that became free: files that other models share stay."""
        with self.lock(model.name, lambda: None), self._lock(_STORE_LOCK, lambda: None):
            self._manifest_path(model.manifest).unlink(missing_ok=True)
            return self._sweep()

    def remove_unused(self) -> int:
        """Remove what no installed model needs, and downloads that were not finished. Returns the bytes that became free."""
        with disk_errors(self.folder), self._lock(_STORE_LOCK, lambda: None):
            freed = self._sweep()
            staging = self.folder / "staging"
            for folder in sorted(staging.iterdir()) if staging.is_dir() else []:
                with suppress(BlockingIOError), self._lock(folder.name, None):
                    freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                    shutil.rmtree(folder)
            return freed

    def _manifests(self, name: str) -> tuple[Manifest, ...]:
        folder = self.folder / "manifests" / name
        return tuple(self._read(path) for path in sorted(folder.glob("*.json")))

    def _read(self, path: Path) -> Manifest:
        try:
            manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[-1 if isinstance(error, OSError) else 0]
            raise ModelCorrupt(f"{path} is damaged ({first}); remove it and install the model again") from None
        if (manifest.name, f"{manifest.version}.json") != (path.parent.name, path.name):
            raise ModelCorrupt(f"{path} is the manifest of {manifest.name}@{manifest.version}; it was moved")
        return manifest

    def _installed(self, manifest: Manifest) -> InstalledModel:
        return InstalledModel(manifest, self.folder / "views" / manifest.name / manifest.version)

    def _manifest_path(self, manifest: Manifest) -> Path:
        return self.folder / "manifests" / manifest.name / f"{manifest.version}.json"

    def _blob(self, sha256: str) -> Path:
        return self.folder / "blobs" / "sha256" / sha256

    def _check_size(self, model: InstalledModel, file: StoredFile) -> None:
        for path in (self._blob(file.sha256), model.folder / file.path):
            size = path.stat().st_size if path.is_file() else None
            if size != file.bytes:
                what = "is gone" if size is None else f"has {size} bytes instead of {file.bytes}"
                raise ModelCorrupt(f"{model.name}@{model.version}: {path} {what}; install the model again")

    def _store(self, path: Path, sha256: str) -> None:
        blob = self._blob(sha256)
        blob.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(blob)  # also where it is there already: the new one is known to be right

    def _link(self, model: InstalledModel) -> None:
        for file in model.manifest.files:
            link = model.folder / file.path
            link.parent.mkdir(parents=True, exist_ok=True)
            target = os.path.relpath(self._blob(file.sha256), link.parent)
            temporary = link.with_name(f".{link.name}.new")
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(target)
            temporary.replace(link)

    def _sweep(self) -> int:
        """Remove blobs and views that belong to no manifest. Returns the bytes freed; the store's lock is held."""
        installed = self.list()
        needed = {file.sha256 for model in installed for file in model.manifest.files}
        freed = 0
        blobs = self.folder / "blobs" / "sha256"
        for blob in blobs.iterdir() if blobs.is_dir() else []:
            if blob.name not in needed:
                freed += blob.stat().st_size
                blob.unlink()
        kept = {model.folder for model in installed}
        for view in list((self.folder / "views").glob("*/*")):
            if view not in kept:
                shutil.rmtree(view)
        for root in ("views", "manifests"):
            for folder in list((self.folder / root).glob("*")):
                with suppress(OSError):
                    folder.rmdir()  # only if it is empty
        return freed

    @contextmanager
    def _lock(self, name: str, waiting: Callable[[], None] | None) -> Iterator[None]:
        """``waiting`` None: raises BlockingIOError instead of waiting."""
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(locks / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is None:
                    raise
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

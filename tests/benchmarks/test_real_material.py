"""Material of pinned packages: joined, checked, whole or not there, and made once by however many processes."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.real import material as making
from benchmarks.real.material import CACHE_VARIABLE, MaterialError, made_once, material, package_file
from benchmarks.real.packages import MATERIALS, Material, Package, Part

JOINED = b"first half, second half"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def packed(cache: Path, name: str, **members: bytes) -> Package:
    """A wheel that lies in the cache already."""
    path = cache / "packages" / f"{name}.whl"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(f"inside/{member}", content)
    return Package("pypi", name, "1.0", path.name, hashlib.sha256(path.read_bytes()).hexdigest(), "MIT")


def model(cache: Path, joined: bytes = JOINED) -> Material:
    one, two = packed(cache, "one", a=joined[:10]), packed(cache, "two", b=joined[10:], c=b"more", d=b"and more")
    parts = (Part(one, "inside/a", "model.bin"), Part(two, "inside/b", "model.bin"), Part(two, "inside/", "rest"))
    return Material("model", parts, (("model.bin", hashlib.sha256(JOINED).hexdigest()),))


def test_parts_are_joined_in_order_and_folders_taken_whole(cache: Path) -> None:
    folder = material(model(cache))
    assert folder == cache / "model"
    assert (folder / "model.bin").read_bytes() == JOINED
    assert sorted(path.name for path in (folder / "rest").iterdir()) == ["b", "c", "d"]


def test_a_joined_file_of_another_hash_leaves_nothing_behind(cache: Path) -> None:
    with pytest.raises(MaterialError, match=r"model: model\.bin has sha256 .* not the pinned"):
        material(model(cache, joined=JOINED.upper()))
    assert {path.name for path in cache.iterdir()} == {"packages", "locks"}


def test_a_package_without_the_file_is_named(cache: Path) -> None:
    wanted = Material("model", (Part(packed(cache, "one", a=b""), "inside/b", "b"),))
    with pytest.raises(MaterialError, match=r"one\.whl holds no inside/b"):
        material(wanted)


def test_what_was_made_is_not_made_again(cache: Path) -> None:
    made: list[Path] = []
    assert made_once(cache / "folder", made.append) == made_once(cache / "folder", made.append) == cache / "folder"
    assert len(made) == 1


def test_an_archive_of_another_hash_is_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = packed(cache, "one", a=b"right")
    path = cache / "packages" / package.file
    right = path.read_bytes()
    (cache / "registry").write_bytes(right)
    path.write_bytes(right[:-1])
    monkeypatch.setattr(making, "_fetch_command", lambda p, folder: ["cp", str(cache / "registry"), str(folder / p.file)])
    assert package_file(package).read_bytes() == right


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["false"], "one 1.0: false failed"),
        (["no-such-client", "pack"], "one 1.0 is fetched with no-such-client, which is not installed"),
        (["true"], "one 1.0: the registry gave no file called one.whl"),
    ],
)
def test_what_cannot_be_fetched_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], message: str
) -> None:
    monkeypatch.setattr(making, "_fetch_command", lambda *_: command)
    with pytest.raises(MaterialError, match=message):
        package_file(Package("pypi", "one", "1.0", "one.whl", "0" * 64, "MIT"))


def test_two_processes_make_one_folder(cache: Path, repository: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from benchmarks.real.material import made_once\n"
        "def make(folder): (folder / 'by').write_text(sys.argv[1]); time.sleep(0.5); print('made')\n"
        "made_once(Path(sys.argv[2]) / 'folder', make)"
    )
    command = [sys.executable, "-c", program]
    running = [
        subprocess.Popen([*command, name, str(cache)], cwd=repository, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(said) == [[], ["made"]]


def test_every_package_is_pinned() -> None:
    packages = {part.package for wanted in MATERIALS.values() for part in wanted.parts}
    assert len(packages) == 11
    for package in packages:
        assert package.version in package.file
        assert len(package.sha256) == 64

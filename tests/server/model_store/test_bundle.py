"""Carrying a model over in one file, and what happens to a file that somebody changed on the way."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from server.model_store.bundle import RECORD
from server.model_store.store import ModelStore
from tests.server.model_store.checkpoints import bytes_under
from tests.server.model_store.commands import descant, nothing_installed, refused

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def bundle(store: ModelStore, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in a bundle; the command line goes on with another, empty store."""
    (source / "LICENSE").write_text("Do as you like.")
    assert descant("import", source, "--name", "tiny", "--licence", "MIT") == 0
    assert descant("bundle", "export", "tiny", "-o", tmp_path / "tiny.tar") == 0
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(tmp_path / "elsewhere"))
    return tmp_path / "tiny.tar"


@pytest.fixture
def elsewhere(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "elsewhere")


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar.getmembers()]


def write(path: Path, content: Members) -> Path:
    with tarfile.open(path, "w") as tar:
        for member, data in content:
            member.size = len(data) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(data))
    return path


def test_a_model_arrives_as_it_left(
    store: ModelStore, elsewhere: ModelStore, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert descant("bundle", "import", bundle) == 0
    assert "licence MIT" in capsys.readouterr().err
    before, after = store.find("tiny"), elsewhere.find("tiny")
    assert after.manifest == before.manifest.model_copy(update={"installed_at": after.manifest.installed_at})
    assert not elsewhere.verify(after)
    assert (after.folder / "LICENSE").read_text() == "Do as you like."
    assert bytes_under(elsewhere.folder / "blobs") == bytes_under(store.folder / "blobs")
    assert descant("bundle", "export", "tiny", "-o", tmp_path / "again.tar") == 0
    assert [data for _, data in members(tmp_path / "again.tar")][1:] == [data for _, data in members(bundle)][1:]


def test_a_bundle_is_known_by_its_hash(
    elsewhere: ModelStore, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(tmp_path / "models"))
    assert descant("bundle", "export", "tiny", "-o", tmp_path / "twin.tar", "--json") == 0
    sha256 = json.loads(capsys.readouterr().out)["sha256"]
    assert (tmp_path / "twin.tar").read_bytes() == bundle.read_bytes()
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(elsewhere.folder))
    assert "instead of 00" in refused(capsys, "bundle", "import", bundle, "--sha256", "00", code=3)
    assert nothing_installed(elsewhere)
    assert descant("bundle", "import", bundle, "--sha256", sha256) == 0


def test_an_existing_file_is_not_overwritten_and_a_damaged_model_is_not_exported(
    store: ModelStore, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(store.folder))
    assert "exists already" in refused(capsys, "bundle", "export", "tiny", "-o", bundle)
    weights = (store.find("tiny").folder / "model.safetensors").resolve()
    content = bytearray(weights.read_bytes())
    content[500] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    assert "has the sha256" in refused(capsys, "bundle", "export", "tiny", "-o", tmp_path / "new.tar", code=3)
    assert not (tmp_path / "new.tar").exists()
    assert "absent.tar does not exist" in refused(capsys, "bundle", "import", tmp_path / "absent.tar", code=1)


def flip(content: Members) -> Members:
    member, data = content[-1]
    return [*content[:-1], (member, data[:-1] + bytes([data[-1] ^ 1]))]


def stranger(content: Members) -> Members:
    return [*content, (tarfile.TarInfo("run.sh"), b"rm -rf /")]


def climber(content: Members) -> Members:
    return [content[0], (tarfile.TarInfo("../../outside"), b"x"), *content[1:]]


def link(content: Members) -> Members:
    """One of the members becomes a link, under its own name."""
    member = tarfile.TarInfo(content[-1][0].name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return [*content[:-1], (member, b"")]


def twice(content: Members) -> Members:
    return [*content, content[-1]]


def lacking(content: Members) -> Members:
    return content[:-1]


def last_first(content: Members) -> Members:
    return [*content[1:], content[0]]


def record(change: Callable[[str], str]) -> Callable[[Members], Members]:
    def changed(content: Members) -> Members:
        assert content[0][0].name == RECORD
        return [(content[0][0], change(content[0][1].decode()).encode()), *content[1:]]

    return changed


@pytest.mark.parametrize(
    ("tamper", "message", "code"),
    [
        (flip, "has the sha256", 3),
        (stranger, "'run.sh', which its manifest does not", 3),
        (climber, "'../../outside', which its manifest does not", 3),
        (link, "which its manifest does not, or not like this", 3),
        (twice, "which its manifest does not", 3),
        (lacking, "lacks tokenizer.json", 3),
        (last_first, "does not come first", 3),
        (record(lambda text: text.replace('"config.json"', '"../../config.json"')), "is damaged", 3),
        (record(lambda text: text.replace('"config.json"', '"/etc/config.json"')), "is damaged", 3),
        (record(lambda text: text.replace('"config.json"', '"config.py"')), "is damaged", 3),
        (record(lambda text: text.replace('"name": "tiny"', '"name": "../tiny"')), "is damaged", 3),
        (record(lambda text: text.replace('"family": "whisper"', '"family": "parrot"')), "holds a parrot", 2),
        (record(lambda text: text.replace('"format": 1,\n "manifest"', '"format": 2,\n "manifest"')), "another format", 3),
        (record(lambda text: "[]"), "another format", 3),
        (record(lambda text: text[:-40]), "is damaged", 3),
    ],
)
def test_a_changed_bundle_is_refused_whole(
    elsewhere: ModelStore, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    tamper: Callable[[Members], Members], message: str, code: int,
) -> None:  # fmt: skip
    changed = write(tmp_path / "changed.tar", tamper(members(bundle)))
    assert message in refused(capsys, "bundle", "import", changed, code=code)
    assert nothing_installed(elsewhere)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.95])
def test_a_bundle_that_is_cut_off_is_refused(
    elsewhere: ModelStore, bundle: Path, capsys: pytest.CaptureFixture[str], keep: float
) -> None:
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: int(len(whole) * keep)])
    assert str(bundle) in refused(capsys, "bundle", "import", bundle, code=3)
    assert nothing_installed(elsewhere)


def test_a_bundle_whose_content_fits_its_hashes_but_is_no_model_is_refused(
    elsewhere: ModelStore, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody made it on purpose: every hash is right."""
    from server.model_store.manifest import Manifest, content_digest

    content = members(bundle)
    manifest = json.loads(content[0][1])["manifest"]
    manifest["files"] = [file for file in manifest["files"] if file["path"] != "tokenizer.json"]
    manifest["conversions"] = []
    files = Manifest.model_construct(**manifest).files
    dropped = next(file for file in json.loads(content[0][1])["manifest"]["files"] if file["path"] == "tokenizer.json")
    from server.model_store.manifest import StoredFile

    manifest["version"] = content_digest(StoredFile(**file) for file in files)[:12]  # type: ignore[arg-type]
    record_ = json.dumps({"format": 1, "manifest": manifest}).encode()
    kept = [pair for pair in content[1:] if not pair[0].name.endswith(dropped["sha256"])]
    changed = write(tmp_path / "changed.tar", [(content[0][0], record_), *kept])
    assert "tokenizer.json" in refused(capsys, "bundle", "import", changed)
    assert nothing_installed(elsewhere)

"""Importing, finding, verifying and removing, by the command line and by what the server asks."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import pytest

import models.weights
from server.model_store import install as install_module
from server.model_store.errors import ModelCorrupt, ModelMissing, ModelStoreError
from server.model_store.manifest import Licence
from server.model_store.store import ModelStore
from tests.server.model_store.checkpoints import bytes_under, write_source
from tests.server.model_store.commands import descant, nothing_installed, refused


def test_a_folder_is_imported_listed_shown_verified_and_removed(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "LICENSE").write_text("Do as you like.")
    (source / "run_me.py").write_text("print('no')")
    assert descant("import", source, "--name", "tiny", "--licence", "MIT", "--json") == 0
    installed = json.loads(capsys.readouterr().out)
    assert (installed["name"], installed["family"], installed["kind"]) == ("tiny", "whisper", "recognition")
    assert installed["licence"]["id"] == "MIT"
    assert {file["path"] for file in installed["files"]} == {
        "LICENSE", "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json",
    }  # fmt: skip
    assert installed["memory_bytes"]["float16"] == 2 * installed["parameters"]
    model = store.find("tiny")
    assert model == store.find(f"tiny@{installed['version']}") == store.find(f"tiny@{installed['version'][:4]}")
    assert (model.folder / "LICENSE").read_text() == "Do as you like."
    assert (model.folder / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    assert not any(path.stat().st_mode & (stat.S_IXUSR | stat.S_IWUSR) for path in model.folder.iterdir())
    assert descant("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["answers"]) for row in listed["models"]] == [("tiny", [])]
    assert {row["name"] for row in listed["packaged"]} == {"conv_tts", "whisper-descant"}
    assert descant("show", "tiny") == 0
    assert "model.safetensors" in capsys.readouterr().out
    assert descant("verify") == 0
    assert descant("rm", "tiny", "--json") == 0
    assert nothing_installed(store)
    assert "not installed" in refused(capsys, "show", "tiny", code=1)


def test_the_list_says_which_ids_are_answered_by_what(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert descant("import", source, "--name", "tiny") == 0
    monkeypatch.setenv("DESCANT_RECOGNITION_MODELS", '["tiny"]')
    capsys.readouterr()
    assert descant("list") == 0
    rows = {line.split()[0].partition("@")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "answers sonic, " in rows["conv_tts"]
    assert rows["whisper-descant"].endswith("not loaded")
    assert "answers ink-whisper, " in rows["tiny"]
    monkeypatch.setenv("DESCANT_RECOGNITION_MODELS", '["absent"]')
    assert descant("list") == 0
    shown = capsys.readouterr()
    assert "'absent' is installed" in shown.err
    assert "tiny@" in shown.out


def test_an_installed_model_is_loaded_by_its_family(store: ModelStore, source: Path) -> None:
    from models.registry import load_recognizer

    assert descant("import", source, "--name", "tiny") == 0
    model = store.find("tiny")
    assert load_recognizer(model.family, "cpu", 1, model.folder).info.family == "whisper"


def test_two_versions_side_by_side_share_their_files(store: ModelStore, source: Path, tmp_path: Path) -> None:
    other = write_source(tmp_path / "other", seed=1)
    assert descant("import", source, "--name", "tiny") == 0
    first = store.find("tiny")
    assert descant("import", other, "--name", "tiny") == 0
    second = store.find("tiny")
    assert first.version != second.version
    assert store.find(f"tiny@{first.version}") == first
    assert len([name for name in bytes_under(store.folder) if name.startswith("blobs/")]) == 6  # weights twice, the rest once
    assert descant("rm", f"tiny@{second.version}") == 0
    assert store.find("tiny") == first
    assert not store.verify(first)
    assert descant("import", other, "--name", "tiny") == 0
    assert descant("import", source, "--name", "tiny") == 0  # back again: what was installed last answers to the name
    assert store.find("tiny").version == first.version


def test_a_missing_model_says_what_is_there_and_how_to_get_it(store: ModelStore, source: Path) -> None:
    with pytest.raises(ModelMissing, match=r"installed: none.*descant models pull base"):
        store.find("base")
    assert descant("import", source, "--name", "tiny") == 0
    with pytest.raises(ModelMissing, match=r"installed: tiny@[0-9a-f]{12}"):
        store.find("base")
    with pytest.raises(ModelMissing, match=r"tiny@0000"):
        store.find("tiny@0000")
    for reference in ("../tiny", "tiny/..", "Tiny", "tiny@", "tiny@../x", ""):
        with pytest.raises(ModelMissing, match="descant models list"):
            store.find(reference)


def test_a_flipped_byte_is_found_by_verify_and_mended_by_importing_again(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert descant("import", source, "--name", "tiny") == 0
    weights = (store.find("tiny").folder / "model.safetensors").resolve()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(content)
    store.find("tiny")  # sizes alone do not tell
    assert descant("verify", "tiny") == 3
    shown = capsys.readouterr().out
    assert "model.safetensors has the sha256" in shown
    assert weights.name in shown
    assert descant("import", source, "--name", "tiny") == 0
    assert descant("verify", "tiny") == 0


def test_files_that_are_gone_or_cut_off_are_found_before_loading(store: ModelStore, source: Path) -> None:
    assert descant("import", source, "--name", "tiny") == 0
    model = store.find("tiny")
    weights = (model.folder / "model.safetensors").resolve()
    weights.chmod(0o644)
    os.truncate(weights, 100)
    with pytest.raises(ModelCorrupt, match=r"has 100 bytes instead of \d+; install the model again"):
        store.find("tiny")
    assert store.verify(model)
    weights.rename(weights.with_name("elsewhere"))
    with pytest.raises(ModelCorrupt, match="is gone"):
        store.find("tiny")
    assert descant("rm", "tiny") == 0  # whatever became of it
    assert nothing_installed(store)


def test_a_damaged_or_moved_manifest_is_named(store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert descant("import", source, "--name", "tiny") == 0
    manifest = next(store.folder.glob("manifests/tiny/*.json"))
    whole = manifest.read_text()
    shutil.copytree(manifest.parent, manifest.parent.with_name("other"))
    assert "it was moved" in refused(capsys, "list", code=3)
    shutil.rmtree(manifest.parent.with_name("other"))
    for text in ("{", whole.replace('"config.json"', '"../../x.json"'), whole.replace("tokenizer.json", "run.py")):
        manifest.write_text(text)
        assert str(manifest) in refused(capsys, "list", code=3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no model that can be used. Found: nothing. Taken: Whisper as"),
        ({"readme.txt": "x", "model.onnx": "x"}, "Found: model.onnx, readme.txt"),
        ({"config.json": '{"model_type": "bert"}', "model.safetensors": "x"}, "model_type 'bert'"),
        ({"config.json": "[", "model.safetensors": "x"}, "config.json is no JSON file"),
        ({"config.json": "[]"}, "config.json is no JSON object"),
        ({"config.json": '{"model_type": "whisper"}'}, "holds no model that can be used"),
        ({"config.json": '{"model_type": "whisper"}', "model.safetensors": "x"}, "model.safetensors"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_in_one_line(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], message: str
) -> None:
    folder = tmp_path / "something"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content)
    assert message in refused(capsys, "import", folder, "--name", "tiny")
    assert nothing_installed(store)


def test_bad_names_and_paths_are_refused_before_anything_is_read(
    store: ModelStore, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("../x", "a/b", "", "Base", "-x", ".x", "x" * 65):
        assert "is no name for a model" in refused(capsys, "import", source, f"--name={name}")
    for name in ("whisper-descant", "ink-whisper", "sonic-3", "whisper-1"):
        assert "give another" in refused(capsys, "import", source, f"--name={name}")
    assert "does not exist" in refused(capsys, "import", tmp_path / "absent", "--name", "tiny")
    assert "given twice" in refused(capsys, "import", source, source, "--name", "tiny")
    assert not store.folder.exists()


def test_a_field_that_is_missing_is_named_in_the_file_that_was_given(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = source / "preprocessor_config.json"
    content = json.loads(features.read_text())
    del content["hop_length"]
    features.write_text(json.dumps(content))
    assert f"{features}: missing or not an integer: hop_length" in refused(capsys, "import", source, "--name", "tiny")
    assert nothing_installed(store)


def test_a_truncated_source_leaves_nothing(store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = source / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 5)
    assert "model.safetensors" in refused(capsys, "import", source, "--name", "tiny")
    assert nothing_installed(store)


def test_too_little_space_is_said_before_anything_is_written(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 9, 1))
    assert "needs 2 MB" in refused(capsys, "import", source, "--name", "tiny")
    assert nothing_installed(store)


@pytest.mark.parametrize("where", ["conversion", "store"])
def test_a_disk_that_fills_up_leaves_nothing(
    store: ModelStore, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "conversion":
        monkeypatch.setattr(shutil, "copyfile", full)
    else:
        monkeypatch.setattr(ModelStore, "_link", full)
    assert "is full; nothing was installed" in refused(capsys, "import", source, "--name", "tiny")
    assert nothing_installed(store)


def test_weights_that_do_not_fit_on_the_disk_are_no_damaged_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from safetensors import SafetensorError

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(models.weights, "save_file", full)
    with pytest.raises(OSError, match="No space left") as raised:
        models.weights.save_weights(tmp_path / "x.safetensors", {})
    assert raised.value.errno == errno.ENOSPC


def test_a_read_only_store_is_read(store: ModelStore, source: Path) -> None:
    assert descant("import", source, "--name", "tiny") == 0
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    store.verify(store.find("tiny"))
    store.list()
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == before


def test_a_store_that_cannot_be_written_says_so(store: ModelStore, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(store.folder))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(ModelStoreError, match="cannot be written: Read-only file system"), store.lock("tiny", lambda: None):
        pass


def test_an_import_that_was_killed_leaves_a_store_that_works(store: ModelStore, source: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom server.model_store.store import ModelStore\n"
        "ModelStore._link = lambda self, model: os.kill(os.getpid(), 9)\n"
        "from server.cli.app import app\n"
        f"sys.argv = ['descant', 'models', 'import', {str(source)!r}, '--name', 'tiny']\napp()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert store.list() == ()
    assert [name for name in bytes_under(store.folder) if name.startswith("blobs/")]
    assert store.remove_unused() > 0
    assert nothing_installed(store)
    assert descant("import", source, "--name", "tiny") == 0
    assert not store.verify(store.find("tiny"))


def test_two_imports_at_once_in_two_processes(store: ModelStore, source: Path) -> None:
    command: Sequence[str] = [sys.executable, "-m", "server", "models", "import", str(source), "--name", "tiny"]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, problems = process.communicate(timeout=100)
        assert process.returncode == 0, problems
    assert len(store.list()) == 1
    assert not store.verify(store.find("tiny"))


def test_nothing_of_torch_is_imported_until_a_checkpoint_is_converted(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    program = (
        "import sys\nfrom server.cli.app import app\n"
        "for arguments in (['list'], ['show', 'x'], ['rm', '--unused'], ['import', 'empty', '--name', 'x']):\n"
        "    sys.argv = ['descant', 'models', *arguments]\n"
        "    try:\n        app()\n    except SystemExit:\n        pass\n"
        "print('torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "False"


def test_installing_needs_a_file_that_was_listed(store: ModelStore, source: Path) -> None:
    recognised = install_module.recognise([path.name for path in source.iterdir()], {"model_type": "whisper"}, "here")
    files = {path.name: path for path in source.iterdir() if path.name != "tokenizer.json"}
    origin = install_module.Origin("import", "here", {})
    with (
        store.lock("tiny", lambda: None) as staging,
        pytest.raises(ModelStoreError, match=r"here lacks tokenizer\.json"),
    ):
        install_module.install(store, staging, "tiny", recognised, files, origin, Licence(id="MIT"))

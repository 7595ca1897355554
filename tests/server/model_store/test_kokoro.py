"""A voice through the store: imported, pulled by commit, carried over, and refused by name."""

import json
from pathlib import Path

import pytest

from models.registry import load_synthesizer
from server.model_store.store import ModelStore
from tests.models.kokoro_checkpoints import tiny_source
from tests.server.model_store.commands import descant, nothing_installed, refused
from tests.server.model_store.loopback_hub import COMMIT, serving

FILES = {"config.json", "model.safetensors", "voices.safetensors"}


@pytest.fixture
def voice_source(tmp_path: Path) -> Path:
    tiny_source(tmp_path / "kokoro")
    return tmp_path / "kokoro"


def test_a_voice_is_imported_verified_and_carried_over(
    store: ModelStore, voice_source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert descant("import", voice_source, "--name", "kokoro", "--licence", "Apache-2.0", "--json") == 0
    installed = json.loads(capsys.readouterr().out)
    assert (installed["family"], installed["kind"], installed["sample_rate_hz"]) == ("kokoro", "speech", 24_000)
    assert installed["languages"] == ["en", "fr"]
    assert {file["path"] for file in installed["files"]} == FILES
    inputs = {conversion["output"]: set(conversion["inputs"]) for conversion in installed["conversions"]}
    assert inputs["model.safetensors"] == {"kokoro-v1_0.pth"}
    assert "voices/af_heart.pt" in inputs["voices.safetensors"]
    assert descant("verify") == 0
    bundle = tmp_path / "kokoro.tar"
    assert descant("bundle", "export", "kokoro", "-o", bundle) == 0
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(tmp_path / "elsewhere"))
    assert descant("bundle", "import", bundle) == 0
    folder = ModelStore(tmp_path / "elsewhere").find("kokoro").folder
    assert load_synthesizer("kokoro", "cpu", 1, folder=folder).info.voices[0].id == "af_heart"


def test_a_voice_is_pulled_by_commit(
    store: ModelStore, voice_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    (voice_source / "samples").mkdir()
    (voice_source / "samples" / "hello.wav").write_bytes(b"not wanted")
    files = {path.relative_to(voice_source).as_posix(): path.read_bytes() for path in voice_source.rglob("*") if path.is_file()}
    with serving(files) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert descant("pull", f"hf://team/tiny@{COMMIT}", "--name", "kokoro", "--accept-licence", "mit") == 0
        asked = {request.path.partition(f"{COMMIT}/")[2] for request in hub.requests}
    assert "voices/ff_siwis.pt" in asked
    assert "samples/hello.wav" not in asked
    model = store.find("kokoro")
    assert (model.family, model.kind) == ("kokoro", "speech")
    assert {path.name for path in model.folder.iterdir()} >= FILES


def test_what_is_no_voice_leaves_nothing(store: ModelStore, voice_source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (voice_source / "voices").iterdir():
        path.unlink()
    message = refused(capsys, "import", voice_source, "--name", "kokoro")
    assert "no voices: give voices/*.pt, voices/*.bin or voices-v1.0.bin beside them" in message
    (voice_source / "kokoro-v1_0.pth").unlink()
    assert "Kokoro as its makers publish it" in refused(capsys, "import", voice_source, "--name", "kokoro")
    assert nothing_installed(store)

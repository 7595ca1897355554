"""Which models the settings ask for: names are known before anything slow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app
from server.config import ConfigError, Settings, load_settings
from server.errors import ModelNotFound
from server.process.model_choice import choose_models, model_catalog
from tests.server.model_store.checkpoints import write_source


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESCANT_DATA_DIR", str(tmp_path))


def test_the_packaged_models_are_the_default() -> None:
    choice = choose_models(Settings())
    assert [(model.name, model.kind, model.family) for model in choice.all] == [
        ("conv_tts", "speech", "conv_tts"),
        ("whisper-descant", "recognition", "whisper"),
    ]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"speech_models": ("conv_tss",)},
            r"\(--speech-model\): no model 'conv_tss' .*: conv_tts\. .* pull NAME",
        ),
        ({"recognition_models": ("whisper",)}, r"no model 'whisper' is installed; installed: whisper-descant\. .* import PATH"),
        ({"recognition_models": ("../whisper",)}, r"no model '\.\./whisper' is installed"),
        ({"speech_models": ("whisper-descant",)}, r"'whisper-descant' recognizes speech; .* \(--recognition-model\)"),
        ({"recognition_models": ("conv_tts",)}, r"'conv_tts' speaks; it belongs to speech_models"),
        ({"speech_models": ("conv_tts", "conv_tts")}, r"'conv_tts' is named twice"),
        ({"model_devices": {"kokoro": "cpu"}}, r"model_devices: 'kokoro' is not loaded; loaded: conv_tts, whisper-descant"),
        ({"model_ids": {"mine": "kokoro"}}, r"model_ids: 'mine' names the model 'kokoro', which is not loaded"),
        ({"model_ids": {"conv_tts": "whisper-descant"}}, r"model_ids: 'conv_tts' is itself the name of a loaded model"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_the_way_out(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        choose_models(load_settings(flags=settings))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"speech_models": ()}, "speech_models: .* at least 1"),
        ({"model_devices": {"conv_tts": "gpu"}}, "model_devices.conv_tts: .* pattern"),
    ],
)
def test_settings_of_the_wrong_form(given: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_settings(flags=given)


def test_names_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("a, b", '["a", "b"]'):
        monkeypatch.setenv("DESCANT_SPEECH_MODELS", text)
        assert load_settings().speech_models == ("a", "b")
    monkeypatch.setenv("DESCANT_SPEECH_MODELS", '["a"')
    with pytest.raises(ConfigError, match="speech_models"):
        load_settings()
    monkeypatch.delenv("DESCANT_SPEECH_MODELS")
    monkeypatch.setenv("DESCANT_MODEL_DEVICES", "conv_tts")
    with pytest.raises(ConfigError, match=r"model_devices.*JSON"):
        load_settings()


@pytest.mark.parametrize("name", ["speech_model", "recognition_model", "recognition_folder"])
def test_what_older_settings_are_called_now(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "descant.toml"
    file.write_text(f'{name} = "x"\n')
    instead = "descant models import PATH --name NAME" if name == "recognition_folder" else f"{name}s now"
    with pytest.raises(ConfigError, match=f"{name} is .*{instead}"):
        load_settings(file)
    monkeypatch.setenv(f"DESCANT_{name.upper()}", "x")
    with pytest.raises(ConfigError, match=f"environment: setting {name} is .*{instead}"):
        load_settings()


def test_a_mistyped_model_stops_the_start_before_torch_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom server.cli.app import app\n"
        "sys.argv = ['descant', 'serve', '--recognition-model', 'whisper-bsae']\n"
        "try:\n    app()\nexcept SystemExit as stop:\n    print(stop.code, 'torch' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert ended.stdout.strip() == "2 False"
    assert "no model 'whisper-bsae' is installed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_installed_model_is_found_by_its_name(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    assert CliRunner().invoke(app, ["models", "import", str(source), "--name", "tiny"], env=_at(tmp_path)).exit_code == 0
    settings = Settings(data_dir=tmp_path, recognition_models=("whisper-descant", "tiny"))
    first, second = choose_models(settings).recognition
    assert (first.folder, second.name, second.family) == (None, "tiny", "whisper")
    assert second.folder is not None
    catalog = model_catalog(settings, choose_models(settings))
    assert catalog.recognition_model("tiny") == "tiny"
    assert catalog.recognition_model("ink-whisper") == "whisper-descant"
    with pytest.raises(ConfigError, match=r"'tiny' is named twice"):
        choose_models(Settings(data_dir=tmp_path, recognition_models=("tiny", "tiny")))
    with pytest.raises(ConfigError, match=r"no model 'tinny' is installed; installed: whisper-descant, tiny\."):
        choose_models(Settings(data_dir=tmp_path, recognition_models=("tinny",)))
    not_loaded = model_catalog(Settings(data_dir=tmp_path), choose_models(Settings(data_dir=tmp_path)))
    with pytest.raises(
        ModelNotFound, match=r"^model: 'tiny' is installed, .* loaded: whisper-descant\. .* --recognition-model tiny$"
    ):
        not_loaded.recognition_model("tiny")
    with pytest.raises(ModelNotFound, match=r"^model_id: 'tiny' recognizes speech; accepted values: conv_tts, sonic, "):
        not_loaded.speech_model("tiny")
    (second.folder / "model.safetensors").resolve().unlink()
    with pytest.raises(ConfigError, match=r"recognition_models .*: tiny@.* is gone; install"):
        choose_models(settings)


def _at(data_dir: Path) -> dict[str, str]:
    return {"DESCANT_DATA_DIR": str(data_dir)}

"""The command line as a person or a script uses it."""

import json
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.hearing import Hypothesis, RecognitionWindow
from models.whisper.model import WhisperRecognizer
from server.bench.process import ServerProcess
from server.cli.app import app
from server.config import ConfigError
from server.errors import InvalidRequest
from server.metrics import Metrics
from tests.server.model_store.checkpoints import write_source

runner = CliRunner()


@pytest.fixture(autouse=True)
def _own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESCANT_DATA_DIR", str(tmp_path / "data"))


def test_keys_are_created_listed_and_revoked() -> None:
    created = json.loads(runner.invoke(app, ["keys", "create", "agents", "--json"]).stdout)
    (row,) = json.loads(runner.invoke(app, ["keys", "list", "--json"]).stdout)
    assert row["name"] == "agents"
    assert created["id"] == row["id"]
    assert created["key"] not in json.dumps(row)
    assert runner.invoke(app, ["keys", "revoke", row["id"]]).exit_code == 0
    assert json.loads(runner.invoke(app, ["keys", "list", "--json"]).stdout) == []
    assert runner.invoke(app, ["keys", "revoke", row["id"]]).exit_code == 2


def test_speak_writes_a_sized_wav_that_transcribe_reads(tmp_path: Path) -> None:
    target = tmp_path / "hello.wav"
    spoken = runner.invoke(app, ["speak", "The sun came out before lunch.", "-o", str(target), "--voice", "nora", "--json"])
    assert spoken.exit_code == 0, spoken.output
    with wave.open(str(target)) as file:
        assert file.getframerate() == 24000
        assert file.getnframes() == round(json.loads(spoken.stdout)["audio_s"] * 24000)
    heard = runner.invoke(app, ["transcribe", str(target), "--json"])
    assert heard.exit_code == 0, heard.output
    result = json.loads(heard.stdout)
    assert result["text"]
    assert all(0 <= start_s <= end_s <= result["duration_s"] + 0.5 for _, start_s, end_s in result["words"])


def test_transcribe_listens_for_keyterms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listened_for = []
    step = WhisperRecognizer.step

    def noting(self: WhisperRecognizer, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        listened_for.append({window.keyterms for window in windows})
        return step(self, windows)

    monkeypatch.setattr(WhisperRecognizer, "step", noting)
    target = tmp_path / "name.wav"
    assert runner.invoke(app, ["speak", "I spoke with Trevelyan.", "-o", str(target)]).exit_code == 0
    heard = runner.invoke(app, ["transcribe", str(target), "--keyterm", "Trevelyan", "--keyterm", "Saoirse Ronan"])
    assert heard.exit_code == 0, heard.output
    assert listened_for[-1] == {("Trevelyan", "Saoirse Ronan")}


def test_only_the_model_that_is_asked_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_source(tmp_path / "source")
    assert runner.invoke(app, ["models", "import", str(source), "--name", "tiny"]).exit_code == 0
    loaded: list[str] = []

    def noting(self: Metrics, model: str, **_: object) -> None:
        loaded.append(model)

    monkeypatch.setattr(Metrics, "set_model", noting)
    target = tmp_path / "hello.wav"
    assert runner.invoke(app, ["speak", "Hello there.", "-o", str(target), "--model", "conv_tts"]).exit_code == 0
    heard = runner.invoke(app, ["transcribe", str(target), "--model", "tiny", "--language", "en", "--json"])
    assert heard.exit_code == 0, heard.output
    assert loaded == ["conv_tts", "tiny"]
    refused = runner.invoke(app, ["transcribe", str(target), "--language", "fr"])
    assert isinstance(refused.exception, InvalidRequest)
    assert str(refused.exception) == "language: 'fr' is not supported; accepted values: en"
    told = json.loads(runner.invoke(app, ["transcribe", str(target), "--json"]).stdout)
    assert (told["text"][:11], told["language"]) == ("Hello there", "en")


def test_speed_shortens_what_is_said(tmp_path: Path) -> None:
    def seconds(*arguments: str) -> float:
        result = runner.invoke(app, ["speak", "One moment, please.", "-o", str(tmp_path / "x.wav"), "--json", *arguments])
        return float(json.loads(result.stdout)["audio_s"])

    assert seconds("--speed", "1.5") == pytest.approx(seconds() / 1.5, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["speak", "Hello", "-o", "x.flac"], "*.wav, *.mp3, *.raw"),
        (["speak", "  ", "-o", "x.wav"], "text: is empty"),
        (["speak", "Hello", "-o", "x.wav", "--voice", "nobody"], "accepted values"),
        (["speak", "Hello", "-o", "x.wav", "--language", "tlh"], "language: 'tlh' is not supported; accepted values: "),
        (["speak", "Hello", "-o", "x.wav", "--model", "kokkoro"], "no model 'kokkoro' is installed; installed: conv_tts"),
        (["speak", "Hello", "-o", "x.wav", "--model", "whisper-descant"], "'whisper-descant' recognizes speech; it belongs to"),
        (["serve", "--host", "0.0.0.0"], "descant keys create"),
        (["serve", "--device", "cuda:99"], "not available"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    message = result.output + str(result.exception or "")
    assert result.exit_code != 0
    assert says in message
    assert not list(tmp_path.glob("x.*"))


def test_voices_and_doctor_speak_json() -> None:
    voices = json.loads(runner.invoke(app, ["voices", "--json"]).stdout)
    assert len(voices) >= 3
    assert {voice["model"] for voice in voices} == {"conv_tts"}
    assert {"id", "name", "description", "locale", "gender"} <= voices[0].keys()
    report = json.loads(runner.invoke(app, ["doctor", "--json"]).stdout)
    assert {check["name"] for check in report["checks"]} >= {"python", "torch", "gpu", "models", "ports", "keys"}
    assert report["ok"] is True


def test_an_unknown_key_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "descant.toml"
    file.write_text("prot = 8080\n")
    result = runner.invoke(app, ["serve", "--config", str(file)])
    assert result.exit_code != 0
    assert "'port'" in str(result.exception or result.output)


def test_bench_measures_a_running_server(descant_server: ServerProcess) -> None:
    result = runner.invoke(app, ["bench", "tts", "--url", descant_server.url, "--smoke", "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["config"]["streams"] for row in rows] == [1, 2]
    assert all(row["errors"] == 0 and row["first_byte_ms"]["p50"] > 0 for row in rows)


def test_a_trained_voice_that_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "data" / "trained-voices" / "broken.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not weights")
    refused = runner.invoke(app, ["voices"])
    assert isinstance(refused.exception, ConfigError)
    assert "broken.safetensors is not a readable safetensors file" in str(refused.exception)

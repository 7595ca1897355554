"""`descant bench` against a real server, as a person or a script runs it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from server.bench.clients import ClientRun
from server.bench.process import ServerProcess
from server.bench.tts_client import Outcome
from server.bench.tts_load import SpeechLoad
from server.bench.tts_report import speech_figures
from server.cli.app import app

pytest.importorskip("matplotlib")
runner = CliRunner()


def bench(server: ServerProcess, *arguments: str) -> str:
    where = ["--url", server.url, "--metrics-url", server.metrics, "--server-pid", str(server.process.pid)]
    result = runner.invoke(app, ["bench", *arguments, *where, "--smoke"])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(server: ServerProcess, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bench(server, *arguments, "--json").splitlines()]


def test_speech_in_every_shape_of_load(descant_server: ServerProcess) -> None:
    for shape, loads in (((), [1, 2]), (("--rate", "8"), [8]), (("--paced", "2"), [2])):
        measured = rows(descant_server, "tts", *shape)
        assert [row["config"]["streams"] or row["config"]["requests_per_s"] for row in measured] == loads
        for row in measured:
            assert (row["errors"], row["first_error"]) == (0, None)
            assert 0 < row["first_byte_ms"]["p50"] <= row["first_playable_ms"]["max"]
            assert row["first_audible_ms"]["p50"] > 0
            assert {"text", "queue", "first_audio"} <= row["server_stages_ms"].keys()
            assert row["server_memory_mib"]["peak"] > 100


def test_speech_as_a_table_and_a_picture(descant_server: ServerProcess, tmp_path: Path) -> None:
    picture = tmp_path / "speech.svg"
    printed = bench(descant_server, "tts", "--picture", str(picture)).splitlines()
    assert [line.split()[0] for line in printed[:3]] == ["load", "1", "2"]
    assert printed[3] == f"Picture: {picture}"
    assert picture.read_bytes().startswith(b"<?xml")


def test_ears_hear_what_the_server_says(descant_server: ServerProcess) -> None:
    one, two = rows(descant_server, "stt", "--streams", "1,2,4")
    assert (one["config"]["streams"], two["config"]["streams"]) == (1, 2)
    for row in (one, two):
        assert (row["errors"], row["first_error"]) == (0, None)
        assert row["words_found"] > 0.3
        assert row["word_error_rate"] < 0.7
        assert row["partial_lag_ms"]["p50"] > 0
        assert row["final_ms"]["p50"] > 0
        assert row["config"]["word_times"] == "synthesis"


def test_to_collapse_doubles_the_last_load_until_the_server_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(load: SpeechLoad, *_: object) -> dict[str, Any]:
        """Real time is lost from 20 streams on."""
        outcome = Outcome(first_byte_s=0.1, last_audio_s=load.level / 20, audio_s=1.0)
        run = ClientRun([outcome], begin_s=0.0, end_s=1.0)
        return {"config": {"loop": "closed", "streams": int(load.level)}, **speech_figures(run)}

    monkeypatch.setattr("server.bench.tts_report.measure_speech", measure)
    arguments = ["bench", "tts", "--url", "http://127.0.0.1:9", "--voice", "x", "--streams", "1,3", "--json"]
    for more, expected in (([], [1, 3]), (["--to-collapse"], [1, 3, 6, 12, 24])):
        printed = runner.invoke(app, [*arguments, *more]).stdout.splitlines()
        assert [json.loads(line)["config"]["streams"] for line in printed] == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tts", "--url", "http://127.0.0.1:9"], "Connection refused"),
        (["tts", "--url", "http://127.0.0.1:9", "--voice", "x"], "no connection"),
        (["stt", "--url", "http://127.0.0.1:9", "--wav", "missing.wav"], "missing.wav"),
        (["tts", "--rate", "1", "--paced", "2"], "give one"),
        (["tts", "--streams", "1,none"], "'1,none'"),
        (["tts", "--streams", "0"], "over 0"),
        (["tts", "--url", "http://127.0.0.1:9", "--", "--device", "cpu"], "--url"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], says: str) -> None:
    result = runner.invoke(app, ["bench", *arguments])
    assert result.exit_code == 2
    assert says in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output

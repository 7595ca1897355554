"""What of the GPU report can be seen without running it; `--device cpu` runs all of it in a few minutes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app


@pytest.fixture
def script(repository: Path) -> Path:
    return repository / "benchmarks/gpu_report.sh"


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["a", "--device"], ["a", "--device", "tpu"], ["a", "--quick"], ["a", "--recognition-model"]]
)
def test_wrong_arguments_change_nothing(script: Path, arguments: list[str], tmp_path: Path) -> None:
    ended = subprocess.run([script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: ")
    assert not list(tmp_path.iterdir())


def test_shellcheck_finds_nothing(script: Path) -> None:
    checker = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("shellcheck is not installed")
    ended = subprocess.run([checker, script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_options_of_the_bench_exist_and_fit_into_the_time(script: Path) -> None:
    text = script.read_text()
    for kind in ("tts", "stt"):
        help_text = CliRunner().invoke(app, ["bench", kind, "--help"], env={"COLUMNS": "200"}).stdout
        for step in re.findall(rf"^  bench \S+ \d+ {kind} (.*)", text, re.MULTILINE):
            for option in re.findall(r"--[a-z]+", step):
                assert option in help_text
    on_a_card = text.partition("if [[ $device == cuda ]]")[2].partition("\nelse")[0]
    limits_s = [
        int(limit) for limit in re.findall(r"^  (?:large_recognizer|(?:bench|step) \S+) (\d+)", on_a_card, re.MULTILINE)
    ]
    limits_s += [int(limit) for limit in re.findall(r"^ +step random_\w+ (\d+)", text, re.MULTILINE)]
    assert len(limits_s) == 10
    # A step that uses up its limit costs the last ones theirs, but the whole ends in time.
    (budget_s,) = re.findall(r"BUDGET_S=(\d+)", text)
    assert sum(sorted(limits_s)[:-1]) < int(budget_s) < 480

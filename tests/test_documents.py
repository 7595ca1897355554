"""Documents that name files, make targets or commands must name real ones."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")
PATH = re.compile(r"`((?:[a-z_.]+/)+[A-Za-z0-9_.*<>-]*|[A-Za-z_]+\.(?:md|toml|txt|py))`")
MADE_BY_RUNNING = ("demo/out.wav", "demo/out.png", "data/", ".venv/", "build/")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_exist(repository: Path, name: str) -> None:
    missing = []
    for path in PATH.findall((repository / name).read_text()):
        if path.startswith(MADE_BY_RUNNING) or "<" in path or "*" in path:
            continue
        if not (repository / path).exists() and not (repository / name).parent.joinpath(path).exists():
            missing.append(path)
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_exist(repository: Path, name: str) -> None:
    makefile = (repository / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z-]+)", (repository / name).read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name} names `make {target}`"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(repository: Path, name: str) -> None:
    commands = set(re.findall(r"`descant ([a-z]+)", (repository / name).read_text()))
    for command in commands:
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0, f"{name} names `descant {command}`"

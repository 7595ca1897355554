"""The command line as a test calls it."""

import sys
from pathlib import Path

import pytest

from server.cli.app import app
from server.model_store.store import ModelStore
from tests.server.model_store.checkpoints import bytes_under


def descant(*arguments: str | Path) -> int:
    """The exit code of `descant models …` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["descant", "models", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            app()
    return int(stopped.value.code or 0)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 2) -> str:
    """The line that a refused command prints."""
    capsys.readouterr()
    assert descant(*arguments) == code
    return capsys.readouterr().err.splitlines()[-1]


def nothing_installed(store: ModelStore) -> bool:
    """Neither listed nor lying about: only locks may be left."""
    return not store.list() and not [name for name in bytes_under(store.folder) if not name.startswith("locks/")]

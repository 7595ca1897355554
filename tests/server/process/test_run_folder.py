"""Folders of servers that were killed go with the next start, but not before the last of their processes has ended."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.process.run_folder import run_folder

OWNER = """
import subprocess, sys, time
from server.process.run_folder import run_folder
with run_folder() as (folder, used):
    left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0, pass_fds=(used,))
    print(folder, flush=True)
    time.sleep(600)
"""
"""Holds a folder, as does a process that waits for a line."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield tmp_path
    monkeypatch.undo()
    tempfile.tempdir = None


def test_a_folder_is_gone_with_its_block(temporary: Path) -> None:
    with run_folder() as (folder, _):
        assert folder.parent == temporary
        (folder / "engine.sock").touch()
        with run_folder() as (other, _):
            assert other != folder
        assert (folder / "engine.sock").exists()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_server_left_goes_with_the_next_start() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        owner.kill()
        owner.wait()
        with run_folder():
            assert folder.is_dir(), "a process that it started is still there"
        assert owner.stdin is not None
        owner.stdin.write("\n")
        owner.stdin.flush()
        assert owner.stdout.read() == ""  # until the other one has ended, too
    with run_folder():
        assert not folder.exists()


def test_what_is_not_ours_stays(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / "descant-run-link").symlink_to(temporary / "elsewhere")
    (temporary / "descant-run-file").touch()
    with run_folder():
        pass
    assert {path.name for path in temporary.iterdir()} == {"elsewhere", "descant-run-link", "descant-run-file"}

import json
from pathlib import Path

import pytest

from benchmarks import result_lines


@pytest.mark.parametrize("keep", [True, False])
def test_a_result_is_printed_and_kept_if_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: bool
) -> None:
    monkeypatch.setattr(result_lines, "FOLDER", tmp_path)
    result_lines.publish("example", {"sentences": 2}, {"percent": 1.5}, keep=keep)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["benchmark"], printed["config"], printed["percent"]) == ("example", {"sentences": 2}, 1.5)
    assert [file.name for file in tmp_path.iterdir()] == ["example.jsonl"] * keep
    if keep:
        assert json.loads((tmp_path / "example.jsonl").read_text()) == printed

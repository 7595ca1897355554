"""The measures of the ears run from their commands and print their figures."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.sentences import held_out


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    subjects = ("The old sailor", "A careful doctor", "My younger sister", "The village teacher")
    verbs = ("carried", "painted", "repaired", "remembered", "followed", "counted")
    objects = ("a wooden boat", "the empty house", "seven letters", "his brother", "every window", "the long road")
    sentences = (f"{' '.join(words)}." for words in itertools.product(subjects, verbs, objects))
    (tmp_path / "sentences.en.txt").write_text("\n".join(s for s in sentences if held_out(s)), encoding="utf-8")
    return tmp_path


def run(repository: Path, module: str, *arguments: str) -> Any:
    """The JSON line of a smoke run, which must leave the results alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.{module}", "--smoke", *arguments]
    kept = repository / "benchmarks" / "results" / f"{module}.jsonl"
    before = kept.read_bytes() if kept.exists() else b""
    result = subprocess.run(command, capture_output=True, text=True, cwd=repository, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr
    assert (kept.read_bytes() if kept.exists() else b"") == before
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.timeout(300)
def test_word_error_rate(repository: Path, text_folder: Path) -> None:
    kinds = ("espeak settings", "espeak accents", "espeak fast")
    arguments = ("--text-folder", str(text_folder), "--conditions", "all", "--kinds", *kinds)
    line = run(repository, "word_error_rate", *arguments)
    rates = line["word_error_percent"]
    assert set(rates) == set(kinds)
    for row in rates.values():
        assert {"clean", "8 kHz mu-law", "white noise 5 dB", "babble 10 dB", "reverberation"} < set(row)
        assert all(0 <= rate < 200 for rate in row.values())
    assert set(line["invented_words"]) == {"silence", "hum", "babble of 8 talkers"}
    assert len(line["config"]["data_hash"]) == 12


@pytest.mark.timeout(300)
def test_word_error_rate_of_numbers_and_spellings(repository: Path, text_folder: Path) -> None:
    arguments = ("--text-folder", str(text_folder), "--texts", "strings", "--kinds", "espeak settings")
    line = run(repository, "word_error_rate", *arguments)
    assert line["config"]["strings"] == 1
    assert 0 <= line["word_error_percent"]["espeak settings"]["clean"] < 200


@pytest.mark.timeout(300)
def test_streaming_recognition(repository: Path, text_folder: Path) -> None:
    arguments = ("--text-folder", str(text_folder), "--engines", "espeak", "--ways", "dynamic", "padded", "fixed-30")
    line = run(repository, "streaming_recognition", *arguments)
    long = line["long audio with gaps"]
    assert set(long) == {"dynamic", "same windows, 30 s each", "fixed 30 s"}
    for row in long.values():
        assert row["words said"] > 4
        assert row["encoded seconds per hour"] > 0
    assert long["fixed 30 s"]["encoded seconds / fixed 30 s"] == 1.0
    assert long["same windows, 30 s each"]["encoded seconds per hour"] > long["fixed 30 s"]["encoded seconds per hour"]
    assert long["dynamic"]["word errors, %"] < 100
    assert long["dynamic"]["partial lag p50, s"] < long["fixed 30 s"]["partial lag p50, s"]
    assert line["no speech"]["dynamic"]["invented words"] == 0
    assert line["trailing silence"]["dynamic"]["words said"] > 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_peers(repository: Path, text_folder: Path) -> None:
    line = run(repository, "peers", "--text-folder", str(text_folder))
    ears, voice = line["ears"]["1"], line["voice"]
    assert {"descant", "faster-whisper, float32", "faster-whisper, int8", "transformers"} < set(ears)
    for name, row in ears.items():
        assert row["s per s"] > 0
        assert row["first partial, ms"] > 0
        assert 0 <= row["word errors, %"] < 200
        assert name == "descant" or row["seconds / ours"]["median"] > 0
    assert set(voice) == {"descant", "VITS"}
    assert (voice["descant"]["weights"], voice["VITS"]["weights"]) == ("trained", "random")
    assert voice["VITS"]["parameters, M"] == 29.05
    assert voice["VITS"]["first audio / ours"]["median"] > 0

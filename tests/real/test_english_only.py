"""tiny.en: an English-only checkpoint with another vocabulary and a list of tokens instead of a tokenizer's languages."""

from pathlib import Path

import pytest

from benchmarks.real.comparison import PEER, error_rate, lost
from tests.real.conftest import read_with, recognizer_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

MARGIN_POINTS = 1.0
"""Of 88 words in the shortest set one more may be wrong: tiny.en is here to load and to read, not to be compared."""


def test_tiny_en_reads_english_only() -> None:
    info = recognizer_of("whisper-tiny.en").info
    assert info.languages == ("en",)
    assert not info.detects_language


def test_tiny_en_reads_people_as_faster_whisper_does(recordings_folder: Path) -> None:
    read = read_with("whisper-tiny.en", "human", recordings_folder)
    assert error_rate(read, "whole") <= error_rate(read, PEER) + MARGIN_POINTS
    assert not lost(read, "whole")

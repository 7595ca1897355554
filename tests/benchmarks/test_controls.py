"""The embedded voice does what it is told, measured on its audio: the bars of `benchmarks.controls`."""

from collections.abc import Callable, Iterator

import pytest

from benchmarks import controls
from benchmarks.controls import Mouth, Row
from models.registry import load_synthesizer
from models.voices import Voice
from server.text.frontend import TextFrontEnd

Rows = Callable[[Mouth, list[Voice]], Iterator[Row]]


@pytest.fixture(scope="module")
def mouth() -> Mouth:
    return Mouth(load_synthesizer("conv_tts", "cpu", 1), TextFrontEnd())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "rows", [controls.speed_rows, controls.volume_rows, controls.pitch_rows, controls.pause_rows, controls.mixture_rows]
)
def test_bars(mouth: Mouth, rows: Rows) -> None:
    missed = [row for row in rows(mouth, list(mouth.voices[:3])) if not row.passed]
    assert not missed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_emotion_is_heard_and_its_own(mouth: Mouth) -> None:
    assert all(row.passed for row in controls.emotion_rows(controls.emotions(mouth, mouth.voices[0])))

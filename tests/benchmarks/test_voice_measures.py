"""The bars of the voice and the check of long texts."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.long_texts import Cut, check_passage, last_word_wrong, letters_wrong, passages, speak_passage
from benchmarks.voice_quality import BARS, Figures, print_bars
from models.conv_tts.model import load
from models.hearing import Hypothesis, RecognitionWindow, Recognizer, RecognizerInfo
from models.speech import Synthesizer
from server.text.frontend import TextFrontEnd
from training.sentences import held_out

GOOD: Figures = {
    "wer_percent": 15.0, "teacher_wer_percent": 14.5, "distortion_db": 2.4, "octaves_db": [0.1, -0.4, 0.3],
    "fricative_periodicity": 0.33, "teacher_fricative_periodicity": 0.35, "vowel_periodicity": [0.5, 0.61],
    "teacher_vowel_periodicity": [0.9, 0.58], "real_time_factor": 0.02, "size_mb": 11.0,
}  # fmt: skip


def test_a_voice_that_reaches_all_bars_has_no_star(capsys: pytest.CaptureFixture[str]) -> None:
    print_bars({"One": GOOD})
    assert "*" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wer_percent", 15.6),
        ("distortion_db", 2.6),
        ("octaves_db", [0.0, -0.6]),
        ("fricative_periodicity", 0.29),
        ("vowel_periodicity", [0.9, 0.64]),
        ("real_time_factor", 0.031),
        ("size_mb", 21.0),
    ],
)
def test_each_bar_can_be_missed(name: str, value: float | list[float], capsys: pytest.CaptureFixture[str]) -> None:
    print_bars({"One": GOOD | {name: value}})
    lines = capsys.readouterr().out.splitlines()
    assert sum("*" in line for line in lines) == 1
    assert len(lines) == len(BARS) + 1


def test_letters_and_last_words() -> None:
    assert letters_wrong("Twice she has been waylaid.", "twice she has been way laid") == 0
    assert letters_wrong("Twice she has been waylaid.", "the weather is fine today") > 0.6
    assert letters_wrong("Anything", "") == 1
    assert last_word_wrong("She has been waylaid.", "she has been way laid") == 0
    assert last_word_wrong("She has been waylaid.", "she has been") > 0.5
    assert last_word_wrong("She has been waylaid.", "") == 1


def test_passages_are_long_enough_and_use_only_unseen_sentences(tmp_path: Path) -> None:
    lines = [f"The {number} sentences of this small book are short." for number in range(4000)]
    (tmp_path / "sentences.en.txt").write_text("\n".join(lines), encoding="utf-8")
    texts = list(passages(tmp_path, (40, 60)))
    assert [sum(len(s.split()) for s in text) >= size for text, size in zip(texts, (40, 60), strict=True)] == [True, True]
    flat = [sentence for text in texts for sentence in text]
    assert len(flat) == len(set(flat))
    assert all(held_out(sentence) for sentence in flat)


class _Ears(Recognizer):
    """Hear one text in everything, or nothing in silence."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def info(self) -> RecognizerInfo:
        return RecognizerInfo("fake", 16_000, ("en",), 30.0, 1, "cpu")

    def step(self, windows: list[RecognitionWindow]) -> list[Hypothesis]:  # type: ignore[override]
        return [Hypothesis(self.text if np.any(window.pcm) else "", (), 0.0, False) for window in windows]


def test_a_sentence_without_sound_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.long_texts.recognise", lambda pcm: "")
    text = "The old sailor came home."
    cuts = [Cut(text, np.zeros(8000)), Cut(text, np.ones(8000))]
    result = check_passage(cuts, _Ears("the old sailor came home"))
    assert [entry["said"] for entry in result["missing"]] == [text]  # type: ignore[attr-defined]
    assert result["last_word"] is True
    cut_short = check_passage(cuts, _Ears("the old sailor came"))
    assert cut_short["last_word"] is False


@pytest.fixture(scope="module")
def model() -> Synthesizer:
    return load("cpu", 1)


def test_every_sentence_of_a_passage_gets_its_own_sound(model: Synthesizer) -> None:
    sentences = ["The boat is late.", "Is it raining?", "Dr. Smith paid $3.50, and left; nobody knew why."]
    spoken, cuts = speak_passage(model, TextFrontEnd(), model.info.voices[0], sentences)
    assert [cut.text for cut in cuts] == sentences
    assert all(np.abs(cut.pcm).max() > 0.05 for cut in cuts)
    # All of the sound but the pauses; each cut has 100 ms more on both sides.
    total_s = sum(len(cut.pcm) / 16_000 - 0.2 for cut in cuts)
    assert 0.6 < total_s / (len(spoken.pcm) / 24_000) < 1.0

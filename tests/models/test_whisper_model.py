"""The embedded ears through `models.registry`, on speech by espeak-ng and on signals without words."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.hearing import Hypothesis, RecognitionWindow, Recognizer
from models.registry import load_recognizer
from models.weights import WeightsError
from models.whisper.model import EMBEDDED, _Heard, load
from server.bench.words import scored_words
from tests.models.whisper_checkpoints import write_random_checkpoint
from training.ears.speech import Speaker
from training.ears.voices import VoiceSettings

Floats = NDArray[np.float32]
SENTENCES = ("How are you today?", "The shop was closed in the morning.", "Please open the window.", "It is a very good idea.")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def ears() -> Recognizer:
    return load_recognizer("whisper", "cpu", max_batch=8)


@pytest.fixture(scope="module")
def spoken() -> list[Floats]:
    pytest.importorskip("espeakng_loader")
    speaker = Speaker()
    return [speaker.say(text, VoiceSettings("espeak", "gmw/en-US", rate=150)).pcm * np.float32(0.6) for text in SENTENCES]


def word_error_rate(said: str, heard: str) -> float:
    from benchmarks.word_error_rate import word_errors

    errors, count = word_errors(said, heard)
    return errors / count


def test_info(ears: Recognizer) -> None:
    assert ears.info.sample_rate_hz == 16_000
    assert ears.info.languages == ("en",)
    assert ears.info.max_window_s >= 10
    assert sum(f.stat().st_size for f in EMBEDDED.iterdir()) < 20_000_000


def test_understands_most_words(ears: Recognizer, spoken: list[Floats]) -> None:
    heard = ears.step([RecognitionWindow(pcm) for pcm in spoken])
    rates = [word_error_rate(said, hypothesis.text) for said, hypothesis in zip(SENTENCES, heard, strict=True)]
    assert np.mean(rates) < 0.5, [h.text for h in heard]


def test_alone_batched_and_permuted(ears: Recognizer, spoken: list[Floats]) -> None:
    windows = [RecognitionWindow(pcm, want_words=True) for pcm in spoken]
    together = ears.step(windows)
    permuted = ears.step(windows[::-1])[::-1]
    alone = [ears.step([window])[0] for window in windows]
    for other in (together, permuted):
        for a, b in zip(other, alone, strict=True):
            assert a.text == b.text
            assert [w.word for w in a.words] == [w.word for w in b.words]
            assert a.mean_log_probability == pytest.approx(b.mean_log_probability, abs=1e-3)


def check_words(hypothesis: Hypothesis, seconds: float) -> None:
    assert "".join(word.word for word in hypothesis.words).strip() == hypothesis.text
    times = [t for word in hypothesis.words for t in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= seconds
    assert all(0.0 < word.probability <= 1.0 for word in hypothesis.words)


def test_speech_cut_off_at_whole_seconds_has_a_rest_too(ears: Recognizer, spoken: list[Floats]) -> None:
    """Windows are made whole seconds long: one that is already was read without a rest, and went on with words not said."""
    said = "".join(scored_words(SENTENCES[1]))
    for cut_s in (0.99, 1.0, 1.01):
        heard = ears.step([RecognitionWindow(spoken[1][: round(cut_s * 16_000)])])[0]
        assert not heard.retried
        assert heard.mean_log_probability > -0.6, heard
        assert len("".join(scored_words(heard.text))) < len(said), heard


def test_word_times_are_monotone_and_inside(ears: Recognizer, spoken: list[Floats]) -> None:
    for pcm, hypothesis in zip(spoken, ears.step([RecognitionWindow(p, want_words=True) for p in spoken]), strict=True):
        assert hypothesis.words
        check_words(hypothesis, len(pcm) / 16_000)


def test_words_move_with_the_audio(ears: Recognizer, spoken: list[Floats]) -> None:
    """Half a second of silence before the speech shifts the words by about as much."""
    later = np.pad(spoken[1], (8000, 0))
    before, after = ears.step([RecognitionWindow(spoken[1], want_words=True), RecognitionWindow(later, want_words=True)])
    assert after.words[-1].start_s - before.words[-1].start_s == pytest.approx(0.5, abs=0.25)


def test_words_only_on_request(ears: Recognizer, spoken: list[Floats]) -> None:
    assert ears.step([RecognitionWindow(spoken[0])])[0].words == ()


def test_prefix_starts_the_text(ears: Recognizer, spoken: list[Floats]) -> None:
    forced = ears.step([RecognitionWindow(spoken[1], prefix="The ship", want_words=True)])[0]
    assert forced.text.startswith("The ship")
    assert forced.text != "The ship"
    check_words(forced, len(spoken[1]) / 16_000)


def test_prompt_is_not_repeated(ears: Recognizer, spoken: list[Floats]) -> None:
    prompted = ears.step([RecognitionWindow(spoken[2], prompt="We talked about elephants all day.")])[0]
    assert "elephants" not in prompted.text
    assert word_error_rate(SENTENCES[2], prompted.text) < 1.0


def non_speech() -> dict[str, Floats]:
    rng = np.random.default_rng(11)
    time = np.arange(4 * 16_000) / 16_000
    noise = rng.standard_normal(len(time))
    hum = np.sum([np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 5)], axis=0)
    signals = {
        "silence": np.zeros(len(time)),
        "quiet noise": 0.001 * noise,
        "white noise": 0.1 * noise,
        "hum": 0.2 * hum,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "beeps": 0.3 * np.sign(np.sin(2 * np.pi * 900 * time)) * ((time % 0.6) < 0.3),
    }
    return {name: signal.astype(np.float32) for name, signal in signals.items()}


@pytest.mark.parametrize("name", list(non_speech()))
def test_no_word_is_invented(ears: Recognizer, name: str) -> None:
    assert scored_words(ears.step([RecognitionWindow(non_speech()[name])])[0].text) == []


def test_very_short_and_empty_windows(ears: Recognizer) -> None:
    results = ears.step([RecognitionWindow(np.zeros(n, np.float32), want_words=True) for n in (0, 1, 300, 1600)])
    assert [r.text for r in results] == [""] * 4
    assert ears.step([]) == []


def test_refuses_what_is_too_large(ears: Recognizer) -> None:
    with pytest.raises(ValueError, match="longer than"):
        ears.step([RecognitionWindow(np.zeros(int((ears.info.max_window_s + 1) * 16_000), np.float32))])
    with pytest.raises(ValueError, match="at most 8"):
        ears.step([RecognitionWindow(np.zeros(16, np.float32))] * 9)


def test_a_model_that_babbles_is_stopped(tmp_path: Path) -> None:
    """Random weights never end by themselves: the guard or the budget ends them, and says so."""
    babbler = load("cpu", 4, write_random_checkpoint(tmp_path, seed=2, sharpness=6.0), engine="torch")
    pcm = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) * np.float32(0.1)
    result = babbler.step([RecognitionWindow(pcm, want_words=True)])[0]
    assert result.truncated
    assert len(result.text.split()) <= 12 + 15 * 2
    assert result.retried


def test_a_text_that_was_cut_off_is_tried_again_at_full_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the rows concerned, and a second text counts only if it ends by itself."""
    recognizer = load("cpu", 4, write_random_checkpoint(tmp_path), engine="torch")
    seconds: list[list[float]] = []
    hear = recognizer._hear

    def truncating(windows: Sequence[RecognitionWindow], mels: Sequence[Floats], full_length: bool) -> list[_Heard]:
        seconds.append([len(recognizer._padded(mel, full_length)) / 50 for mel in mels])
        tries = len(seconds)
        heard = hear(windows, mels, full_length)
        for one, window in zip(heard, windows, strict=True):
            cut_off = len(window.pcm) > 40_000 / tries
            decoded = replace(one.reading.decoded, truncated=cut_off)
            one.reading = replace(one.reading, text=f"{len(window.pcm)} {tries}", decoded=decoded)
            one.doubts = ["truncated"] if cut_off else []
        return heard

    monkeypatch.setattr(recognizer, "_hear", truncating)
    windows = [RecognitionWindow(np.zeros(n, np.float32)) for n in (16_000, 30_000, 50_000)]
    texts = [(h.text, h.truncated, h.retried) for h in recognizer.step(windows)]
    assert seconds == [[2, 3, 4], [recognizer.info.max_window_s]]
    assert texts == [("16000 1", False, False), ("30000 1", False, False), ("50000 1", True, True)]


def test_a_second_text_that_ends_by_itself_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = load("cpu", 4, write_random_checkpoint(tmp_path), engine="torch")
    hear = recognizer._hear

    def short_is_cut_off(windows: Sequence[RecognitionWindow], mels: Sequence[Floats], full_length: bool) -> list[_Heard]:
        heard = hear(windows, mels, full_length)
        for one in heard:
            text = "long" if full_length else "short"
            one.reading = replace(one.reading, text=text, decoded=replace(one.reading.decoded, truncated=not full_length))
            one.doubts = [] if full_length else ["truncated"]
        return heard

    monkeypatch.setattr(recognizer, "_hear", short_is_cut_off)
    (hypothesis,) = recognizer.step([RecognitionWindow(np.zeros(30_000, np.float32))])
    assert (hypothesis.text, hypothesis.truncated, hypothesis.retried) == ("long", False, True)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(EMBEDDED, folder)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"encoder_layers": 4', '"encoder_layers": 5'))
    with pytest.raises(WeightsError, match=r"encoder\.layers\.4"):
        load("cpu", 1, folder)
    (folder / "config.json").write_text(text.replace('"num_mel_bins": 80', '"num_mel_bins": 128'))
    with pytest.raises(ValueError, match="feature_size 80 is not num_mel_bins 128"):
        load("cpu", 1, folder)

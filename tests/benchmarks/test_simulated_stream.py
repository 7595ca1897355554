"""The simulated client on fakes: the engine's own texts, at times that the audio explains."""

import itertools

import numpy as np
import pytest

from benchmarks.simulated_stream import PIECE_S, Run, Shown, chunks, live
from benchmarks.spoken_streams import halves
from tests.fakes import FakeDetector, FakeRecognizer, ModelFault, silence, speech

AUDIO = np.concatenate([silence(1), speech(*range(1, 10)), silence(3), speech(4, 5), silence(2)])


def finals(run: Run) -> list[Shown]:
    return [item for item in run.shown if item.transcript.is_final]


def test_the_engine_is_heard_at_its_own_times() -> None:
    run = live(FakeRecognizer(), FakeDetector(), AUDIO, interim=True)
    first, second = finals(run)
    assert first.transcript.text == "one two three four five six seven eight nine"
    assert second.transcript.text == " four five"
    # Speech ends at 3.25 and 6.75 s; a pause of a second makes it final. What the steps took comes on top.
    assert first.at_s == pytest.approx(4.25, abs=2 * PIECE_S)
    assert second.at_s == pytest.approx(7.75, abs=2 * PIECE_S)
    partials = [item for item in run.shown if not item.transcript.is_final]
    assert len(partials) >= 3
    for item in partials:
        # At most half a window of speech behind, never ahead of the audio.
        assert item.transcript.words[-1].end_s <= item.at_s
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(run.shown))


def test_it_is_the_same_every_time() -> None:
    assert live(FakeRecognizer(), FakeDetector(), AUDIO, interim=True).shown == live(
        FakeRecognizer(), FakeDetector(), AUDIO, interim=True
    ).shown  # fmt: skip


def test_finals_only_cost_less() -> None:
    whole = live(FakeRecognizer(), FakeDetector(), AUDIO, interim=True)
    less = live(FakeRecognizer(), FakeDetector(), AUDIO, interim=False)
    assert [item.transcript.text for item in finals(less)] == [item.transcript.text for item in finals(whole)]
    assert less.windows == 2
    assert less.encoded_s == 6  # 2.25 and 0.5 s of speech with 0.5 s on either side, in whole seconds
    assert whole.encoded_s > less.encoded_s
    assert whole.tokens > less.tokens == 9 + 1 + 2 + 1


def test_windows_filled_to_a_length_give_the_same_text_at_that_cost() -> None:
    model = FakeRecognizer()
    less = live(FakeRecognizer(), FakeDetector(), AUDIO, interim=False)
    padded = live(model, FakeDetector(), AUDIO, interim=False, padded_s=30.0)
    assert [item.transcript.text for item in finals(padded)] == [item.transcript.text for item in finals(less)]
    assert [len(window.pcm) for window in model.windows] == [30 * 16_000] * 2
    assert padded.encoded_s == 60


def test_a_failure_is_raised() -> None:
    model = FakeRecognizer()
    model.fault_level = 0.85
    with pytest.raises(Exception, match="recognition failed"):
        live(model, FakeDetector(), AUDIO, interim=False)
    with pytest.raises(ModelFault):
        chunks(model, AUDIO, 5.0)


def test_chunks_of_a_fixed_length() -> None:
    model = FakeRecognizer()
    run = chunks(model, AUDIO, 5.0)
    assert [len(window.pcm) for window in model.windows] == [5 * 16_000] * 2
    assert [item.at_s for item in run.shown] == [pytest.approx(5.1), pytest.approx(10.1)]
    assert run.shown[1].transcript.words[0].start_s == pytest.approx(6.25, abs=0.05)
    assert run.encoded_s == 10


def test_halves() -> None:
    assert halves("Too short to cut.") == ("Too short to cut.",)
    assert halves("When it rains, we all stay at home.") == ("When it rains,", "we all stay at home.")
    assert halves("one two three four five six") == ("one two three", "four five six")

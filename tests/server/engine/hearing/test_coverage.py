"""Windows whose text leaves out a phrase that the detector heard."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.hearing import Effort, Hypothesis, RecognitionWindow, RecognizedWord
from server.engine.hearing.coverage import uncovered_pause
from server.requests.transcription import Transcript, Turn, TurnSettings
from tests.fakes import WORD_S, FakeRecognizer, silence, speech
from tests.server.engine.hearing.by_hand import ByHand, HeldRecognizer
from tests.server.engine.hearing.test_transcription import build, finals, hear


class Forgetful(HeldRecognizer):
    """Takes the first pause in a window for its end, or begins behind the last one."""

    def __init__(self, *, forgets_start: bool = False, parallel_steps: int = 1) -> None:
        super().__init__(parallel_steps=parallel_steps)
        self.info = replace(self.info, windows=replace(self.info.windows, loses_phrases=True))
        self._forgets_start = forgets_start

    def _hear(self, window: RecognitionWindow) -> Hypothesis:
        whole = super()._hear(replace(window, want_words=True))
        at = [word.start_s for word in whole.words]
        gaps = [place for place, (a, b) in enumerate(itertools.pairwise(at), 1) if b - a > WORD_S + 0.3]
        kept = whole.words[gaps[-1] :] if gaps and self._forgets_start else whole.words[: gaps[0]] if gaps else whole.words
        return Hypothesis("".join(word.word for word in kept).strip(), kept if window.want_words else (), -0.2, False)


class TestTextThatLeavesOutAPhrase:
    """The detector heard speech behind a pause and the text has none: the window is cut at the pause."""

    AUDIO = (silence(0.5), speech(1, 2, 3), silence(0.6), speech(4, 5, 6, 7), silence(1.5))

    @pytest.mark.parametrize("forgets_start", [False, True])
    @pytest.mark.parametrize("interim", [False, True])
    async def test_both_phrases_are_heard(self, forgets_start: bool, interim: bool) -> None:
        engine = build(Forgetful(forgets_start=forgets_start))
        await engine.start()
        events = await hear(engine, *self.AUDIO, interim=interim)
        await engine.stop(0)
        assert finals(events) == "one two three four five six seven"
        words = [word for event in events if isinstance(event, Transcript) and event.is_final for word in event.words]
        assert words[0].start_s == pytest.approx(0.5, abs=0.05)
        assert words[3].start_s == pytest.approx(1.85, abs=0.05)

    def test_a_segment_that_ends_while_its_pause_is_decoded(self) -> None:
        hands = ByHand(Forgetful(parallel_steps=2))
        stream = hands.stream(max_silence_s=1.0)
        *said, _ = self.AUDIO
        stream.feed(*said, silence(0.6))
        while hands.running[0].efforts != [Effort.LIVE]:
            hands.end(*hands.running[0].said)
        stream.feed(silence(0.6))
        hands.end_all()
        assert "".join(text for text, is_final in stream.texts if is_final) == "one two three four five six seven"

    async def test_without_word_times_too(self) -> None:
        engine = build(Forgetful())
        await engine.start()
        events = await hear(engine, *self.AUDIO, interim=False, want_words=False)
        await engine.stop(0)
        assert finals(events) == "one two three four five six seven"
        assert not any(event.words for event in events if isinstance(event, Transcript))

    async def test_in_a_turn_nothing_shown_is_taken_back(self) -> None:
        engine = build(Forgetful())
        await engine.start()
        events = await hear(engine, *self.AUDIO, turns=TurnSettings(eager_end_threshold=0.3, end_threshold=0.05))
        await engine.stop(0)
        shown = [event.transcript for event in events if isinstance(event, Turn) and event.transcript]
        assert shown[-1] == "one two three four five six seven"
        for earlier, later in itertools.pairwise(shown):
            assert later.startswith(earlier)

    async def test_three_phrases(self) -> None:
        engine = build(Forgetful())
        await engine.start()
        parts = (speech(1, 2), silence(0.6), speech(3, 4), silence(0.6), speech(5, 6), silence(1.5))
        events = await hear(engine, *parts, interim=False)
        await engine.stop(0)
        assert finals(events) == "one two three four five six"

    async def test_a_text_that_covers_its_window_is_decoded_once(self) -> None:
        model = FakeRecognizer()
        engine = build(model)
        await engine.start()
        await hear(engine, *self.AUDIO, interim=False)
        await engine.stop(0)
        assert sum(np.any(window.pcm) for window in model.windows) == 1


PHRASES = ((0, 16_000), (24_000, 40_000), (48_000, 64_000))
"""Three seconds of speech with pauses of half a second, from 1.0 and from 2.5 s."""


@pytest.mark.parametrize(
    ("starts_s", "is_whole", "keep_start", "cut_s"),
    [
        ((0.1, 1.6, 3.1), True, False, None),
        ((0.1, 0.5, 1.6), True, False, 2.75),
        ((0.1, 0.5, 3.1), True, False, 1.25),
        ((1.6, 3.1), True, False, 1.25),
        ((1.6, 3.1), True, True, None),
        ((0.1, 0.5), True, True, 1.25),
        ((0.1, 0.5, 1.6), False, False, 2.75),
        ((), True, False, None),
    ],
)
def test_where_a_window_is_cut(starts_s: tuple[float, ...], is_whole: bool, keep_start: bool, cut_s: float | None) -> None:
    words = [RecognizedWord("word", start_s, start_s + 0.2, 0.9) for start_s in starts_s]
    at_samples = uncovered_pause(PHRASES, words, 16_000, is_whole=is_whole, keep_start=keep_start)
    assert at_samples == (None if cut_s is None else cut_s * 16_000)


def test_speech_that_has_just_begun_needs_no_word_yet() -> None:
    words = [RecognizedWord("word", 0.1, 0.3, 0.9)]
    phrases = ((0, 16_000), (24_000, 34_000))
    assert uncovered_pause(phrases, words, 16_000, is_whole=False, keep_start=False) is None
    assert uncovered_pause(phrases, words, 16_000, is_whole=True, keep_start=False) == 20_000

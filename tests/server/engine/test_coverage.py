"""Windows whose text leaves out a phrase that the detector heard."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.base import Hypothesis, RecognitionWindow
from server.types import Transcript, Turn, TurnSettings
from tests.fakes import WORD_S, FakeRecognizer, silence, speech
from tests.server.engine.test_transcription import build, finals, hear


class Forgetful(FakeRecognizer):
    """Takes the first pause in a window for its end, or begins behind the last one."""

    def __init__(self, *, forgets_start: bool = False) -> None:
        super().__init__()
        self._forgets_start = forgets_start

    def _hear(self, window: RecognitionWindow) -> Hypothesis:
        whole = super()._hear(replace(window, want_words=True))
        at = [word.start_s for word in whole.words]
        gaps = [place for place, (a, b) in enumerate(itertools.pairwise(at), 1) if b - a > WORD_S + 0.3]
        kept = whole.words[gaps[-1] :] if gaps and self._forgets_start else whole.words[: gaps[0]] if gaps else whole.words
        return Hypothesis(" ".join(word.word for word in kept), kept if window.want_words else (), -0.2, False)


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

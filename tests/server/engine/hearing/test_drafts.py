"""Transcription by a recognizer whose drafts are cheaper than its final texts."""

import itertools
from dataclasses import replace

import pytest

from models.hearing import Effort
from server.requests.transcription import Transcript, Turn, TurnPhase, TurnSettings
from tests.fakes import FakeRecognizer, silence, speech
from tests.server.engine.hearing.by_hand import ByHand, HeldRecognizer, Stream
from tests.server.engine.hearing.test_transcription import build, finals, hear

FOUR = "one two three four"
GOES_ON = TurnSettings(eager_end_threshold=0.01, end_threshold=0.005)
"""A turn that a short pause does not end."""


@pytest.fixture
def hands() -> ByHand:
    return ByHand(HeldRecognizer(has_drafts=True))


def efforts(hands: ByHand) -> list[tuple[str, Effort]]:
    return [(step.said[0], step.efforts[0]) for step in hands.running]


def test_a_draft_that_was_cut_off_is_not_shown(hands: ByHand) -> None:
    """Most likely it says the same over and over."""
    hands.model.truncates = True
    stream = hands.stream(max_silence_s=1.0)
    stream.feed(speech(1, 2, 3, 4), silence(0.6))
    hands.end(FOUR)
    hands.end(FOUR)
    assert efforts(hands) == [(FOUR, Effort.LIVE)]
    assert stream.texts == []
    hands.end(FOUR)
    assert stream.texts == [(FOUR, False)]


class TestAhead:
    """Four words, and a pause that is not long enough to end the segment yet."""

    @pytest.fixture
    def stream(self, hands: ByHand) -> Stream:
        stream = hands.stream(max_silence_s=1.0)
        stream.feed(speech(1, 2, 3, 4), silence(0.6))
        hands.end(FOUR)  # the draft of what was fed first, before the pause
        assert efforts(hands) == [(FOUR, Effort.DRAFT)]
        return stream

    def test_a_pause_is_drafted_first_and_then_looked_at_ahead(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        assert stream.texts[-1] == (FOUR, False)
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        hands.end(FOUR)
        assert efforts(hands) == []

    def test_its_text_is_the_final_one_without_another_step(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        hands.end(FOUR)
        decoded = len(hands.model.windows)
        stream.feed(silence(0.6))
        assert stream.texts[-1] == (FOUR, True)
        assert hands.running == []
        assert len(hands.model.windows) == decoded

    def test_a_draft_is_never_the_final_text(self, hands: ByHand, stream: Stream) -> None:
        """The pause ends the segment while the model still has the draft of it."""
        stream.feed(silence(0.6))
        assert efforts(hands) == [(FOUR, Effort.DRAFT), (FOUR, Effort.LIVE)]
        draft, final = hands.running
        assert (draft.efforts, final.efforts) == ([Effort.DRAFT], [Effort.LIVE])
        hands.end(FOUR)
        assert (FOUR, True) not in stream.texts
        hands.end(FOUR)
        assert stream.texts[-1] == (FOUR, True)

    def test_one_that_still_runs_when_the_segment_ends_is_waited_for(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        stream.feed(silence(0.6))
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        assert (FOUR, True) not in stream.texts
        hands.end(FOUR)
        assert stream.texts[-1] == (FOUR, True)
        assert hands.running == []

    def test_where_speech_goes_on_the_whole_window_is_decoded(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        hands.end(FOUR)
        stream.feed(speech(5, 6, 7))
        hands.end(f"{FOUR} five six seven")
        stream.flush()
        assert efforts(hands) == [(f"{FOUR} five six seven", Effort.LIVE)]
        hands.end_all()
        assert stream.texts[-1] == (f"{FOUR} five six seven", True)

    def test_each_pause_of_a_window_is_looked_at(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        hands.end(FOUR)
        stream.feed(speech(5, 6, 7))
        more = f"{FOUR} five six seven"
        hands.end(more)
        stream.feed(silence(0.6))
        assert efforts(hands) == [(more, Effort.DRAFT)]
        hands.end(more)
        assert efforts(hands) == [(more, Effort.LIVE)]
        hands.end(more)
        stream.feed(silence(0.6))
        assert stream.texts[-1] == (more, True)
        assert hands.running == []

    def test_one_that_comes_back_when_more_was_drafted_shows_nothing(self, hands: ByHand, stream: Stream) -> None:
        hands.end(FOUR)
        stream.feed(speech(5, 6, 7))
        ahead, draft = hands.running
        assert (ahead.efforts, draft.efforts) == ([Effort.LIVE], [Effort.DRAFT])
        hands.end(*draft.said)
        shown = stream.texts
        assert shown[-1] == (f"{FOUR} five six", False)
        hands.end(FOUR)
        assert stream.texts == shown

    def test_final_texts_of_others_come_first(self, hands: ByHand, stream: Stream) -> None:
        others = [hands.stream(interim=False) for _ in range(2)]
        for word, other in zip((8, 9), others, strict=True):
            other.feed(speech(word, word))
            other.flush()
        assert efforts(hands) == [("eight eight", Effort.LIVE), (FOUR, Effort.DRAFT)]
        hands.end(FOUR)
        assert efforts(hands) == [("eight eight", Effort.LIVE), ("nine nine", Effort.LIVE)]
        hands.end("eight eight")
        assert efforts(hands) == [("nine nine", Effort.LIVE), (FOUR, Effort.LIVE)]
        hands.end_all()

    def test_nobody_is_looked_at_ahead_who_wants_final_texts_only(self, hands: ByHand) -> None:
        stream = hands.stream(interim=False)
        stream.feed(speech(1, 2, 3, 4), silence(0.6))
        assert hands.running == []


class TestWhileAFinalTextIsAwaited:
    """The first window is closed, and the model has it; somebody speaks on."""

    def awaited(self, hands: ByHand, **changes: object) -> Stream:
        stream = hands.stream(max_silence_s=0.7, **changes)
        stream.feed(speech(1, 2, 3, 4), silence(0.6))
        hands.end(FOUR)
        hands.end(FOUR)
        stream.feed(silence(0.2))
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        return stream

    def test_the_awaited_words_show_with_the_new_ones(self, hands: ByHand) -> None:
        stream = self.awaited(hands)
        stream.feed(speech(5, 6, 7, 8))
        hands.end("five six seven eight")
        assert stream.texts[-1] == (f"{FOUR} five six seven", False)
        hands.end(FOUR)
        assert stream.texts[-1] == (FOUR, True)
        stream.feed(silence(0.6))
        hands.end("five six seven eight")
        assert stream.texts[-1] == (" five six seven eight", False)
        stream.finish()
        hands.end_all()
        assert finals(stream.events) == f"{FOUR} five six seven eight"

    def test_behind_a_flush_drafts_wait_for_its_answer_and_then_for_nothing_else(self, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3))
        stream.flush()
        stream.feed(speech(4, 5, 6, 7))
        assert efforts(hands) == [("one two three", Effort.LIVE)]
        hands.end("one two three")
        hands.end("four five six seven")
        assert stream.texts == [("one two three", True), (" four five six", False)]

    def test_without_drafts_the_next_window_waits(self) -> None:
        hands = ByHand(HeldRecognizer())
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        hands.end(FOUR)
        stream.feed(silence(1.1))
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        stream.feed(speech(5, 6, 7, 8))
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        hands.end(FOUR)
        assert stream.texts[-1] == (FOUR, True)
        assert efforts(hands) == [("five six seven eight", Effort.DRAFT)]
        hands.end_all()


class TestTurns:
    def test_while_a_final_text_is_awaited_nothing_is_drafted(self, hands: ByHand) -> None:
        stream = hands.stream(turns=GOES_ON)
        stream.feed(speech(*[1] * 18))
        hands.end_all()
        stream.feed(silence(0.35))  # where a window this long ends
        long = " ".join(["one"] * 18)
        assert efforts(hands) == [(long, Effort.LIVE)]
        stream.feed(speech(5, 6, 7, 8))
        assert efforts(hands) == [(long, Effort.LIVE)]
        hands.end(long)
        assert efforts(hands) == [("five six seven eight", Effort.DRAFT)]
        stream.finish()
        hands.end_all()
        assert stream.turn_texts[-1] == f"{long} five six seven eight"
        for earlier, later in itertools.pairwise(text for text in stream.turn_texts if text):
            assert later.startswith(earlier)

    def test_a_turn_that_ends_after_its_pause_was_looked_at_ahead_needs_no_further_step(self, hands: ByHand) -> None:
        stream = hands.stream(turns=TurnSettings(eager_end_threshold=0.2, end_threshold=0.05))
        stream.feed(speech(1, 2, 3, 4), silence(0.6))
        hands.end(FOUR)
        hands.end(FOUR)
        assert efforts(hands) == [(FOUR, Effort.LIVE)]
        hands.end(FOUR)
        decoded = len(hands.model.windows)
        stream.feed(silence(1.5))
        assert [event.phase for event in stream.events if isinstance(event, Turn)][-2:] == [TurnPhase.EAGER_END, TurnPhase.END]
        assert stream.turn_texts[-2:] == [FOUR, FOUR]
        assert len(hands.model.windows) == decoded
        assert hands.running == []


@pytest.mark.parametrize(("has_drafts", "parallel_steps"), [(True, 1), (True, 2), (False, 2), (True, 4)])
class TestThroughTheEngine:
    """However the threads run."""

    @pytest.fixture
    def model(self, has_drafts: bool, parallel_steps: int) -> FakeRecognizer:
        model = FakeRecognizer(step_s=0.005)
        model.info = replace(model.info, has_drafts=has_drafts, parallel_steps=parallel_steps)
        return model

    AUDIO = (
        silence(0.3), speech(*range(1, 10)), silence(0.6), speech(4, 3, 2, 1), silence(1.5),
        speech(*range(1, 10), *range(1, 10)), silence(0.35), speech(7, 7, 7), silence(1.5),
    )  # fmt: skip
    SAID = (*range(1, 10), 4, 3, 2, 1, *range(1, 10), *range(1, 10), 7, 7, 7)

    async def test_final_texts_are_whole(self, model: FakeRecognizer) -> None:
        engine = build(model)
        await engine.start()
        events = await hear(engine, *self.AUDIO)
        await engine.stop(0)
        assert finals(events).split() == [FakeRecognizer.WORDS[number] for number in self.SAID]
        assert any(isinstance(event, Transcript) and not event.is_final for event in events)

    async def test_texts_of_a_turn_only_grow(self, model: FakeRecognizer) -> None:
        engine = build(model)
        await engine.start()
        events = await hear(engine, *self.AUDIO, turns=replace(GOES_ON, end_timeout_ms=10_000))
        await engine.stop(0)
        shown = [event.transcript for event in events if isinstance(event, Turn) and event.transcript]
        assert len(shown) > 4
        assert shown[-1].split() == [FakeRecognizer.WORDS[number] for number in self.SAID]
        for earlier, later in itertools.pairwise(shown):
            assert later.startswith(earlier)

"""Transcription while steps of the model run beside it: who waits for whom, and what comes of steps that end late."""

import numpy as np
import pytest

from models.hearing import Effort
from server.errors import InternalError
from server.requests.transcription import TranscriptFlushed
from tests.fakes import silence, speech
from tests.server.engine.hearing.by_hand import ByHand, HeldRecognizer


@pytest.fixture
def model() -> HeldRecognizer:
    return HeldRecognizer()


@pytest.fixture
def hands(model: HeldRecognizer) -> ByHand:
    return ByHand(model)


class TestSeveralStreams:
    def test_nobody_waits_for_the_final_text_of_another(self, hands: ByHand) -> None:
        slow, quick = hands.stream(interim=False), hands.stream(interim=False)
        slow.feed(speech(1, 2, 3))
        slow.flush()
        quick.feed(speech(4, 5, 6))
        quick.flush()
        assert hands.running_texts == [["four five six"], ["one two three"]]
        hands.end("four five six")
        assert (quick.texts, slow.texts) == ([("four five six", True)], [])
        hands.end("one two three")
        assert slow.texts == [("one two three", True)]

    def test_a_partial_text_does_not_wait_for_the_final_one_of_another(self, hands: ByHand) -> None:
        slow, quick = hands.stream(interim=False), hands.stream()
        slow.feed(speech(1, 2, 3))
        slow.flush()
        quick.feed(speech(4, 5, 6, 7))
        hands.end("four five six seven")
        assert (quick.texts, slow.texts) == ([("four five six", False)], [])
        hands.end("one two three")

    def test_no_more_steps_run_than_the_model_takes(self, hands: ByHand) -> None:
        streams = [hands.stream(interim=False) for _ in range(3)]
        for word, stream in enumerate(streams, 1):
            stream.feed(speech(word, word))
            stream.flush()
        assert hands.running_texts == [["one one"], ["two two"]]
        hands.end("one one")
        assert hands.running_texts == [["three three"], ["two two"]]
        hands.end_all()
        assert [stream.texts for stream in streams] == [[("one one", True)], [("two two", True)], [("three three", True)]]

    def test_windows_that_waited_are_decoded_together(self, hands: ByHand) -> None:
        held = [hands.stream(interim=False) for _ in range(2)]
        for word, stream in zip((1, 2), held, strict=True):
            stream.feed(speech(word, word))
            stream.flush()
        later = [hands.stream(interim=False) for _ in range(3)]
        for word, stream in zip((3, 4, 5), later, strict=True):
            stream.feed(speech(word, word))
            stream.flush()
        hands.end("one one")
        assert hands.running_texts == [["three three", "four four", "five five"], ["two two"]]
        hands.end_all()
        assert [len(stream.texts) for stream in (*held, *later)] == [1] * 5


class TestOrder:
    def test_texts_come_in_the_order_of_the_audio(self, hands: ByHand) -> None:
        stream = hands.stream(interim=False)
        for words in ((1, 2, 3), (4, 5, 6)):
            stream.feed(speech(*words))
            stream.flush()
        hands.end("four five six")
        assert stream.events == []
        hands.end("one two three")
        assert stream.texts == [("one two three", True), (" four five six", True)]
        assert [isinstance(event, TranscriptFlushed) for event in stream.events] == [False, True, False, True]

    def test_the_stream_ends_after_its_last_text(self, hands: ByHand) -> None:
        stream = hands.stream(interim=False)
        stream.feed(speech(1, 2, 3))
        stream.finish()
        assert not stream.has_ended
        hands.end("one two three")
        assert (stream.texts, stream.has_ended, stream.error) == ([("one two three", True)], True, None)

    @pytest.mark.parametrize("first", ["partial", "final"])
    def test_a_partial_text_that_comes_after_its_window_was_closed_is_not_shown(self, first: str, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        stream.feed(speech(5, 6))
        stream.flush()
        partial, final = "one two three four", "one two three four five six"
        assert hands.running_texts == [[partial], [final]]
        for said in (partial, final) if first == "partial" else (final, partial):
            hands.end(said)
        assert stream.texts == [(final, True)]

    def test_a_partial_text_of_a_closed_window_is_not_shown_in_the_next_one(self, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        stream.feed(speech(5))
        stream.flush()
        hands.end("one two three four five")
        stream.feed(speech(6, 7, 8, 9))
        hands.end("one two three four")
        assert stream.texts == [("one two three four five", True)]
        hands.end("six seven eight nine")
        assert stream.texts[1:] == [(" six seven eight", False)]


class TestStreamsThatEnd:
    def test_a_stream_cancelled_while_it_is_decoded_leaves_nothing_behind(self, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        stream.feed(speech(5))
        stream.flush()
        assert len(hands.running) == 2
        stream.cancel()
        assert stream.has_ended
        hands.end_all()
        assert stream.events == []
        assert not hands.activity._hearings
        assert not hands.activity._events
        assert hands.activity._steps.free == 2
        following = hands.stream(interim=False)
        following.feed(speech(4, 5, 6))
        following.finish()
        hands.end("four five six")
        assert (following.texts, following.error) == ([("four five six", True)], None)

    def test_a_stream_cancelled_while_its_open_window_is_decoded_is_told_nothing_more(self, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        stream.cancel()
        hands.end("one two three four")
        assert (stream.has_ended, stream.events) == (True, [])

    def test_of_a_step_that_failed_each_window_is_decoded_alone(
        self, hands: ByHand, model: HeldRecognizer, caplog: pytest.LogCaptureFixture
    ) -> None:
        model.fault_level = 0.85
        streams = {word: hands.stream(interim=False, request_id=f"said-{word}") for word in (1, 2, 3, 9, 4)}
        for word, stream in streams.items():
            stream.feed(speech(word, word))
            stream.flush()
        hands.end("one one")
        assert hands.running_texts == [["three three", "nine nine", "four four"], ["two two"]]
        hands.end("three three", "nine nine", "four four")
        assert hands.running_texts == [["three three"], ["two two"]]
        hands.end("three three")
        assert hands.running_texts == [["nine nine"], ["two two"]]
        hands.end("nine nine")
        hands.end_all()
        bad = streams.pop(9)
        assert isinstance(bad.error, InternalError)
        assert bad.texts == []
        assert "request said-9: the recognizer failed" in caplog.text
        assert [stream.texts[0][0] for stream in streams.values()] == ["one one", "two two", "three three", "four four"]
        assert not any(stream.has_ended for stream in streams.values())

    def test_a_stream_cancelled_before_it_is_decoded_alone_keeps_nobody_waiting(
        self, hands: ByHand, model: HeldRecognizer
    ) -> None:
        model.fault_level = 0.85
        streams = [hands.stream(interim=False) for _ in range(4)]
        for word, stream in zip((1, 2, 9, 3), streams, strict=True):
            stream.feed(speech(word, word))
            stream.flush()
        hands.end("one one")
        hands.end("nine nine", "three three")
        streams[3].cancel()
        hands.end_all()
        assert streams[3].texts == []
        assert isinstance(streams[2].error, InternalError)
        assert hands.activity._steps.free == 2
        assert not hands.activity._alone

    def test_a_stream_cancelled_before_its_step_failed_is_not_decoded_alone(self, hands: ByHand, model: HeldRecognizer) -> None:
        model.fault_level = 0.85
        streams = [hands.stream(interim=False) for _ in range(4)]
        for word, stream in zip((1, 2, 9, 3), streams, strict=True):
            stream.feed(speech(word, word))
            stream.flush()
        hands.end("one one")
        streams[3].cancel()
        hands.end("two two")
        hands.end("nine nine", "three three")
        assert hands.running_texts == [["nine nine"]]
        hands.end("nine nine")

    def test_a_broken_worker_ends_all_and_late_steps_tell_nobody(self, hands: ByHand) -> None:
        stream = hands.stream(interim=False)
        stream.feed(speech(1, 2, 3))
        stream.flush()
        hands.activity.fail(RuntimeError("broken"))
        hands.end("one two three")
        assert isinstance(stream.error, InternalError)
        assert stream.texts == []


class TestFiles:
    FILE = tuple(part for words in ((1, 1), (2, 2), (3, 3)) for part in (speech(*words), silence(3)))

    def test_a_file_leaves_the_last_step_to_somebody_who_speaks(self, hands: ByHand) -> None:
        live, file = hands.stream(), hands.stream(interim=False, whole=True)
        file.feed(*self.FILE)
        file.finish()
        assert hands.running_texts == [["one one"]]
        live.feed(speech(4, 5, 6, 7))
        assert hands.running_texts == [["four five six seven"], ["one one"]]
        hands.end("four five six seven")
        assert live.texts == [("four five six", False)]
        assert hands.running_texts == [["one one"]]
        live.cancel()
        hands.end_all()
        assert file.texts == [("one one", True), (" two two", True), (" three three", True)]

    def test_files_alone_take_all_steps(self, hands: ByHand) -> None:
        file = hands.stream(interim=False, whole=True)
        file.feed(np.concatenate(self.FILE))
        assert hands.running_texts == [["one one"], ["two two"]], "two windows, and a step for each"
        hands.end_all()
        assert [text for text, _ in file.texts] == ["one one", " two two", " three three"]

    def test_a_model_with_one_step_at_a_time_reads_files_beside_streams(self) -> None:
        model = HeldRecognizer(parallel_steps=1)
        hands = ByHand(model)
        model.holds = False  # it runs within a turn
        live, file = hands.stream(), hands.stream(interim=False, whole=True)
        file.feed(*self.FILE)
        file.finish()
        assert [text for text, _ in file.texts] == ["one one", " two two", " three three"]
        live.cancel()


class TestEffort:
    def test_files_are_worth_as_much_as_it_takes(self, hands: ByHand) -> None:
        file = hands.stream(interim=False, whole=True)
        file.feed(speech(1, 2, 3))
        file.finish()
        assert [step.efforts for step in hands.running] == [[Effort.WHOLE]]
        hands.end_all()

    def test_live_texts_are_worth_some_when_they_are_final_or_may_be(self, hands: ByHand) -> None:
        stream = hands.stream()
        stream.feed(speech(1, 2, 3, 4))
        assert [step.efforts for step in hands.running] == [[Effort.DRAFT]]
        hands.end("one two three four")
        stream.feed(silence(0.6))
        assert [step.efforts for step in hands.running] == [[Effort.LIVE]]
        hands.end("one two three four")
        stream.feed(speech(5, 6))
        stream.flush()
        efforts = {step.said[0].split()[-1]: step.efforts for step in hands.running}
        assert efforts["six"] == [Effort.LIVE]
        hands.end_all()

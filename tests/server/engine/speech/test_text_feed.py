"""Buffering of text on an injected clock, without threads."""

import pytest

from server.engine.speech.session import Cancel, Feed, Finish, Flush, SpeechCommand, SpeechSession
from server.engine.speech.text_feed import (
    AHEAD_CHARS,
    PIECE_CHARS,
    FinishText,
    FlushText,
    ForgetText,
    OpenText,
    PushText,
    SetControls,
    SetDelay,
    TextFeed,
)
from server.errors import InternalError
from server.requests.speech import Controls, SpeechRequest, StageTimes
from tests.fakes import ANNA, FakeFrontEnd, FakeSynthesizer


class Desk:
    """A text feed with one session, a clock that stands still, and what was sent to the model."""

    def __init__(self, delay_ms: int = 3000) -> None:
        self.now_s = 100.0
        self.sent: list[SpeechCommand] = []
        self.feed = TextFeed(FakeFrontEnd(), lambda: self.now_s)
        self.session = self.open(1, delay_ms)

    def open(self, id: int, delay_ms: int, key: str = "") -> SpeechSession:
        request = SpeechRequest("fake", ANNA, f"request-{id}", max_buffer_delay_ms=delay_ms, key_id=key)
        session = SpeechSession(id, request, FakeSynthesizer().info, StageTimes(self.now_s), lambda *_: None, self.sent.append)
        self.feed.handle(OpenText(session))
        return session

    def push(self, text: str) -> float | None:
        self.feed.handle(PushText(self.session, text))
        return self.work()

    def work(self) -> float | None:
        wait_s = self.feed.turn()
        while wait_s == 0.0:
            wait_s = self.feed.turn()
        return wait_s

    @property
    def spoken(self) -> list[str]:
        return [
            " ".join(word.text for word in segment.written)
            for command in self.sent
            if isinstance(command, Feed)
            for segment in command.segments
        ]


class TestDelay:
    def test_certain_sentences_do_not_wait(self) -> None:
        desk = Desk()
        desk.push("One. Two")
        assert desk.spoken == ["One."]

    def test_the_rest_waits_for_the_delay_and_no_longer(self) -> None:
        desk = Desk(delay_ms=500)
        assert desk.push("Hello") == pytest.approx(0.5)
        desk.now_s += 0.49
        assert desk.work() == pytest.approx(0.01)
        assert desk.spoken == []
        desk.now_s += 0.02
        assert desk.work() is None
        assert desk.spoken == ["Hello"]

    def test_the_oldest_text_counts(self) -> None:
        desk = Desk(delay_ms=500)
        desk.push("Hello ")
        desk.now_s += 0.4
        assert desk.push("there ") == pytest.approx(0.1)
        desk.now_s += 0.1
        desk.work()
        assert desk.spoken == ["Hello there"]

    def test_a_new_rest_starts_anew(self) -> None:
        desk = Desk(delay_ms=500)
        desk.push("Hello ")
        desk.now_s += 0.4
        assert desk.push("there. And") == pytest.approx(0.5)
        assert desk.spoken == ["Hello there."]

    def test_zero_speaks_each_push_at_once(self) -> None:
        desk = Desk(delay_ms=0)
        assert desk.push("Hello ") is None
        assert desk.push("there") is None
        assert desk.spoken == ["Hello", "there"]

    def test_delay_may_change(self) -> None:
        desk = Desk(delay_ms=3000)
        desk.push("Hello")
        desk.feed.handle(SetDelay(desk.session, 100))
        assert desk.work() == pytest.approx(0.1)

    def test_blank_text_never_waits(self) -> None:
        assert Desk().push("   ") is None


class TestOrder:
    def test_flush_and_finish_speak_the_rest_first(self) -> None:
        desk = Desk()
        desk.feed.handle(PushText(desk.session, "One"))
        desk.feed.handle(FlushText(desk.session))
        desk.feed.handle(PushText(desk.session, "Two"))
        desk.feed.handle(FinishText(desk.session))
        desk.work()
        assert [type(command) for command in desk.sent] == [Feed, Flush, Feed, Finish]
        assert desk.spoken == ["One", "Two"]

    def test_nothing_after_an_end(self) -> None:
        desk = Desk()
        desk.feed.handle(FinishText(desk.session))
        desk.work()
        desk.push("Late.")
        assert [type(command) for command in desk.sent] == [Finish]

    def test_forgotten_text_is_not_spoken(self) -> None:
        desk = Desk()
        desk.push("Hello")
        desk.feed.handle(ForgetText(desk.session))
        desk.now_s += 10
        assert desk.work() is None
        assert desk.sent == []

    def test_controls_hold_from_the_next_push(self) -> None:
        desk = Desk(delay_ms=0)
        desk.push("one")
        desk.feed.handle(SetControls(desk.session, Controls(speed=1.5)))
        desk.push("two")
        segments = [segment for command in desk.sent if isinstance(command, Feed) for segment in command.segments]
        assert [segment.utterance.phones[0].speed for segment in segments] == [1.0, 1.5]

    def test_sessions_take_turns(self) -> None:
        desk = Desk()
        other = desk.open(2, 3000)
        long = "A sentence of some length, to fill a piece. " * 100
        desk.feed.handle(PushText(desk.session, long))
        desk.feed.handle(PushText(other, "Short."))
        desk.feed.handle(FinishText(other))
        desk.work()
        assert [command.session.id for command in desk.sent[:3]] == [1, 2, 1]
        while desk.session.spoken_chars < 4300:
            desk.session.spoken_chars = max(c.chars_through for c in desk.sent if isinstance(c, Feed) and c.session.id == 1)
            desk.work()
        assert "".join(desk.spoken).count("length") == 100

    def test_text_is_read_as_far_ahead_as_is_useful(self) -> None:
        desk = Desk()
        wait_s = desk.push("A sentence of some length, to fill a piece. " * 100)
        assert wait_s == pytest.approx(0.1)
        posted_chars = max(command.chars_through for command in desk.sent if isinstance(command, Feed))
        assert AHEAD_CHARS < posted_chars <= AHEAD_CHARS + 2 * PIECE_CHARS
        assert desk.work() == pytest.approx(0.1)
        desk.session.spoken_chars = posted_chars
        desk.work()
        assert max(command.chars_through for command in desk.sent if isinstance(command, Feed)) > posted_chars + AHEAD_CHARS

    def test_a_newcomer_waits_for_one_piece(self) -> None:
        """Not for one piece of each of twenty, and not behind those who have something to hear."""
        desk = Desk()
        for id in range(2, 22):
            desk.feed.handle(PushText(desk.open(id, 3000), "A sentence of some length, to fill a piece. " * 100))
        for _ in range(25):
            assert desk.feed.turn() == 0.0
        desk.feed.handle(PushText(desk.session, "Short."))
        before = len(desk.sent)
        desk.feed.turn()
        assert [command.session.id for command in desk.sent[before:]] == [1]

    def test_keys_take_turns(self) -> None:
        desk = Desk()
        for id in range(2, 22):
            desk.feed.handle(PushText(desk.open(id, 3000, key="many"), "A sentence."))
        desk.feed.turn()
        desk.feed.handle(PushText(desk.open(50, 3000, key="few"), "Short."))
        desk.feed.turn()
        desk.feed.turn()
        assert [command.session.id for command in desk.sent] == [2, 50, 3]

    def test_pieces_lose_nothing(self) -> None:
        desk = Desk()
        text = "word " * 30 + "x" * (3 * PIECE_CHARS) + "  \n " * 60 + "end."
        desk.push(text)
        assert desk.spoken == [" ".join(text.split())]


class TestCounting:
    def test_characters_count_once_they_are_on_their_way(self) -> None:
        desk = Desk()
        desk.push("One. Two")
        desk.now_s += 3
        desk.work()
        through = [command.chars_through for command in desk.sent if isinstance(command, Feed)]
        assert through == [4, 8]

    def test_blank_text_counts_too(self) -> None:
        desk = Desk()
        desk.push("    ")
        assert [command.chars_through for command in desk.sent if isinstance(command, Feed)] == [4]


def test_a_fault_ends_its_session_only(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    other = desk.open(2, 0)
    desk.feed.handle(PushText(other, "Fine"))
    desk.push("CRASH here. ")
    (cancel,) = [command for command in desk.sent if isinstance(command, Cancel)]
    assert cancel.session is desk.session
    assert isinstance(cancel.error, InternalError)
    assert desk.spoken == ["Fine"]
    assert "request-1" in caplog.text

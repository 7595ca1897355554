from dataclasses import replace

import numpy as np

from models.hearing import Hypothesis, RecognizedWord
from server.engine.hearing.transcript_text import TranscriptText
from server.engine.hearing.windows import TurnMark, Window
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest, Turn, TurnPhase, TurnSettings

RATE_HZ = 16000


def window(seconds: float, *, start_s: float = 0.0, in_pause: bool = False, is_final: bool = False) -> Window:
    return Window(int(start_s * RATE_HZ), np.zeros(int(seconds * RATE_HZ), np.float32), is_final, 0.0, in_pause)


def texts(events: list[TranscriptEvent]) -> list[str]:
    return [
        event.text if isinstance(event, Transcript) else event.transcript
        for event in events
        if isinstance(event, Transcript | Turn)
    ]


def said(text: str) -> Hypothesis:
    return Hypothesis(text, words=(), mean_log_probability=-0.1, truncated=False)


def timed(text: str) -> Hypothesis:
    """Each word takes half a second."""
    words = (RecognizedWord(f" {word}", at / 2, at / 2 + 0.5, 0.9) for at, word in enumerate(text.split()))
    return replace(said(text), words=tuple(words))


def word_times(events: list[TranscriptEvent]) -> list[tuple[str, float, float]]:
    (event,) = events
    assert isinstance(event, Transcript)
    return [(word.word, word.start_s, word.end_s) for word in event.words]


def interim_text(*, interim: bool = True) -> TranscriptText:
    return TranscriptText(TranscriptionRequest("whisper", "request", interim=interim), RATE_HZ)


class TestInterimTranscripts:
    def test_the_newest_decoding_shows_without_the_word_that_is_still_being_said(self) -> None:
        text = interim_text()
        assert texts(text.partial(window(0.8), said("the cap"))) == ["the"]
        assert texts(text.partial(window(1.3), said("the captain sat"))) == ["the captain"]

    def test_a_decoding_takes_the_place_of_what_was_shown(self) -> None:
        text = interim_text()
        assert texts(text.partial(window(1.3), said("the cap tin"))) == ["the cap"]
        assert texts(text.partial(window(1.8), said("the captain sat"))) == ["the captain"]

    def test_in_a_pause_the_last_word_is_whole(self) -> None:
        assert texts(interim_text().partial(window(1.0, in_pause=True), said("the cat"))) == ["the cat"]

    def test_the_same_words_are_not_shown_twice(self) -> None:
        text = interim_text()
        assert texts(text.partial(window(1.0), said("the cat"))) == ["the"]
        assert text.partial(window(1.5), said("the cap")) == []

    def test_nothing_new_to_show_is_no_transcript(self) -> None:
        assert interim_text().partial(window(0.5), said("the")) == []
        assert interim_text(interim=False).partial(window(1.0), said("the cat sat")) == []

    def test_the_text_behind_a_final_one_begins_anew(self) -> None:
        text = interim_text()
        text.partial(window(1.0), said("the cat"))
        assert texts(text.final(window(1.0, is_final=True), said("the cat"))) == ["the cat"]
        assert texts(text.partial(window(1.0), said("the dog"))) == [" the"]

    def test_the_last_word_shows_once_the_decoding_before_had_it_too(self) -> None:
        text = interim_text()
        text.partial(window(1.0), said("the cat"))
        assert texts(text.partial(window(1.5), said("The cat."))) == ["The cat."]
        assert texts(text.partial(window(2.0), said("the cat sat"))) == ["the cat"]
        assert texts(text.partial(window(2.5), said("the cat"))) == []
        assert texts(text.partial(window(3.0), said("the cab"))) == ["the"]

    def test_only_the_end_is_decoded_anew_but_never_of_what_may_be_final(self) -> None:
        text = interim_text()
        for seconds, heard in ((1.0, "the captain"), (1.5, "the captain sat"), (2.0, "the captain sat down")):
            text.partial(window(seconds), said(heard))
        assert text.prefix(window(2.5), is_draft=True) == "the captain sat"
        assert text.prefix(window(2.5), is_draft=False) == ""

    def test_a_decoding_that_contradicts_what_would_be_kept_is_believed(self) -> None:
        text = interim_text()
        for seconds, heard in ((1.0, "the cap tin"), (1.5, "the cap tin sat"), (2.0, "the captain sat")):
            text.partial(window(seconds, in_pause=heard == "the captain sat"), said(heard))
        assert text.prefix(window(2.5), is_draft=True) == ""


class TestAwaitedWindows:
    """The first window is closed, from 0 to 1.5 s, and its final text is awaited; the open one begins at 2 s."""

    FIRST = window(1.5, in_pause=True)

    def test_interim_transcripts_show_their_words_before_the_new_ones(self) -> None:
        text = interim_text()
        assert texts(text.partial(self.FIRST, said("the cat sat."))) == ["the cat sat."]
        assert texts(text.partial(window(1.0, start_s=2.0), said("On the mat"), [0])) == ["the cat sat. On the"]
        assert texts(text.partial(window(1.5, start_s=2.0, in_pause=True), said("On the mat."), [0])) == [
            "the cat sat. On the mat."
        ]

    def test_words_are_joined_as_they_will_be_in_the_final_text(self) -> None:
        text = interim_text()
        text.partial(self.FIRST, said("and so, my friends,"))
        shown = texts(text.partial(window(1.0, start_s=2.0, in_pause=True), said("Ask not."), [0]))
        assert shown == ["and so, my friends, ask not."]
        final = texts(text.final(self.FIRST, said("and so, my friends,")))
        final += texts(text.final(window(1.0, start_s=2.0, is_final=True), said("Ask not.")))
        assert "".join(final) == shown[0]

    def test_showing_words_does_not_change_how_the_next_are_joined(self) -> None:
        text = interim_text()
        for _ in range(2):
            text.partial(window(1.0, in_pause=True), said("and so,"))
            text.partial(window(1.5, in_pause=True), said("and so, my friends."))
        assert texts(text.final(self.FIRST, said("And so, my friends."))) == ["And so, my friends."]

    def test_words_of_both_have_times_in_the_stream(self) -> None:
        text = interim_text()
        assert word_times(text.partial(self.FIRST, timed("the cat"))) == [("the", 0.0, 0.5), ("cat", 0.5, 1.0)]
        events = text.partial(window(1.5, start_s=2.0), timed("sat down here"), [0])
        assert texts(events) == ["the cat sat down"]
        assert word_times(events) == [("the", 0.0, 0.5), ("cat", 0.5, 1.0), ("sat", 2.0, 2.5), ("down", 2.5, 3.0)]
        events = text.partial(window(2.5, start_s=2.0), timed("sat down here at last"), [0])
        assert word_times(events)[2:] == [("sat", 2.0, 2.5), ("down", 2.5, 3.0), ("here", 3.0, 3.5), ("at", 3.5, 4.0)]

    def test_behind_the_final_text_only_the_new_words_show(self) -> None:
        text = interim_text()
        text.partial(self.FIRST, said("the cat sat."))
        text.partial(window(1.0, start_s=2.0), said("On the mat"), [0])
        assert texts(text.final(self.FIRST, said("The cat sat."))) == ["The cat sat."]
        assert texts(text.partial(window(1.2, start_s=2.0), said("On the mat by"))) == [" On the mat"]

    def test_the_same_words_show_again_behind_a_final_text(self) -> None:
        text = interim_text()
        shown = []
        for start_s in (0.0, 2.0, 4.0):
            shown += texts(text.partial(window(1.0, start_s=start_s, in_pause=True), said("yes")))
            text.final(window(1.0, start_s=start_s, is_final=True), said("yes"))
        assert shown == ["yes", " yes", " yes"]

    def test_words_of_a_window_that_is_no_longer_there_are_dropped(self) -> None:
        """A window that is cut where its text left out a phrase goes on under another start."""
        text = interim_text()
        text.partial(self.FIRST, said("the cat sat."))
        assert texts(text.partial(window(1.0, start_s=2.0, in_pause=True), said("on the mat"))) == ["on the mat"]
        assert text.prefix(self.FIRST, is_draft=True) == ""

    def test_a_window_without_an_awaited_text_leaves_nothing_to_agree_with(self) -> None:
        text = interim_text()
        for _ in range(2):
            text.partial(self.FIRST, said("the cat sat."))
        assert text.prefix(self.FIRST, is_draft=True) == "the cat sat."
        text.final(self.FIRST, said("the cat sat."))
        assert text.prefix(self.FIRST, is_draft=True) == ""

    def test_the_duration_goes_from_the_last_final_text_to_the_end_of_the_open_window(self) -> None:
        text = interim_text()
        (first,) = text.final(self.FIRST, said("the cat sat."))
        (second,) = text.partial(window(1.0, start_s=2.0, in_pause=True), said("on the mat"))
        assert isinstance(first, Transcript)
        assert isinstance(second, Transcript)
        assert (first.duration_s, second.duration_s) == (1.5, 1.5)


class TestScriptsWithoutSpaces:
    def test_partial_texts_grow_by_characters(self) -> None:
        text = interim_text()
        assert texts(text.partial(window(0.8), said("今日"))) == ["今"]
        assert texts(text.partial(window(1.3), said("今日はい"))) == ["今日は"]
        assert texts(text.final(window(1.5, is_final=True), said("今日はいい。"))) == ["今日はいい。"]
        assert texts(text.final(window(1.5, is_final=True), said("はい"))) == ["はい"]

    def test_a_turn_grows_by_the_characters_that_two_decodings_agree_on(self) -> None:
        text = TranscriptText(TranscriptionRequest("whisper", "request", turns=TurnSettings()), RATE_HZ)
        text.turn(TurnMark(TurnPhase.START, 0.0))
        assert text.partial(window(1.0), said("今日は")) == []
        assert texts(text.partial(window(1.5), said("今日わいい"))) == ["今日"]
        assert text.prefix(window(2.5), is_draft=True) == "今日"

    def test_times_are_of_the_words_that_are_shown(self) -> None:
        text = interim_text()
        words = tuple(RecognizedWord(word, at, at + 0.5, 0.9) for at, word in enumerate(("今日", "は", "いい")))
        (event,) = text.partial(window(3.0), Hypothesis("今日はいい", words, -0.1, False))
        assert isinstance(event, Transcript)
        assert [word.word for word in event.words] == ["今日", "は", "い"]


class TestJoins:
    def test_a_window_that_goes_on_with_a_sentence_loses_its_capital_in_the_times_as_well(self) -> None:
        text = interim_text()
        text.final(window(1.0, is_final=True), said("and so, my friends,"))
        words = (RecognizedWord(" Ask", 0.0, 0.5, 0.9), RecognizedWord(" not.", 0.5, 1.0, 0.9))
        (event,) = text.final(window(1.0, is_final=True), Hypothesis("Ask not.", words, -0.1, False))
        assert isinstance(event, Transcript)
        assert event.text == " ask not."
        assert [word.word for word in event.words] == ["ask", "not."]

    def test_what_is_cut_off_says_so(self) -> None:
        text = interim_text()
        (event,) = text.final(window(1.0, is_final=True), replace(said("and so"), truncated=True))
        assert isinstance(event, Transcript)
        assert event.truncated


class TestTurns:
    def test_a_word_shows_once_two_decodings_agree(self) -> None:
        text = TranscriptText(TranscriptionRequest("whisper", "request", turns=TurnSettings()), RATE_HZ)
        text.turn(TurnMark(TurnPhase.START, 0.0))
        assert text.partial(window(1.0), said("the cap tin")) == []
        assert texts(text.partial(window(1.5), said("the captain sat"))) == ["the"]

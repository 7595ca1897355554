from dataclasses import replace

import numpy as np

from models.hearing import Hypothesis, RecognizedWord
from server.engine.hearing.transcript_text import TranscriptText
from server.engine.hearing.windows import TurnMark, Window
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest, Turn, TurnPhase, TurnSettings

RATE_HZ = 16000


def window(seconds: float, *, in_pause: bool = False, is_final: bool = False) -> Window:
    return Window(0, np.zeros(int(seconds * RATE_HZ), np.float32), is_final, 0.0, in_pause)


def texts(events: list[TranscriptEvent]) -> list[str]:
    return [
        event.text if isinstance(event, Transcript) else event.transcript
        for event in events
        if isinstance(event, Transcript | Turn)
    ]


def said(text: str) -> Hypothesis:
    return Hypothesis(text, words=(), mean_log_probability=-0.1, truncated=False)


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

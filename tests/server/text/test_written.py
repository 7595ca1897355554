"""Text for models that read it by themselves."""

import pytest

from models.speech import Delivery, Utterance
from server.errors import InvalidRequest
from server.requests.speech import Controls
from server.text.frontend import TextFrontEnd
from server.text.segmenter import Take
from server.text.words import TextSegment


def read(text: str, language: str = "en", controls: Controls | None = None) -> list[TextSegment]:
    stream = TextFrontEnd(()).open(controls or Controls(), language=language, reads="text")
    stream.push(text)
    segments = stream.take(Take.END)
    stream.check_end()
    return segments


def utterances(text: str, language: str = "en") -> list[Utterance]:
    return [segment.utterance for segment in read(text, language)]


def test_text_is_what_was_written_sentence_by_sentence() -> None:
    assert utterances("Dr. Smith owes\n $3.50.  He pays.") == [Utterance("Dr. Smith owes $3.50."), Utterance("He pays.")]
    (first, second) = read("Dr. Smith owes $3.50.  He pays.")
    assert [word.text for word in first.spoken] == first.utterance.text.split() == [word.text for word in first.written]
    assert [(word.text, word.start_chars, word.end_chars) for word in second.written] == [("He", 23, 25), ("pays.", 26, 31)]


def test_languages_that_no_front_end_reads() -> None:
    assert utterances("こんにちは。元気ですか？", language="ja") == [Utterance("こんにちは。"), Utterance("元気ですか？")]
    assert utterances("Er kam am 3. Mai. Dann ging er.", language="de") == [
        Utterance("Er kam am 3. Mai."), Utterance("Dann ging er."),
    ]  # fmt: skip


def test_pauses_stand_after_what_they_follow() -> None:
    assert utterances('<break time="1s"/>One, <break time="200ms"/><break time="50ms"/>two. [laughter] Three.') == [
        Utterance("", pause_ms=1000), Utterance("One,", pause_ms=250), Utterance("two."),
        Utterance("", pause_ms=250), Utterance("Three."),
    ]  # fmt: skip


def test_another_way_of_speaking_begins_another_utterance() -> None:
    said = utterances('One <emotion value="angry"/>two <emotion value="neutral"/><speed ratio="1.2"/>three.')
    assert said == [
        Utterance("One"), Utterance("two", delivery=Delivery(emotion="angry")),
        Utterance("three.", delivery=Delivery(speed=1.2)),
    ]  # fmt: skip
    stream = TextFrontEnd(()).open(Controls(emotion="sad"), reads="text")
    stream.push("One. ")
    stream.push("Two.", Controls(volume=0.5))
    assert [segment.utterance.delivery for segment in stream.take(Take.END)] == [Delivery(emotion="sad"), Delivery(volume=0.5)]


def test_spelled_words_are_single_letters_of_one_written_word() -> None:
    (segment,) = read("Code <spell>A7b</spell> now.")
    assert segment.utterance.text == "Code A 7 b now."
    assert [(word.text, word.written_index) for word in segment.spoken] == [
        ("Code", 0), ("A", 1), ("7", 1), ("b", 1), ("now.", 2),
    ]  # fmt: skip
    assert [word.text for word in segment.written] == ["Code", "A7b", "now."]


def test_signs_alone_are_not_spoken() -> None:
    assert utterances("Well, yes. ... !!!") == [Utterance("Well, yes.")]
    with pytest.raises(InvalidRequest, match=r"'\.\.\.' holds nothing that can be spoken"):
        read("...")
    assert read("  ") == []


def test_phones_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"cannot speak the phones '<<k\|æ\|t>>'") as refusal:
        read("A <<k|æ|t>>.")
    assert refusal.value.field == "transcript"


def test_the_cut_does_not_depend_on_how_text_comes() -> None:
    text = "The first sentence is here. A second one, with a clause in it, follows! And <spell>XY</spell>."
    whole = utterances(text)
    stream = TextFrontEnd(()).open(Controls(), reads="text")
    pieces: list[TextSegment] = []
    for letter in text:
        stream.push(letter)
        pieces += stream.take(Take.READY)
    assert pieces, "nothing was ready before the end"
    assert [segment.utterance for segment in (*pieces, *stream.take(Take.END))] == whole

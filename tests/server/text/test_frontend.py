"""Text in, segments of phones out: words, spans, pauses."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.phones import PAUSES, PHONES, VOWELS
from server.errors import InvalidRequest
from server.requests.speech import Controls, Pronunciations, Replacement
from server.text.frontend import LEADING_SILENCE_MS, Take, TextFrontEnd, TextSegment


def speak(front_end: TextFrontEnd, text: str) -> list[TextSegment]:
    stream = front_end.open(Controls())
    stream.push(text)
    return stream.take(Take.END)


def symbols(segment: TextSegment) -> list[str]:
    return [phone.symbol for phone in segment.utterance.phones]


def test_a_sentence(front_end: TextFrontEnd) -> None:
    (segment,) = speak(front_end, "The cat, sat.")
    assert symbols(segment) == ["_", "ð", "ə", "k", "æ", "t", ",", "s", "æ", "t", "."]
    assert segment.utterance.phones[0].duration_ms == LEADING_SILENCE_MS
    assert [phone.word for phone in segment.utterance.phones] == [-1, 0, 0, 1, 1, 1, -1, 2, 2, 2, -1]
    assert [phone.starts_word for phone in segment.utterance.phones][1:4] == [True, False, True]
    assert [(word.text, word.start_chars, word.end_chars) for word in segment.written] == [
        ("The", 0, 3),
        ("cat,", 4, 8),
        ("sat.", 9, 13),
    ]


def test_only_the_first_segment_has_leading_silence(front_end: TextFrontEnd) -> None:
    first, second = speak(front_end, "One. Two.")
    assert symbols(first)[0] == "_"
    assert symbols(second)[0] == "t"


@pytest.mark.parametrize(
    ("text", "ending"),
    [("Yes.", "."), ("Yes!", "!"), ("Yes?", "?"), ("Yes", "."), ("Yes,", ","), ("Yes...", "."), ("Dr.", "."), ("Yes?!", "?")],
)
def test_ending(front_end: TextFrontEnd, text: str, ending: str) -> None:
    assert symbols(speak(front_end, text)[-1])[-1] == ending


def test_timer_ends_with_a_plain_pause(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    stream.push("I would like to ")
    (segment,) = stream.take(Take.TIMER)
    assert symbols(segment)[-1] == "_"


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "😀", "!?", "- ", "<speed ratio='1.2'/>", "()"])
def test_nothing_to_say_is_no_segment(front_end: TextFrontEnd, text: str) -> None:
    assert speak(front_end, text) == []


def test_pending_text(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    states = [stream.has_pending_text]
    for text in ("  \n", "Hello"):
        stream.push(text)
        states.append(stream.has_pending_text)
    assert stream.take(Take.READY) == []
    assert stream.take(Take.END)
    assert [*states, stream.has_pending_text] == [False, False, True, False]


def test_written_words_are_substrings_in_order(front_end: TextFrontEnd) -> None:
    text = 'Dr. Smith paid $3.50 (or €2) on <break time="1s"/>5 May 2024 — at 3:30pm, e.g. via x@y.com! 😀 It\'s "fine".'
    offset = 0
    for segment in speak(front_end, text):
        for word in segment.written:
            assert text[word.start_chars : word.end_chars] == word.text
            assert text.find(word.text, offset) >= offset
            assert word.start_chars >= offset
            offset = word.end_chars


def test_offsets_count_from_the_first_push(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    stream.push("First one. ")
    heard = stream.take(Take.READY)
    stream.push("Second.")
    heard += stream.take(Take.END)
    assert [(word.text, word.start_chars) for segment in heard for word in segment.written] == [
        ("First", 0),
        ("one.", 6),
        ("Second.", 11),
    ]


def test_replacements_reach_the_phones(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls(), pronunciations=Pronunciations((Replacement("GIF", "<<dʒ|ɪ|f>>"),)))
    stream.push("A gif.")
    (segment,) = stream.take(Take.END)
    assert symbols(segment) == ["_", "ə", "dʒ", "ɪ", "f", "."]
    assert [word.text for word in segment.written] == ["A", "gif."]


def test_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="tlh"):
        TextFrontEnd(["en", "tlh"])


ANY_TEXT = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["hello ", "Dr. ", "$3.50", "12:30", "<break time='1s'/>", "<spell>", "</spell>", "<<k|æ>>", "<", ">>",
             "[laughter]", ". ", ", ", "Zürich ", "東京", "\n\n", "FBI ", "x" * 30, "a@b.com ", "1/2 ", "? "]
        ),
    ),
    max_size=15,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT, data=st.data())
def test_whatever_the_text_segments_are_well_formed(front_end: TextFrontEnd, text: str, data: st.DataObject) -> None:
    stream = front_end.open(Controls())
    cut = data.draw(st.integers(0, len(text)))
    stream.push(text[:cut])
    try:
        heard = stream.take(data.draw(st.sampled_from([Take.READY, Take.TIMER, Take.INPUT])))
        stream.push(text[cut:])
        heard += stream.take(Take.END)
    except InvalidRequest:  # it begins in another script
        letters = filter(str.isalpha, unicodedata.normalize("NFKC", text))
        assert not all(unicodedata.name(letter, "").startswith("LATIN ") for letter in letters)
        return
    previous_end = 0
    for segment in heard:
        phones = segment.utterance.phones
        assert phones[-1].symbol in PAUSES
        for phone in phones:
            assert phone.symbol in PHONES
            assert (phone.word == -1) == (phone.symbol in PAUSES)
            assert phone.stress in (0, 1, 2)
            assert phone.stress == 0 or phone.symbol in VOWELS
        assert [phone.word for phone in phones if phone.starts_word] == list(range(len(segment.spoken)))
        assert {word.written_index for word in segment.spoken} == set(range(len(segment.written)))
        for word in segment.written:
            assert previous_end <= word.start_chars < word.end_chars
            assert text[word.start_chars : word.end_chars] == word.text
            previous_end = word.end_chars
    assert not stream.has_pending_text

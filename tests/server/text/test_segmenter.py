"""Cuts of streamed text: early, certain, and the same however the text was pushed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.text.segmenter import MAX_CHARS, Segmenter, Take

ALPHABET = st.sampled_from(
    [
        "Dr.", "Mr. ", "Smith", "word", "a", " ", " ", " ", ". ", ".", "?", "!", "...", "… ", ", ", ",", "; ", ":", "—", " -- ",
        "-", "3.14", "5", "$", "$3.50", "1,000", "U.S. ", "The ", "etc. ", "St. ", "\n", "\n\n", "\n- ", "1. ", "<", ">",
        "<<", ">>", '<break time="1s"/>', "<spell>", "</spell>", "<<k|æ|t>>", "[laughter]", "[", "]", "(", ")", '"', "'", "é",
        "😀", "x" * 60, "and ", "which ", "/", "http://a.b/c",
    ]
)  # fmt: skip
TEXTS = st.lists(ALPHABET, max_size=40).map("".join)


def cut_whole(text: str) -> list[tuple[str, str]]:
    segmenter = Segmenter()
    segmenter.push(text)
    return [(piece.text, piece.ending) for piece in segmenter.take(Take.END)]


def cut_in_parts(parts: list[str]) -> list[tuple[str, str]]:
    segmenter = Segmenter()
    pieces = []
    for part in parts:
        segmenter.push(part)
        pieces += segmenter.take(Take.READY)
    pieces += segmenter.take(Take.END)
    return [(piece.text, piece.ending) for piece in pieces]


def ready(text: str) -> list[str]:
    segmenter = Segmenter()
    segmenter.push(text)
    return [piece.text for piece in segmenter.take(Take.READY)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you? Fine! Ok", ["Hello there.", " How are you?", " Fine!"]),
        ("Hello there.", []),
        ("Hello there. ", ["Hello there."]),
        ('He said "Stop." Then he left. ', ['He said "Stop."', " Then he left."]),
        ("Dr. Smith came. Mr. ", ["Dr. Smith came."]),
        ("It costs $3.", []),
        ("It costs $3.50 or 2.5 euros. ", ["It costs $3.50 or 2.5 euros."]),
        ("Use v1.2.3 of example.com today. ", ["Use v1.2.3 of example.com today."]),
        ("He lives on Elm St. ", []),
        ("He lives on Elm St. The house", ["He lives on Elm St."]),
        ("St. John was here. ", ["St. John was here."]),
        ("The U.S. economy grew. ", ["The U.S. economy grew."]),
        ("He went to the U.S. The next day ", ["He went to the U.S."]),
        ("Apples, pears, etc. Then more. ", ["Apples, pears, etc.", " Then more."]),
        ("Wait... what? ", ["Wait... what?"]),
        ("Wait... What? ", ["Wait...", " What?"]),
        ("1. First item. 2. ", ["1. First item."]),
        ("This is a rather long start, and it goes on", ["This is a rather long start,"]),
        ("On May 5, 2024, we met at the station, and", ["On May 5, 2024, we met at the station,"]),
        ("Title\n\nBody", ["Title"]),
        ("Items:\n- one thing\n- two things\n- three", ["Items:", "\n- one thing", "\n- two things"]),
        ("a single\nline break goes on", []),
        ("No. 5 is alive. ", ["No. 5 is alive."]),
        ("I say no. Never again. ", ["I say no.", " Never again."]),
        ('Wait <break time="1.5s"/> here. ', ['Wait <break time="1.5s"/> here.']),
        ("Spell <spell>A.B. C.</spell> now. ", ["Spell <spell>A.B. C.</spell> now."]),
        ('Hello.<break time="1s"/>World', ["Hello."]),
        ("e.g. this, i.e. that vs. those. ", ["e.g. this, i.e. that vs. those."]),
        ("Plan B. It works. ", ["Plan B.", " It works."]),
        ("J. Smith wrote it. ", ["J. Smith wrote it."]),
    ],
)
def test_takes_what_is_certain(text: str, pieces: list[str]) -> None:
    assert ready(text) == pieces


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.data())
def test_cuts_do_not_depend_on_the_pushes(text: str, data: st.DataObject) -> None:
    parts = []
    rest = text
    while rest:
        size = data.draw(st.integers(1, 12))
        parts.append(rest[:size])
        rest = rest[size:]
    assert cut_in_parts(parts) == cut_whole(text)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.sampled_from([Take.READY, Take.TIMER, Take.INPUT]), max_size=20))
def test_every_character_leaves_once_and_in_order(text: str, modes: list[Take]) -> None:
    segmenter = Segmenter()
    pieces = []
    size = max(1, len(text) // (len(modes) + 1))
    for index, mode in enumerate(modes):
        segmenter.push(text[index * size : (index + 1) * size])
        pieces += segmenter.take(mode)
    segmenter.push(text[len(modes) * size :])
    pieces += segmenter.take(Take.END)
    assert "".join(piece.text for piece in pieces) == text
    position = 0
    for piece in pieces:
        assert piece.start_chars == position
        position += len(piece.text)


def test_long_text_without_marks_is_cut_between_words() -> None:
    text = "word " * 200
    pieces = ready(text)
    assert len(pieces) >= 3
    assert all(len(piece) <= MAX_CHARS for piece in pieces)
    assert all(piece.startswith((" word", "word")) and piece.endswith("word") for piece in pieces)


def test_a_very_long_word_is_cut_rather_than_kept() -> None:
    assert ready("x" * 5000)


def test_timer_holds_an_unfinished_word_once() -> None:
    segmenter = Segmenter()
    segmenter.push("I would li")
    assert [piece.text for piece in segmenter.take(Take.TIMER)] == ["I would "]
    segmenter.push("ke")
    assert [piece.text for piece in segmenter.take(Take.TIMER)] == ["like"]


@pytest.mark.parametrize("tail", ["<", "<br", '<break time="1', "<<k|æ", "<<k|æ>", "[laugh", "<spell>AB", "</sp"])
@pytest.mark.parametrize("mode", [Take.TIMER, Take.INPUT])
def test_unfinished_markup_waits(tail: str, mode: Take) -> None:
    segmenter = Segmenter()
    segmenter.push("Some text, " + tail)
    assert "".join(piece.text for piece in segmenter.take(mode)) == "Some text, "
    assert "".join(piece.text for piece in segmenter.take(Take.END)) == tail


def test_input_mode_gives_half_words() -> None:
    segmenter = Segmenter()
    segmenter.push("Hel")
    assert [piece.text for piece in segmenter.take(Take.INPUT)] == ["Hel"]

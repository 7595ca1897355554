"""How texts are compared: normalized as Whisper's own figures are, counted by words or by characters."""

import math

import numpy as np
import pytest

from benchmarks.real.comparison import PEER, ReadClip, groups, half_characters, lost, read_all, row_of, worse_clips
from benchmarks.real.scoring import Errors, errors, normalized, total
from benchmarks.real.speech_sets import Clip

pytestmark = pytest.mark.real


def clip(text: str, language: str = "en", name: str = "a") -> Clip:
    return Clip(name, language, text, np.zeros(16_000, np.float32))


def read(said: str, ours: str, theirs: str, language: str = "en") -> ReadClip:
    return ReadClip(clip(said, language), {"whole": ours, PEER: theirs})


@pytest.mark.parametrize(
    ("said", "heard", "language", "expected"),
    [
        ("It's twenty-five dollars.", "it is $25", "en", Errors(3, 0, 0, 0)),
        ("cat dog bird", "cat fox bird ant", "en", Errors(3, 1, 0, 1)),
        ("cat dog bird", "", "en", Errors(3, 0, 3, 0)),
        ("天地玄黄，宇宙洪荒。", "天地 玄皇宇宙洪", "zh", Errors(8, 1, 1, 0)),
        ("नमस्ते दुनिया", "नमस्ते, दुनियां", "hi", Errors(2, 1, 0, 0)),
    ],
)
def test_errors(said: str, heard: str, language: str, expected: Errors) -> None:
    assert errors(said, heard, language) == expected


def test_hindi_keeps_its_vowels() -> None:
    assert normalized("नमस्ते!", "hi") == "नमस्ते"


def test_a_set_counts_all_errors_over_all_words() -> None:
    assert total([Errors(10, 1, 0, 0), Errors(30, 0, 2, 1)]).percent == 10.0
    assert math.isnan(total([]).percent)


def test_nothing_said_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing that counts"):
        errors("[music]", "word", "en")


def test_a_row_holds_both_engines_and_their_difference() -> None:
    clips = [read("a b c d", "a b c x", "a b c d"), read("e f g h", "", "e f g h"), read("i j", "i \ufffd\ufffd", "i j")]
    row = row_of(clips, ["whole"])
    assert row == {
        "clips": 3, "said": 10, PEER: 0.0, "whole": 60.0, f"whole - {PEER}": 60.0, "whole: empty": 1, "whole: U+FFFD": 2,
    }  # fmt: skip
    assert lost(clips, "whole") == clips[1:2]
    assert half_characters(clips, PEER) == 0
    assert worse_clips(clips, "whole") == [clips[1], clips[0], clips[2]]


def test_languages_are_grouped_by_what_is_counted() -> None:
    clips = [read("a", "a", "a"), read("ein", "ein", "ein", "de"), read("天", "天", "天", "zh")]
    assert [*groups("languages", clips)] == [
        "languages, words", "languages, characters", "languages, de", "languages, en", "languages, zh"
    ]  # fmt: skip
    assert groups("kokoro", clips[:1]) == {"kokoro": clips[:1]}


def test_every_reader_reads_every_clip() -> None:
    clips = [clip("one", name="1"), clip("two", name="2")]
    result = read_all(clips, {"whole": lambda c: c.text, PEER: lambda c: c.name})
    assert [(r.texts["whole"], r.texts[PEER]) for r in result] == [("one", "1"), ("two", "2")]

"""whisper-base in our engine, installed with `descant models import`, beside faster-whisper with the same weights."""

import pytest

from benchmarks.real.comparison import PEER, ReadClip, error_rate, half_characters, lost, worse_clips
from benchmarks.real.scoring import COUNTED_BY_CHARACTER, normalized
from benchmarks.real.speech_sets import SETS, TWICE
from tests.real.conftest import STREAMED, ReadSet

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

MARGIN_POINTS = 0.3
STREAMED_MARGIN_POINTS = 1.0
GOOD_STORY = TWICE[0]


def shown(read: list[ReadClip], reader: str) -> str:
    """The clips at fault, for whoever reads a failure."""
    return "\n".join(
        f"{clip.clip.name}\n  said: {clip.clip.text}\n  ours: {clip.texts[reader]}\n  {PEER}: {clip.texts[PEER]}"
        for clip in worse_clips(read, reader)
    )


def counted_together(read: list[ReadClip]) -> list[list[ReadClip]]:
    """Words and characters are not added up."""
    characters = [clip for clip in read if clip.clip.language in COUNTED_BY_CHARACTER]
    words = [clip for clip in read if clip.clip.language not in COUNTED_BY_CHARACTER]
    return [part for part in (words, characters) if part]


def said_as_often(clip: ReadClip, reader: str, phrase: str) -> bool:
    wanted, text = normalized(phrase, "en"), normalized(clip.texts[reader], "en")
    return text.count(wanted) == normalized(clip.clip.text, "en").count(wanted)


@pytest.mark.parametrize("name", SETS)
def test_no_more_errors_than_faster_whisper(read_set: ReadSet, name: str) -> None:
    for part in counted_together(read_set(name)):
        assert error_rate(part, "whole") <= error_rate(part, PEER) + MARGIN_POINTS, shown(part, "whole")


@pytest.mark.parametrize("name", STREAMED)
def test_streamed_finals_are_nearly_as_good_as_the_whole_file(read_set: ReadSet, name: str) -> None:
    for part in counted_together(read_set(name)):
        assert error_rate(part, "streamed") <= error_rate(part, "whole") + STREAMED_MARGIN_POINTS, shown(part, "streamed")


@pytest.mark.parametrize("name", SETS)
def test_nothing_that_faster_whisper_writes_comes_out_empty(read_set: ReadSet, name: str) -> None:
    read = read_set(name)
    for reader in read[0].texts:
        assert not [(reader, clip.clip.name) for clip in lost(read, reader)]


@pytest.mark.parametrize("name", SETS)
def test_no_half_character_leaves(read_set: ReadSet, name: str) -> None:
    read = read_set(name)
    for reader in set(read[0].texts) - {PEER}:
        assert half_characters(read, reader) == 0


@pytest.mark.parametrize("reader", ["whole", "streamed"])
def test_jfk_is_exact(read_set: ReadSet, reader: str) -> None:
    (jfk,) = [clip for clip in read_set("human") if clip.clip.name == "jfk"]
    assert normalized(jfk.texts[reader], "en") == normalized(jfk.clip.text, "en")


@pytest.mark.parametrize("reader", ["whole", "streamed"])
def test_what_is_said_twice_is_written_twice(read_set: ReadSet, reader: str) -> None:
    read = read_set("twice")
    stories = [clip for clip in read if clip.clip.text == GOOD_STORY]
    assert len(stories) == 6
    wrong = [clip.texts[reader] for clip in stories if not said_as_often(clip, reader, "that's a good story")]
    assert not wrong
    times = [clip for clip in read if clip.clip.text == TWICE[1]]
    for phrase in ("of times", "it was the", "age of wisdom"):
        assert not [clip.texts[reader] for clip in times if not said_as_often(clip, reader, phrase)]

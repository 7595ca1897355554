"""Segments of a text that cannot have been said."""

import pytest

from models.whisper.timestamps import said_within

STAMPS = range(100, 200)
"""A timestamp is an encoder position; the audio has 50 of them, loud up to the 40th."""
A, B = (1, 2, 3), (4, 5)


def kept(*tokens: int, loud_until: int = 40, end: int = 50) -> list[int]:
    return said_within(tokens, STAMPS, loud_until, end)


def segment(start: int, text: tuple[int, ...], end: int) -> tuple[int, ...]:
    return (100 + start, *text, 100 + end)


@pytest.mark.parametrize(
    "tokens",
    [
        (),
        (1, 2),
        segment(0, A, 30),
        (*segment(0, A, 20), *segment(20, B, 45)),
        (*segment(0, A, 20), *segment(20, A, 39)),  # said twice, and heard twice
        (*segment(0, A, 39), *segment(42, B, 49)),  # quietly, but other words
        (*segment(60, A, 70),),  # the first is all there is
        (100, *A),
    ],
)
def test_what_may_have_been_said_stays(tokens: tuple[int, ...]) -> None:
    assert kept(*tokens) == list(tokens)


def test_a_segment_that_begins_behind_the_audio_goes_with_all_that_follows() -> None:
    first = segment(0, A, 45)
    assert kept(*first, *segment(50, B, 60)) == list(first)
    assert kept(*first, *segment(55, B, 60), *segment(60, A, 70)) == list(first)
    assert kept(*first, *segment(49, B, 60)) == [*first, *segment(49, B, 60)]


def test_a_copy_that_begins_behind_the_last_loud_moment_goes() -> None:
    first = segment(0, A, 40)
    assert kept(*first, *segment(40, A, 48)) == list(first)
    assert kept(*first, *segment(39, A, 48)) == [*first, *segment(39, A, 48)]
    assert kept(*first, *segment(40, A, 48), loud_until=45) == [*first, *segment(40, A, 48)]


def test_a_copy_is_one_of_the_segment_before() -> None:
    said = (*segment(0, A, 20), *segment(20, B, 41))
    assert kept(*said, *segment(41, B, 48)) == list(said)
    assert kept(*said, *segment(41, A, 48)) == [*said, *segment(41, A, 48)]


def test_segments_with_one_timestamp_between_them() -> None:
    assert kept(100, *A, 141, *A, 148) == [100, *A]
    assert kept(100, *A, 141, *B, 148) == [100, *A, 141, *B, 148]
    assert kept(100, *A, 151, *B) == [100, *A]


def test_a_copy_that_was_cut_off_is_no_copy() -> None:
    assert kept(*segment(0, A, 40), 142, 1, 2) == [*segment(0, A, 40), 142, 1, 2]

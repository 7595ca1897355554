import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bench.words import Heard, Sent, SpokenWord, matched_words, scored_words, word_errors, word_lags_s

FEW_WORDS = st.lists(st.sampled_from("a b c d".split()), max_size=8)


@given(FEW_WORDS.filter(bool), FEW_WORDS)
def test_word_errors_are_jiwers(said: list[str], heard: list[str]) -> None:
    judged = jiwer.process_words(" ".join(said), " ".join(heard))
    assert word_errors(said, heard) == judged.substitutions + judged.deletions + judged.insertions


@given(FEW_WORDS, FEW_WORDS)
def test_matches_are_equal_words_in_order_within_the_fewest_errors(said: list[str], heard: list[str]) -> None:
    matched = matched_words(said, heard)
    assert matched == sorted(set(matched))
    rest = iter(heard)
    assert all(said[index] in rest for index in matched)
    assert len(matched) >= max(len(said), len(heard)) - word_errors(said, heard)


def test_of_two_equal_words_the_earlier_is_the_one_that_was_heard() -> None:
    assert matched_words("the cat and the dog".split(), ["the"]) == [0]
    assert matched_words("the cat and the dog".split(), "the cat and the".split()) == [0, 1, 2, 3]


def test_scored_words() -> None:
    assert scored_words("Well, it's 9 o'clock—twenty-one!") == ["well", "it's", "9", "o'clock", "twenty", "one"]
    assert scored_words(" ?! ") == []


WORDS = (SpokenWord("one", 0.0, 0.25), SpokenWord("two", 0.25, 0.5), SpokenWord("three", 0.6, 0.95))
SENT = [Sent(10.0 + 0.1 * n, 0.1 * (n + 1)) for n in range(10)]
"""Tenths of a second, each sent as soon as the one before it is over."""


def test_lag_counts_from_the_sending_of_the_words_last_audio() -> None:
    heard = [Heard(10.5, "One"), Heard(10.7, "one two"), Heard(11.0, "one too three"), Heard(11.3, "one two three.")]
    # 0.25 s lies in the third piece, sent at 10.2; 0.5 in the fifth; 0.95 in the last.
    assert word_lags_s(WORDS, SENT, heard) == pytest.approx([0.3, 0.3, 0.1])


def test_a_word_that_was_never_heard_has_no_lag() -> None:
    assert word_lags_s(WORDS, SENT, [Heard(11.0, "one to three")]) == [pytest.approx(0.8), None, pytest.approx(0.1)]
    assert word_lags_s(WORDS, SENT, []) == [None, None, None]
    assert word_lags_s((), SENT, [Heard(11.0, "one")]) == []


def test_a_word_cannot_be_heard_before_it_has_begun() -> None:
    words = (SpokenWord("no", 0.0, 0.2), SpokenWord("no", 0.7, 0.9))
    early, late = word_lags_s(words, SENT, [Heard(10.3, "no no"), Heard(11.0, "no no")])
    assert early == pytest.approx(0.2)
    assert late == pytest.approx(0.2)


def test_a_word_guessed_before_its_end_has_a_negative_lag() -> None:
    lags_s = word_lags_s((SpokenWord("yesterday", 0.0, 0.95),), SENT, [Heard(10.55, "Yesterday")])
    assert lags_s == [pytest.approx(-0.35)]

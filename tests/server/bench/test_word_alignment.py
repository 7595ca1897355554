import jiwer
from hypothesis import given
from hypothesis import strategies as st

from server.bench.word_alignment import align

words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(words.filter(bool), words)
def test_as_many_errors_as_jiwer_counts(said: list[str], heard: list[str]) -> None:
    pairs = align(said, heard)
    judge = jiwer.process_words(" ".join(said), " ".join(heard))
    assert sum(pair.is_error for pair in pairs) == judge.substitutions + judge.insertions + judge.deletions


@given(words, words)
def test_every_word_is_in_one_pair_in_order(said: list[str], heard: list[str]) -> None:
    pairs = align(said, heard)
    assert [pair.said for pair in pairs if pair.said is not None] == list(range(len(said)))
    assert [pair.heard for pair in pairs if pair.heard is not None] == list(range(len(heard)))
    for pair in pairs:
        same = pair.said is not None and pair.heard is not None and said[pair.said] == heard[pair.heard]
        assert pair.is_error != same


def test_pairs_of_a_sentence() -> None:
    pairs = align("the cat sat down".split(), "the hat sat".split())
    assert [(pair.said, pair.heard, pair.is_error) for pair in pairs] == [
        (0, 0, False), (1, 1, True), (2, 2, False), (3, None, True),
    ]  # fmt: skip

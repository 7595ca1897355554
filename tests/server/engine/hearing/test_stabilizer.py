from hypothesis import given
from hypothesis import strategies as st

from server.engine.hearing.stabilizer import Stabilizer, spelling


def test_the_last_word_waits_for_a_pause_or_a_next_one() -> None:
    stabilizer = Stabilizer()
    stabilizer.update(["the", "cat"])
    stabilizer.update(["the", "cat"])
    assert stabilizer.committed == ["the"]
    stabilizer.update(["the", "cat"], in_pause=True)
    assert stabilizer.committed == ["the", "cat"]


def test_two_decodings_in_a_row_must_agree() -> None:
    stabilizer = Stabilizer()
    assert not stabilizer.update(["the", "cat"])
    assert stabilizer.update(["the", "car", "sat"])
    assert stabilizer.committed == ["the"]
    assert stabilizer.update(["the", "car", "stood", "up"])
    assert stabilizer.committed == ["the", "car"]


def test_marks_and_case_do_not_matter_and_the_newer_spelling_wins() -> None:
    stabilizer = Stabilizer()
    stabilizer.update(["well"])
    stabilizer.update(["Well,", "then"])
    assert stabilizer.committed == ["Well,"]


def test_a_decoding_that_contradicts_what_was_shown_adds_nothing() -> None:
    stabilizer = Stabilizer()
    stabilizer.update(["one", "two"])
    stabilizer.update(["one", "two"], in_pause=True)
    stabilizer.update(["won", "two", "three"])
    assert not stabilizer.update(["won", "two", "three"])
    assert stabilizer.committed == ["one", "two"]


def test_the_end_keeps_what_was_shown() -> None:
    stabilizer = Stabilizer()
    stabilizer.update(["one", "two"])
    stabilizer.update(["one", "two"], in_pause=True)
    assert stabilizer.finish(["won", "two", "three"]) == ["one", "two", "three"]
    assert stabilizer.finish([]) == ["one", "two"]


def test_what_the_last_decoding_had() -> None:
    stabilizer = Stabilizer()
    assert not stabilizer.had(["one"])
    stabilizer.update(["one", "two"])
    assert stabilizer.had(["one", "two"])
    assert stabilizer.had(["One,"]), "it went on behind the word"
    assert stabilizer.had(["won", "Two."]), "only the last word is asked about"
    assert not stabilizer.had(["one", "tool"])
    assert not stabilizer.had(["one", "two", "two"]), "it ended before that word"
    assert not stabilizer.had([])


def test_spelling() -> None:
    assert spelling("Don't,") == spelling("dont")
    assert spelling("—") == "—"
    assert spelling("Grüße!") == "grüsse"


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


@given(st.lists(words, max_size=12))
def test_what_is_shown_only_grows(decodings: list[list[str]]) -> None:
    stabilizer = Stabilizer()
    shown: list[str] = []
    for decoding in decodings:
        grew = stabilizer.update(decoding)
        assert stabilizer.committed[: len(shown)] == shown
        assert grew == (len(stabilizer.committed) > len(shown))
        shown = list(stabilizer.committed)

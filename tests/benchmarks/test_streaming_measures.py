import numpy as np
import pytest

from benchmarks.simulated_stream import Run, Shown
from benchmarks.spoken_streams import Phrase, SpokenStream, SpokenWord
from benchmarks.streaming_measures import Score, error_rate_difference, read_shows
from server.requests.speech import WordTime
from server.requests.transcription import Transcript

RATE_HZ = 16_000


def shown(at_s: float, text: str, *starts_s: float, is_final: bool = False) -> Shown:
    words = tuple(WordTime(word, start_s, start_s + 0.2) for word, start_s in zip(text.split(), starts_s, strict=False))
    return Shown(at_s, Transcript(text, is_final, words, 0.0, "en"))


def stream(*phrases: tuple[float, str], seconds: float = 20.0) -> SpokenStream:
    """Each word lasts 0.5 s."""
    spoken = []
    for at_s, text in phrases:
        words = tuple(SpokenWord(w, at_s + 0.5 * i, at_s + 0.5 * i + 0.5) for i, w in enumerate(text.split()))
        spoken.append(Phrase(words, at_s, words[-1].end_s or 0.0))
    return SpokenStream("test", np.zeros(int(seconds * RATE_HZ), np.float32), tuple(spoken))


def figures(spoken: SpokenStream, *items: Shown) -> dict[str, float | None]:
    score = Score()
    score.add(spoken, Run(items, cpu_s=1.0, windows=1, encoded_s=2.0, tokens=3))
    return score.figures()


def test_a_word_is_shown_when_it_last_changed() -> None:
    shows = read_shows([shown(1, "the"), shown(2, "the cat"), shown(3, "the hat sat"), shown(4, "The cat sat.", is_final=True)])
    assert [word.shown_at_s for word in shows.words] == [1, 4, 3]
    assert [word.final_at_s for word in shows.words] == [4, 4, 4]


def test_flicker_counts_shown_words_that_the_final_text_lacks() -> None:
    shows = read_shows([shown(1, "the"), shown(2, "the cat"), shown(3, "the hat sat"), shown(4, "The cat sat", is_final=True)])
    assert (shows.shown, shows.changed) == (4, 1)
    gone = read_shows([shown(1, "the cat"), shown(4, "no", is_final=True), shown(5, "never mind")])
    assert (gone.shown, gone.changed) == (4, 4)


def test_lag_latency_and_word_times() -> None:
    result = figures(
        stream((1.0, "one two three")),
        shown(2.0, "one", 1.1),
        shown(3.7, "one two three", 1.1, 1.55, 2.3, is_final=True),
    )
    assert result["word errors, %"] == 0.0
    assert result["partial lag p50, s"] == pytest.approx(1.2)  # three, said until 2.5, shown at 3.7
    assert result["partial lag p90, s"] == pytest.approx(1.7)  # two
    assert result["final latency p50, s"] == pytest.approx(1.2)
    assert result["word time p50, ms"] == 100
    assert result["word time p90, ms"] == 300
    assert result["flicker, %"] == 0.0
    assert result["invented words"] == 0


def test_a_phrase_before_a_short_pause_has_no_final_latency() -> None:
    spoken = stream((1.0, "one two"), (3.0, "three four"))
    result = figures(spoken, shown(6.0, "one two three four", 1.0, 1.5, 3.0, 3.5, is_final=True))
    assert result["final latency p50, s"] == 2.0


def test_words_where_nobody_speaks_are_invented() -> None:
    spoken = stream((1.0, "one two"), (10.0, "three four"))
    result = figures(spoken, shown(12, "one two thanks three four", 1.0, 1.5, 6.0, 10.0, 10.5, is_final=True))
    assert (result["invented words"], result["insertions, %"]) == (1, 25.0)


def test_a_split_word_is_an_insertion_but_not_invented() -> None:
    result = figures(stream((1.0, "one tomorrow")), shown(4, "one to morrow", 1.0, 1.5, 1.7, is_final=True))
    assert (result["invented words"], result["word errors, %"]) == (0, 100.0)


def test_four_insertions_in_a_row_are_invented_wherever_they_claim_to_be() -> None:
    spoken = stream((1.0, "one two"))
    four = figures(spoken, shown(4, "one two thanks for watching this", 1.0, 1.5, 1.6, 1.7, 1.8, 1.9, is_final=True))
    three = figures(spoken, shown(4, "one two thanks for watching", 1.0, 1.5, 1.6, 1.7, 1.8, is_final=True))
    assert (four["invented words"], three["invented words"]) == (4, 0)


def test_everything_heard_in_no_speech_is_invented() -> None:
    result = figures(
        SpokenStream("hum", np.zeros(36 * RATE_HZ, np.float32), ()), shown(4, "thank you", 3.0, 3.2, is_final=True)
    )
    assert (result["invented words"], result["invented per hour"], result["word errors, %"]) == (2, 200.0, None)
    assert result["encoded seconds per hour"] == 200.0


def test_the_difference_of_two_ways_is_judged_stream_by_stream() -> None:
    base = Score(said_by_stream=[10] * 50, errors_by_stream=[1, 3] * 25)
    equal, worse = Score(said_by_stream=[10] * 50), Score(said_by_stream=[10] * 50, errors_by_stream=[2, 4] * 25)
    equal.errors_by_stream = [2, 2] * 25
    more, low, high = error_rate_difference(equal, base)
    assert more == 0.0
    assert low < -2.0
    assert high > 2.0
    # One error more in every stream leaves no doubt, whatever the streams are.
    assert error_rate_difference(worse, base) == (10.0, 10.0, 10.0)


def test_there_is_no_difference_without_words() -> None:
    with pytest.raises(ValueError, match="no words"):
        error_rate_difference(Score(said_by_stream=[0], errors_by_stream=[0]), Score(said_by_stream=[0], errors_by_stream=[1]))

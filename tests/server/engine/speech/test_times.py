from models.speech import Phone, SampleSpan, Utterance
from server.engine.speech.times import spoken_times
from server.requests.speech import WordTime
from server.text.frontend import SpokenWord, TextSegment, WrittenWord


def segment(*phones: tuple[str, int], spoken: list[tuple[str, int]], written: list[str]) -> TextSegment:
    return TextSegment(
        Utterance(phones=tuple(Phone(symbol, word=word) for symbol, word in phones)),
        tuple(SpokenWord(text, index) for text, index in spoken),
        tuple(WrittenWord(text, 0, 0) for text in written),
    )


def times(*spans: tuple[int, int]) -> list[SampleSpan]:
    return [SampleSpan(*span) for span in spans]


def test_words_span_their_phones_and_written_words_their_spoken_ones() -> None:
    text = segment(
        ("_", -1), ("f", 0), ("aɪ", 0), ("d", 1), ("ɑ", 1), (",", -1), ("n", 2),
        spoken=[("five", 0), ("dollars", 0), ("now", 1)], written=["$5,", "now"],
    )  # fmt: skip
    found = spoken_times(
        text, times((0, 10), (10, 20), (20, 40), (40, 50), (50, 70), (70, 90), (90, 100)), "phones", 1000, 100, 2
    )
    assert found.normalized == (WordTime("five", 10.1, 10.4), WordTime("dollars", 10.4, 10.7), WordTime("now", 10.9, 11.0))
    assert found.written == (WordTime("$5,", 10.1, 10.7), WordTime("now", 10.9, 11.0))
    assert [phone.word for phone in found.phonemes] == ["f", "aɪ", "d", "ɑ", "n"]
    assert found.flush_index == 2


def test_words_never_run_backwards() -> None:
    """A written word spoken around another one ("$5 million": five million dollars) keeps the order of writing."""
    text = segment(
        ("f", 0), ("m", 1), ("d", 2), spoken=[("five", 0), ("million", 1), ("dollars", 0)], written=["$5", "million"]
    )
    found = spoken_times(text, times((0, 10), (10, 20), (20, 30)), "phones", 0, 10, 0)
    assert found.written == (WordTime("$5", 0.0, 3.0), WordTime("million", 1.0, 2.0))
    assert [word.start_s for word in found.written] == sorted(word.start_s for word in found.written)


def test_words_without_phones_are_left_out() -> None:
    text = segment(("f", 1), spoken=[("", 0), ("five", 1)], written=["-", "5"])
    found = spoken_times(text, times((0, 10)), "phones", 0, 10, 0)
    assert [word.word for word in found.written] == ["5"]

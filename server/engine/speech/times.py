"""Times of an utterance's phones or words → times of its words, as written and as spoken, and of its phones."""

from collections.abc import Iterable, Sequence

from models.phones import PAUSES
from models.speech import SampleSpan, Times
from server.requests.speech import SpokenTimes, WordTime
from server.text.frontend import TextSegment

_Span = tuple[float, float]


def spoken_times(
    text: TextSegment, times: Sequence[SampleSpan], of: Times, offset_samples: int, rate_hz: int, flush_index: int
) -> SpokenTimes:
    """Times in seconds from the start of the context's audio.

    ``times`` are those of the utterance's phones or of its spoken words, in samples since the slot was admitted;
    ``offset_samples`` is the audio of the context before that. Words never run backwards: each starts
    where the one before started, or later.
    """
    phones = text.utterance.phones
    indices = [phone.word for phone in phones] if of == "phones" else range(len(text.spoken))
    assert len(indices) == len(times), f"a synthesizer that gives times of {of} must give one for each"
    seconds = [((t.start_samples + offset_samples) / rate_hz, (t.end_samples + offset_samples) / rate_hz) for t in times]
    spans = _joined((word, span) for word, span in zip(indices, seconds, strict=True) if word >= 0)
    written = _joined((text.spoken[word].written_index, span) for word, span in spans.items())
    phonemes = tuple(
        WordTime(phone.symbol, *span) for phone, span in zip(phones, seconds, strict=False) if phone.symbol not in PAUSES
    )
    return SpokenTimes(
        written=_in_order(written, [word.text for word in text.written]),
        normalized=_in_order(spans, [word.text for word in text.spoken]),
        phonemes=phonemes,
        flush_index=flush_index,
    )


def _joined(parts: Iterable[tuple[int, _Span]]) -> dict[int, _Span]:
    """From the first start to the last end of what has the same index."""
    spans: dict[int, _Span] = {}
    for index, (start_s, end_s) in parts:
        first = spans.get(index, (start_s, end_s))
        spans[index] = (min(first[0], start_s), max(first[1], end_s))
    return spans


def _in_order(spans: dict[int, _Span], words: Sequence[str]) -> tuple[WordTime, ...]:
    result: list[WordTime] = []
    earliest_s = 0.0
    for index in sorted(spans):
        start_s = max(spans[index][0], earliest_s)
        result.append(WordTime(words[index], start_s, max(spans[index][1], start_s)))
        earliest_s = start_s
    return tuple(result)

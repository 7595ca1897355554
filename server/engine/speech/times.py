"""Phone times of a segment → times of its words, as written and as spoken, and of its phones."""

from collections.abc import Sequence

from models.phones import PAUSES
from models.speech import PhoneTime
from server.requests.speech import SpokenTimes, WordTime
from server.text.frontend import TextSegment


def spoken_times(
    text: TextSegment, times: Sequence[PhoneTime], offset_samples: int, rate_hz: int, flush_index: int
) -> SpokenTimes:
    """Times in seconds from the start of the context's audio.

    ``times`` are in samples since the slot was admitted, ``offset_samples`` is
    the audio of the context before that. Words never run backwards: each starts
    where the one before started, or later.
    """
    phones = text.segment.phones
    assert len(phones) == len(times), "a synthesizer must give one time per phone"
    seconds = [((t.start_samples + offset_samples) / rate_hz, (t.end_samples + offset_samples) / rate_hz) for t in times]
    spans: dict[int, tuple[float, float]] = {}
    for phone, (start_s, end_s) in zip(phones, seconds, strict=True):
        if phone.word >= 0:
            first = spans.get(phone.word, (start_s, end_s))
            spans[phone.word] = (min(first[0], start_s), max(first[1], end_s))
    written: dict[int, tuple[float, float]] = {}
    for word, (start_s, end_s) in spans.items():
        index = text.spoken[word].written_index
        first = written.get(index, (start_s, end_s))
        written[index] = (min(first[0], start_s), max(first[1], end_s))
    phonemes = tuple(
        WordTime(phone.symbol, *span) for phone, span in zip(phones, seconds, strict=True) if phone.symbol not in PAUSES
    )
    return SpokenTimes(
        written=_in_order(written, [word.text for word in text.written]),
        normalized=_in_order(spans, [word.text for word in text.spoken]),
        phonemes=phonemes,
        flush_index=flush_index,
    )


def _in_order(spans: dict[int, tuple[float, float]], words: Sequence[str]) -> tuple[WordTime, ...]:
    result: list[WordTime] = []
    earliest_s = 0.0
    for index in sorted(spans):
        start_s = max(spans[index][0], earliest_s)
        result.append(WordTime(words[index], start_s, max(spans[index][1], start_s)))
        earliest_s = start_s
    return tuple(result)

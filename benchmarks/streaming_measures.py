"""What a client was shown of a stream, against what was said in it: errors, invented words, lag, flicker, latency."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulated_stream import Run, Shown
from benchmarks.spoken_streams import Phrase, SpokenStream
from server.bench.stats import percentile
from server.bench.word_alignment import Pair, align
from server.bench.words import scored_words
from server.engine.hearing.stabilizer import spelling

OUTSIDE_S = 0.3
"""A word that starts further than this from all speech lies where nobody speaks."""
INVENTED_RUN = 4
"""So many heard words in a row that answer to no said one are no slip of the alignment."""
RESAMPLES = 10_000
ENDING_PAUSE_S = 2.0
"""A phrase has a final latency if nothing is said for this long after it: the pause that ends a segment is 1 s."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word of the final text, as scored."""

    text: str
    start_s: float
    shown_at_s: float
    """When it was first shown, not to change again."""
    final_at_s: float


@dataclass(slots=True)
class Shows:
    """Everything shown of one stream."""

    words: list[HeardWord] = field(default_factory=list)
    shown: int = 0
    """Different words at different places in partial texts."""
    changed: int = 0
    """Those of them that are not in the final text at that place."""


def read_shows(shown: Sequence[Shown]) -> Shows:
    """Each final text with the partial ones before it."""
    result = Shows()
    partials: list[tuple[float, list[str]]] = []
    for item in shown:
        transcript = item.transcript
        texts = transcript.text.split()
        if not transcript.is_final:
            partials.append((item.at_s, [spelling(text) for text in texts]))
            continue
        _count_changes(result, partials, [spelling(text) for text in texts])
        for place, text in enumerate(texts):
            shown_at_s = item.at_s
            for at_s, words in reversed(partials):
                if place >= len(words) or words[place] != spelling(text):
                    break
                shown_at_s = at_s
            # A recogniser without times for each word of its text is taken to have said it at the end.
            start_s = transcript.words[place].start_s if place < len(transcript.words) else item.at_s
            result.words += [HeardWord(word, start_s, shown_at_s, item.at_s) for word in scored_words(text)]
        partials = []
    _count_changes(result, partials, [])
    return result


def _count_changes(result: Shows, partials: Sequence[tuple[float, list[str]]], final: Sequence[str]) -> None:
    places = {(place, word) for _, words in partials for place, word in enumerate(words)}
    result.shown += len(places)
    result.changed += sum(place >= len(final) or final[place] != word for place, word in places)


@dataclass(slots=True)
class Score:
    """Sums over streams."""

    audio_s: float = 0.0
    said_by_stream: list[int] = field(default_factory=list)
    errors_by_stream: list[int] = field(default_factory=list)
    insertions: int = 0
    invented: int = 0
    shown: int = 0
    changed: int = 0
    cpu_s: float = 0.0
    encoded_s: float = 0.0
    tokens: int = 0
    operations: int = 0
    partial_lags_s: list[float] = field(default_factory=list)
    final_latencies_s: list[float] = field(default_factory=list)
    word_time_errors_s: list[float] = field(default_factory=list)

    def add(self, stream: SpokenStream, run: Run) -> None:
        shows = read_shows(run.shown)
        self.audio_s += stream.seconds
        self.cpu_s += run.cpu_s
        self.encoded_s += run.encoded_s
        self.tokens += run.tokens
        self.operations += run.operations
        self.shown += shows.shown
        self.changed += shows.changed
        said, heard = stream.words, shows.words
        pairs = align([word.text for word in said], [word.text for word in heard])
        self.said_by_stream.append(len(said))
        self.errors_by_stream.append(sum(pair.is_error for pair in pairs))
        self.insertions += sum(pair.said is None for pair in pairs)
        self.invented += len(invented_words(pairs, heard, stream.phrases))
        matched = [(pair.said, pair.heard) for pair in pairs if pair.said is not None and pair.heard is not None]
        for truth, word in ((said[i], heard[j]) for i, j in matched):
            if truth.text == word.text and truth.start_s is not None:
                self.word_time_errors_s.append(abs(word.start_s - truth.start_s))
            if truth.text == word.text and truth.end_s is not None:
                self.partial_lags_s.append(word.shown_at_s - truth.end_s)
        self._add_latencies(stream, {i: heard[j].final_at_s for i, j in matched})

    def _add_latencies(self, stream: SpokenStream, final_at_s: dict[int, float]) -> None:
        """From the end of each phrase before a pause to its last word's final; ``final_at_s`` by place of the word."""
        place = 0
        for index, phrase in enumerate(stream.phrases):
            places = range(place, place + len(phrase.words))
            place += len(phrase.words)
            following_s = stream.phrases[index + 1].start_s if index + 1 < len(stream.phrases) else stream.seconds
            known_s = [final_at_s[at] for at in places if at in final_at_s]
            if known_s and following_s - phrase.end_s >= ENDING_PAUSE_S:
                self.final_latencies_s.append(max(known_s) - phrase.end_s)

    def figures(self) -> dict[str, float | None]:
        """Rates and percentiles; None for what was not there to measure."""
        hours, said = self.audio_s / 3600, sum(self.said_by_stream)
        return {
            "minutes": round(self.audio_s / 60, 1),
            "words said": said,
            "word errors, %": _share(sum(self.errors_by_stream), said),
            "insertions, %": _share(self.insertions, said),
            "invented words": self.invented,
            "invented per hour": round(self.invented / hours, 1),
            "partial lag p50, s": _rank(self.partial_lags_s, 50, 2),
            "partial lag p90, s": _rank(self.partial_lags_s, 90, 2),
            "flicker, %": _share(self.changed, self.shown),
            "final latency p50, s": _rank(self.final_latencies_s, 50, 2),
            "final latency p90, s": _rank(self.final_latencies_s, 90, 2),
            "word time p50, ms": _rank([1000 * error for error in self.word_time_errors_s], 50, 0),
            "word time p90, ms": _rank([1000 * error for error in self.word_time_errors_s], 90, 0),
            "model seconds per hour": round(self.cpu_s / hours, 1) if self.cpu_s else None,
            "10^12 operations per hour": round(self.operations / hours / 1e12, 2) if self.operations else None,
            "encoded seconds per hour": round(self.encoded_s / hours, 1),
            "tokens per hour": round(self.tokens / hours),
        }


def error_rate_difference(score: Score, base: Score) -> tuple[float, float, float]:
    """Points of word errors more than ``base`` has on the same streams, and the bounds of the middle 95 % of resamples.

    Streams are drawn with replacement, both ways' errors of one together (paired bootstrap: Bisani and Ney 2004).
    Raises ValueError without words.
    """
    said = np.array(score.said_by_stream)
    if not said.sum():
        raise ValueError("no words were said")
    more = np.array(score.errors_by_stream) - np.array(base.errors_by_stream)
    drawn = np.random.default_rng(0).integers(0, len(said), (RESAMPLES, len(said)))
    words = said[drawn].sum(axis=1)
    rates = 100 * more[drawn].sum(axis=1)[words > 0] / words[words > 0]
    low, high = np.quantile(rates, [0.025, 0.975])
    return round(float(100 * more.sum() / said.sum()), 2), round(float(low), 2), round(float(high), 2)


def invented_words(pairs: Sequence[Pair], heard: Sequence[HeardWord], phrases: Sequence[Phrase]) -> set[int]:
    """Places of the heard words that answer to no said word and lie where nobody speaks, or come in a row of four."""
    invented: set[int] = set()
    row: list[int] = []
    for pair in pairs:
        if pair.said is not None or pair.heard is None:
            row = []
            continue
        row.append(pair.heard)
        if len(row) >= INVENTED_RUN:
            invented.update(row)
        if _is_outside(heard[pair.heard], phrases):
            invented.add(pair.heard)
    return invented


def _is_outside(word: HeardWord, phrases: Sequence[Phrase]) -> bool:
    return not any(phrase.start_s - OUTSIDE_S <= word.start_s <= phrase.end_s + OUTSIDE_S for phrase in phrases)


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _rank(values: Sequence[float], percent: float, digits: int) -> float | None:
    return round(percentile(values, percent), digits) if values else None

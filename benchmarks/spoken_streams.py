"""Long streams of audio of which everything is known: what is said when, and where nobody speaks.

Sentences of the held-out list by held-out voices, with gaps of 0.5 to 20 s between sentences and inside every
third one; clips with 1 to 31 s of silence behind a sentence; and streams without any speech. The silence is
digital, or a quiet line noise or hum, in turn.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.listening_conditions import RATE_HZ, SPEECH_PEAK, Floats, non_speech_windows, speaker
from server.bench.words import scored_words
from training.ears import noises
from training.ears.voices import VoiceSettings

GAPS_S = (0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 7.0, 12.0, 20.0)
LEAD_S = 1.0
SHORTEST_TAIL_S, LONGEST_TAIL_S = 1.0, 31.0
SPLIT_EVERY = 3
"""Every third sentence has a gap inside."""
SPLIT_WORDS = 6
"""A sentence is split only if it has so many words."""
AUDIBLE = 0.01
BACKGROUND_LEVEL = 10 ** (-50 / 20)
BACKGROUNDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "digital silence": lambda rng, n: np.zeros(n, np.float32),
    "line noise": lambda rng, n: noises.coloured_noise(rng, n, 1.0),
    "hum": noises.hum,
}
_WORD = re.compile(r"[a-z0-9']+")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """``start_s`` is None where the synthesiser does not say (flite, and the second of a pair like "in the")."""

    text: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words said without a break of ours; times from the first to the last audible sample."""

    words: tuple[SpokenWord, ...]
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenStream:
    name: str
    pcm: Floats
    phrases: tuple[Phrase, ...]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE_HZ

    @property
    def words(self) -> list[SpokenWord]:
        return [word for phrase in self.phrases for word in phrase.words]


class _Tape:
    """Audio under construction."""

    def __init__(self) -> None:
        self._parts: list[Floats] = []
        self._samples = 0
        self.phrases: list[Phrase] = []

    def pause(self, seconds: float) -> None:
        self._add(np.zeros(int(seconds * RATE_HZ), np.float32))

    def say(self, text: str, voice: VoiceSettings) -> None:
        utterance = speaker().say(text, voice)
        audible = np.flatnonzero(np.abs(utterance.pcm) > AUDIBLE)
        first, last = (int(audible[0]), int(audible[-1])) if len(audible) else (0, len(utterance.pcm))
        at_s = self._samples / RATE_HZ
        end_s = at_s + last / RATE_HZ
        words = _timed_words(text, dict(utterance.words), at_s, end_s)
        self.phrases.append(Phrase(words, at_s + first / RATE_HZ, end_s))
        self._add(utterance.pcm * np.float32(SPEECH_PEAK))

    def _add(self, pcm: Floats) -> None:
        self._parts.append(pcm)
        self._samples += len(pcm)

    def stream(self, name: str, background: str, rng: np.random.Generator) -> SpokenStream:
        pcm = np.concatenate(self._parts)
        noise = BACKGROUNDS[background](rng, len(pcm)) * np.float32(BACKGROUND_LEVEL)
        return SpokenStream(name, (pcm + noise).astype(np.float32), tuple(self.phrases))


def _timed_words(text: str, starts: dict[int, int], at_s: float, end_s: float) -> tuple[SpokenWord, ...]:
    """The words as scored; a word ends where the next begins, if the synthesiser says where that is."""
    found = [(match.group(), starts.get(match.start())) for match in _WORD.finditer(text.lower())]
    assert [word for word, _ in found] == scored_words(text)
    starts_s = [None if start is None else at_s + start / RATE_HZ for _, start in found]
    ends_s = [*starts_s[1:], end_s if starts else None]
    return tuple(SpokenWord(word, a, b) for (word, _), a, b in zip(found, starts_s, ends_s, strict=True))


def halves(sentence: str) -> tuple[str, ...]:
    """A sentence in two, at the comma or the space that is nearest to its middle."""
    words = sentence.split()
    if len(words) < SPLIT_WORDS:
        return (sentence,)
    places = [i for i in range(2, len(words) - 1) if words[i - 1].endswith(",")] or list(range(2, len(words) - 1))
    at = min(places, key=lambda i: abs(i - len(words) / 2))
    return " ".join(words[:at]), " ".join(words[at:])


def long_streams(
    sentences: Sequence[str], voices: Sequence[VoiceSettings], per_stream: int, seed: int = 17
) -> list[SpokenStream]:
    """Streams of ``per_stream`` sentences by one voice each, about nine seconds a sentence, gaps and all."""
    rng = np.random.default_rng(seed)
    backgrounds = list(BACKGROUNDS)
    streams = []
    for number, first in enumerate(range(0, len(sentences), per_stream)):
        tape, voice = _Tape(), voices[number % len(voices)]
        tape.pause(LEAD_S)
        gaps: list[float] = []
        for index, sentence in enumerate(sentences[first : first + per_stream]):
            for part in halves(sentence) if index % SPLIT_EVERY == 1 else (sentence,):
                gaps = gaps or list(rng.permutation(GAPS_S))
                tape.say(part, voice)
                tape.pause(float(gaps.pop()))
        background = backgrounds[number % len(backgrounds)]
        streams.append(tape.stream(f"{voice.voice}, {background}", background, rng))
    return streams


def trailing_silence_clips(sentences: Sequence[str], voices: Sequence[VoiceSettings], seed: int = 31) -> list[SpokenStream]:
    """One sentence each, then 1 to 31 s without speech."""
    rng = np.random.default_rng(seed)
    backgrounds = list(BACKGROUNDS)
    tails_s = rng.permutation(np.linspace(SHORTEST_TAIL_S, LONGEST_TAIL_S, len(sentences)))
    clips = []
    for number, (sentence, tail_s) in enumerate(zip(sentences, tails_s, strict=True)):
        tape, voice = _Tape(), voices[number % len(voices)]
        tape.pause(0.3)
        tape.say(sentence, voice)
        tape.pause(float(tail_s))
        background = backgrounds[number % len(backgrounds)]
        clips.append(tape.stream(f"{voice.voice}, {tail_s:.1f} s of {background}", background, rng))
    return clips


def non_speech_streams(kinds: Sequence[str], minutes: float) -> Iterator[SpokenStream]:
    """One stream of each kind, ``minutes`` all together, the level another every 8 s."""
    for kind in kinds:
        yield SpokenStream(kind, np.concatenate(list(non_speech_windows(kind, minutes / len(kinds)))), ())

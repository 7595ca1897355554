"""Models and a text front end that are deterministic and instant, with faults on request."""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.audio import Pcm
from models.hearing import Hypothesis, RecognitionWindow, RecognizedWord, RecognizerInfo
from models.phones import ARPABET_TO_IPA
from models.speech import (
    DEFAULT_GENERATION,
    Control,
    Generation,
    Phone,
    Reads,
    SampleSpan,
    SpeechFrames,
    SynthesizerInfo,
    Times,
    Utterance,
)
from models.voices import EMBEDDING_SIZE, ClonedVoice, Record, Voice, VoiceMaker
from server.requests.speech import NO_PRONUNCIATIONS, Controls, Pronunciations
from server.text.frontend import SpokenWord, Take, TextSegment, WrittenWord
from server.text.written import WrittenStream

RATE_HZ = 24_000
PHONE_MS = 50.0
FIRST_CHUNK_MS = 40
CHUNK_MS = 100

ANNA = Voice("00000000-0000-4000-8000-00000000000a", "Anna", "A fake voice.", "en", "en-US", "feminine", "fake", {"anna": 1.0})
BERT = Voice(
    "00000000-0000-4000-8000-00000000000b", "Bert", "Another fake voice.", "en", "en-GB", "masculine", "fake", {"bert": 1.0}
)

CONTROLS: frozenset[Control] = frozenset(("speed", "volume", "pitch", "pitch_range", "emotion"))

LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        [ARPABET_TO_IPA[name] for name in
         "ae b k d eh f g hh ih jh k l m n ao p k r s t ah v w k y z".split()],
        strict=True,
    )
)  # fmt: skip


class ModelFault(RuntimeError):
    """What a fake raises when told to."""


@dataclass
class _Slot:
    voice: Voice
    queue: deque[Utterance] = field(default_factory=deque)
    ready: Pcm = field(default_factory=lambda: np.zeros(0, np.float32))
    left: int = 0
    """Samples of the current segment not given yet."""
    given: int = 0
    has_segment: bool = False


class FakeSynthesizer:
    """Each phone sounds for 50 ms (or its fixed length) as a tone that depends on voice and symbol.

    ``step_s`` makes every step take that long; a segment with the phone
    ``fault_symbol`` raises in `step` for its slot; `fault_once` raises in the next step whoever steps.
    """

    def __init__(self, *, max_slots: int = 8, step_s: float = 0.0, fault_symbol: str | None = None) -> None:
        self.info = SynthesizerInfo(
            "fake", RATE_HZ, ("en",), max_slots, "cpu", (ANNA, BERT), reads="phones", times="phones", controls=CONTROLS
        )
        self.step_s = step_s
        self.fault_symbol = fault_symbol
        self.fault_once = False
        self.gate = threading.Event()
        self.gate.set()
        """Cleared by a test to hold the next step."""
        self.steps: list[tuple[int, ...]] = []
        self._slots: dict[int, _Slot] = {}

    @property
    def slots_in_use(self) -> int:
        return len(self._slots)

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        assert 0 <= slot < self.info.max_slots
        assert slot not in self._slots, f"slot {slot} is taken"
        self._slots[slot] = _Slot(voice)

    def feed(self, slot: int, utterance: Utterance) -> None:
        self._slots[slot].queue.append(utterance)

    def release(self, slot: int) -> None:
        del self._slots[slot]

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        assert len(set(slots)) == len(slots)
        self.gate.wait(timeout=30)
        if self.step_s:
            time.sleep(self.step_s)
        self.steps.append(tuple(slots))
        if self.fault_once:
            self.fault_once = False
            raise ModelFault("asked to fail once")
        for slot in slots:
            head = self._slots[slot].queue
            if head and any(phone.symbol == self.fault_symbol for phone in head[0].phones):
                raise ModelFault(f"slot {slot} holds the symbol that fails")
        return [self._advance(self._slots[slot]) for slot in slots]

    def _advance(self, slot: _Slot) -> SpeechFrames:
        times = None
        if not slot.has_segment and slot.queue:
            segment = slot.queue[0]
            slot.ready, times = render(segment, slot.voice, slot.given)
            slot.has_segment = True
        chunk_ms = CHUNK_MS if slot.given else FIRST_CHUNK_MS
        size = chunk_ms * RATE_HZ // 1000
        pcm, slot.ready = slot.ready[:size], slot.ready[size:]
        slot.given += len(pcm)
        ended = int(slot.has_segment and not len(slot.ready))
        if ended:
            slot.queue.popleft()
            slot.has_segment = False
        return SpeechFrames(pcm, times, ended)


def render(segment: Utterance, voice: Voice, start_samples: int) -> tuple[Pcm, tuple[SampleSpan, ...]]:
    """The whole audio of a segment and its phone times, counted from ``start_samples``."""
    parts, times = [], []
    at = start_samples
    for phone in segment.phones:
        samples = round((phone.duration_ms if phone.duration_ms is not None else PHONE_MS) / phone.speed * RATE_HZ / 1000)
        hz = 100.0 + 10.0 * (sum(map(ord, phone.symbol + next(iter(voice.record)))) % 97)
        parts.append((0.3 * phone.volume * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)).astype(np.float32))
        times.append(SampleSpan(at, at + samples))
        at += samples
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), tuple(times)


READER_RATE_HZ = 16_000
PREFILL_STEPS = 2
CLEO = Voice(
    "00000000-0000-4000-8000-00000000000c", "Cleo", "A fake reader.", "en", "en-US", "feminine", "reader", {"code": [3, 1]}
)
DAI = Voice(
    "00000000-0000-4000-8000-00000000000d", "Dai", "Reads Japanese.", "ja", "ja-JP", "masculine", "reader", {"code": [4]}
)


@dataclass
class _ReaderSlot:
    voice: Voice
    generation: Generation
    queue: deque[Utterance] = field(default_factory=deque)
    ready: Pcm | None = None
    prefilled: int = 0
    """Steps of the first utterance that gave nothing."""
    given: int = 0
    """Samples since it was admitted."""


class FakeReader:
    """Another family: reads text, draws its samples by a seed, and begins each utterance with steps that give nothing. Ten
    milliseconds of noise for each character. It gives no times, or those of words with the last samples of an utterance."""

    def __init__(self, *, max_slots: int = 4, times: Times = "none") -> None:
        self.info = SynthesizerInfo(
            "reader", READER_RATE_HZ, ("en", "ja"), max_slots, "cpu", (CLEO, DAI), reads="text", times=times,
            controls=frozenset(("emotion", "instructions")), sampling={"temperature": (0.0, 2.0)},
        )  # fmt: skip
        self.read: list[tuple[Utterance, Generation]] = []
        self._slots: dict[int, _ReaderSlot] = {}

    @property
    def slots_in_use(self) -> int:
        return len(self._slots)

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        assert voice.family == self.info.family
        assert slot not in self._slots, f"slot {slot} is taken"
        self._slots[slot] = _ReaderSlot(voice, generation)

    def feed(self, slot: int, utterance: Utterance) -> None:
        assert not utterance.phones
        self.read.append((utterance, self._slots[slot].generation))
        self._slots[slot].queue.append(utterance)

    def release(self, slot: int) -> None:
        del self._slots[slot]

    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        return [self._advance(self._slots[slot]) for slot in slots]

    def _advance(self, slot: _ReaderSlot) -> SpeechFrames:
        nothing = np.zeros(0, np.float32)
        if not slot.queue:
            return SpeechFrames(nothing, None, 0)
        if slot.ready is None:
            slot.prefilled += 1
            if slot.prefilled > PREFILL_STEPS:
                slot.ready = read_aloud(slot.queue[0], slot.voice, slot.generation)
            return SpeechFrames(nothing, None, 0)
        size = READER_RATE_HZ * 80 // 1000
        pcm, slot.ready = slot.ready[:size], slot.ready[size:]
        slot.given += len(pcm)
        if len(slot.ready):
            return SpeechFrames(pcm, None, 0)
        said, slot.ready, slot.prefilled = slot.queue.popleft(), None, 0
        times = word_spans(said, slot.given) if self.info.times == "words" else None
        return SpeechFrames(pcm, times, 1)


def word_spans(utterance: Utterance, end_samples: int) -> tuple[SampleSpan, ...]:
    """Of an utterance without a pause that ends there: each word with the space before it."""
    letter = READER_RATE_HZ // 100
    at = end_samples - len(utterance.text) * letter
    spans = []
    for count, word in enumerate(utterance.text.split()):
        start, at = at, at + (len(word) + (count > 0)) * letter
        spans.append(SampleSpan(start, at))
    return tuple(spans)


def read_aloud(utterance: Utterance, voice: Voice, generation: Generation) -> Pcm:
    """The whole audio of an utterance by `FakeReader`; another one on each call where no seed is given."""
    temperature = generation.sampling.get("temperature", 1.0)
    seed = None if generation.seed is None else [generation.seed, *utterance.text.encode("utf-8"), *voice.record["code"]]
    noise = np.random.default_rng(seed).normal(0, 0.1 * temperature, len(utterance.text) * READER_RATE_HZ // 100)
    silence = np.zeros(round(utterance.pause_ms * READER_RATE_HZ / 1000))
    pcm: Pcm = np.clip(np.concatenate([noise, silence]), -1, 1).astype(np.float32)
    return pcm


class FakeTextStream:
    """A segment ends at ``.``, ``!`` or ``?``; each letter is one phone; "a+b" is written as one word and spoken as two."""

    def __init__(self, controls: Controls, pronunciations: Pronunciations) -> None:
        self._controls = controls
        self._aliases = {entry.text: entry.alias for entry in pronunciations.entries}
        self._text = ""
        self._taken_chars = 0

    @property
    def has_pending_text(self) -> bool:
        return bool(self._text.strip())

    def push(self, text: str, controls: Controls | None = None) -> None:
        self._controls = controls or self._controls
        self._text += text

    def take(self, mode: Take) -> list[TextSegment]:
        segments = []
        while (ends := [self._text.find(mark) for mark in ".!?" if mark in self._text]) or mode is not Take.READY:
            end = min(ends) + 1 if ends else len(self._text)
            sentence, self._text = self._text[:end], self._text[end:]
            words = sentence.split()
            if not words:
                break
            self._taken_chars += end
            segments.append(self._segment(words))
        return segments

    def check_end(self) -> None:
        """Whatever is not blank is spoken."""

    def _say(self, word: str) -> str:
        return self._aliases.get(word, word)

    def _segment(self, words: list[str]) -> TextSegment:
        if "CRASH" in words:
            raise ModelFault("asked to fail on this text")
        controls = self._controls
        spoken = [SpokenWord(part, index) for index, word in enumerate(words) for part in self._say(word).split("+")]
        phones = [
            Phone(LETTERS.get(letter, "ə"), word=index, starts_word=at == 0, speed=controls.speed, volume=controls.volume)
            for index, word in enumerate(spoken)
            for at, letter in enumerate(word.text.strip(".!?,").lower() or "a")
        ]
        written = tuple(WrittenWord(word, 0, self._taken_chars) for word in words)
        return TextSegment(Utterance(" ".join(words), tuple(phones)), tuple(spoken), written)


class FakeFrontEnd:
    def open(
        self,
        controls: Controls,
        normalization: str = "auto",
        pronunciations: Pronunciations = NO_PRONUNCIATIONS,
        language: str = "en",
        reads: Reads = "phones",
    ) -> FakeTextStream | WrittenStream:
        return WrittenStream(language, controls) if reads == "text" else FakeTextStream(controls, pronunciations)


class FakeVoiceMaker(VoiceMaker):
    """Records are weights of "anna" and "bert" and a pitch, which are also the first numbers of an embedding."""

    NAMES = ("anna", "bert", "pitch")

    def __init__(self, locales: Mapping[str, str] | None = None) -> None:
        self.locales = {"en": "en-US"} if locales is None else locales

    def knows(self, voice: Voice) -> bool:
        return set(self.NAMES).issuperset(voice.record)

    def mix(self, parts: Sequence[tuple[Voice, float]]) -> Record:
        names = dict.fromkeys(name for voice, _ in parts for name in voice.record)
        return {name: sum(voice.record.get(name, 0.0) * weight for voice, weight in parts) for name in names}

    def embed(self, voice: Voice) -> list[float] | None:
        numbers = [0.5, *(voice.record.get(name, 0.0) for name in self.NAMES)]
        return numbers + [0.0] * (EMBEDDING_SIZE - len(numbers))

    def from_embedding(self, numbers: Sequence[float]) -> Voice | None:
        record = {name: number for name, number in zip(self.NAMES, numbers[1:], strict=False) if number}
        if numbers[0] != 0.5 or any(numbers[4:]) or abs(sum(numbers[1:3]) - 1) > 1e-3:
            return None
        return Voice("embedding", "Embedding", "", "en", self.locales["en"], "", "fake", record)


MAKERS: dict[str, VoiceMaker] = {"fake": FakeVoiceMaker(), "reader": VoiceMaker()}


class FakeDetector:
    """Speech wherever a frame is louder than -40 dBFS."""

    sample_rate_hz = 16_000
    frame_samples = 512

    def init_state(self) -> object:
        return 0

    def step_batch(self, frames: Sequence[Pcm], states: Sequence[object]) -> list[tuple[float, object]]:
        assert all(len(frame) == self.frame_samples for frame in frames)
        return [
            (0.95 if float(np.sqrt(np.mean(frame**2))) > 0.01 else 0.02, state)
            for frame, state in zip(frames, states, strict=True)
        ]


class FakeCloner:
    """Gives every clip the tone of "anna" and a pitch that is the number of zero crossings per second, over 10 000."""

    def __init__(self) -> None:
        self.clips: list[Pcm] = []

    def clone(self, pcm: Pcm) -> ClonedVoice:
        self.clips.append(pcm)
        crossings = int(np.sum(pcm[1:] * pcm[:-1] < 0)) * 16_000 / len(pcm)
        if crossings < 20:
            raise ValueError("nothing in it is voiced")
        return ClonedVoice("fake", {"anna": 1.0, "pitch": round(crossings / 10_000, 4)}, 0.9)


WORD_S = 0.25


class FakeRecognizer:
    """Hears one word per 250 ms of loud audio: the word's number since the start of the window, as text.

    A word is spelled by the loudness of its middle: 0.1 gives "one", 0.2 "two" and so on, so that a window
    cut in two still gives the same words.
    """

    WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    def __init__(
        self, *, max_batch: int = 8, max_window_s: float = 30.0, step_s: float = 0.0, languages: tuple[str, ...] = ("en",)
    ) -> None:
        self.info = RecognizerInfo(
            "fake", 16_000, languages, max_window_s, max_batch, "cpu", detects_language=len(languages) > 1
        )
        self.spoken = languages[0]
        """What it detects where a window names no language."""
        self.truncates = False
        """Whether it says of every text that it is cut off."""
        self.step_s = step_s
        self.batches: list[int] = []
        self.windows: list[RecognitionWindow] = []
        self.fault_level: float | None = None
        """A window that reaches this level raises."""

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        assert 0 < len(windows) <= self.info.max_batch
        if self.step_s:
            time.sleep(self.step_s)
        self.batches.append(len(windows))
        self.windows.extend(windows)
        if self.fault_level is not None and any(len(w.pcm) and np.max(np.abs(w.pcm)) >= self.fault_level for w in windows):
            raise ModelFault("asked to fail on this audio")
        return [self._hear(window) for window in windows]

    def _hear(self, window: RecognitionWindow) -> Hypothesis:
        assert len(window.pcm) <= self.info.max_window_s * 16_000
        words = []
        step = int(WORD_S * 16_000)
        loud = np.abs(window.pcm) > 0.05
        at = int(np.argmax(loud)) if loud.any() else len(window.pcm)
        while at + step // 2 <= len(window.pcm):
            level = float(np.median(np.abs(window.pcm[at : at + step])))
            if level > 0.05:
                word = self.WORDS[min(9, round(level * 10))]
                words.append(RecognizedWord(f" {word}", at / 16_000, min(at + step, len(window.pcm)) / 16_000, 0.9))
            at += step
        text = "".join(word.word for word in words).strip()
        times = tuple(words) if window.want_words else ()
        return Hypothesis(text, times, -0.2, self.truncates, language=window.language or self.spoken)


def speech(*levels: int) -> Pcm:
    """Audio in which `FakeRecognizer` hears the words numbered ``levels``."""
    step = int(WORD_S * 16_000)
    sign = np.where(np.arange(step) % 2, 1.0, -1.0)
    return np.concatenate([sign * level / 10 for level in levels]).astype(np.float32) if levels else np.zeros(0, np.float32)


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * 16_000), np.float32)

"""Models and a text front end that are deterministic and instant, with faults on request."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.audio import Pcm
from models.hearing import Hypothesis, RecognitionWindow, RecognizedWord, RecognizerInfo
from models.phones import ARPABET_TO_IPA
from models.speech import Phone, PhoneTime, Segment, SpeechFrames, SynthesizerInfo
from models.voices import Character, ClonedSpeech, Voice
from server.requests.speech import Controls, Pronunciations
from server.text.frontend import SpokenWord, Take, TextSegment, WrittenWord

RATE_HZ = 24_000
PHONE_MS = 50.0
FIRST_CHUNK_MS = 40
CHUNK_MS = 100

ANNA = Voice("00000000-0000-4000-8000-00000000000a", "Anna", "A fake voice.", "en", "en-US", "feminine", (("anna", 1.0),))
BERT = Voice(
    "00000000-0000-4000-8000-00000000000b", "Bert", "Another fake voice.", "en", "en-GB", "masculine", (("bert", 1.0),)
)

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
    queue: deque[Segment] = field(default_factory=deque)
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
        self.info = SynthesizerInfo("fake", RATE_HZ, ("en",), max_slots, "cpu", (ANNA, BERT))
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

    def admit(self, slot: int, voice: Voice) -> None:
        assert 0 <= slot < self.info.max_slots
        assert slot not in self._slots, f"slot {slot} is taken"
        self._slots[slot] = _Slot(voice)

    def feed(self, slot: int, segment: Segment) -> None:
        self._slots[slot].queue.append(segment)

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


def render(segment: Segment, voice: Voice, start_samples: int) -> tuple[Pcm, tuple[PhoneTime, ...]]:
    """The whole audio of a segment and its phone times, counted from ``start_samples``."""
    parts, times = [], []
    at = start_samples
    for phone in segment.phones:
        samples = round((phone.duration_ms if phone.duration_ms is not None else PHONE_MS) / phone.speed * RATE_HZ / 1000)
        hz = 100.0 + 10.0 * (sum(map(ord, phone.symbol + voice.speakers[0][0])) % 97)
        parts.append((0.3 * phone.volume * np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)).astype(np.float32))
        times.append(PhoneTime(at, at + samples))
        at += samples
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), tuple(times)


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
        return TextSegment(
            Segment(tuple(phones)), tuple(spoken), tuple(WrittenWord(word, 0, self._taken_chars) for word in words)
        )


class FakeFrontEnd:
    def open(
        self, controls: Controls, normalization: str, pronunciations: Pronunciations, language: str = "en"
    ) -> FakeTextStream:
        return FakeTextStream(controls, pronunciations)


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
    """Gives every clip the speaker "anna" and a pitch that is the number of zero crossings per second, over 100."""

    def __init__(self) -> None:
        self.clips: list[Pcm] = []

    def clone(self, pcm: Pcm, segments: Sequence[Segment]) -> ClonedSpeech:
        assert segments
        self.clips.append(pcm)
        crossings = int(np.sum(pcm[1:] * pcm[:-1] < 0)) * 16_000 / len(pcm)
        if crossings < 20:
            raise ValueError("nothing in it is voiced")
        return ClonedSpeech((("anna", 1.0),), Character(log_f0=round(crossings / 10_000, 4), cepstrum=(0.1, -0.2)), 0.9)


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

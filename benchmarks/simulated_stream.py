"""The server's transcription on a clock of its own: an hour of audio in a minute, the same on every run.

`live` drives the very `Transcription` that the server's worker drives: audio arrives in pieces at the pace of real
time, and each step of the model takes a nominal time. `chunks` is the plain alternative, windows of a fixed length.
Both give what a client would have been shown and when.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.listening_conditions import Floats
from models.hearing import Hypothesis, RecognitionWindow, Recognizer, RecognizerInfo, SpeechDetector
from server.engine.hearing.session import AudioCommand, FeedAudio, FinishAudio, HearingSession, SubmitAudio
from server.engine.hearing.transcription import DEFAULT_COST, Transcription
from server.requests.speech import WordTime
from server.requests.transcription import Transcript, TranscriptEvent, TranscriptionRequest

PIECE_S = 0.1
"""Audio arrives in pieces of this length."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A transcript, and the audio time at which the client had it."""

    at_s: float
    transcript: Transcript


class SimulatedClock:
    """Seconds of audio that have arrived; goes on by itself only while the model works."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def wait_until(self, at_s: float) -> None:
        self.now_s = max(self.now_s, at_s)


class MeteredRecognizer:
    """A recogniser that counts its work; each step takes ``DEFAULT_COST`` per second of audio on the clock."""

    def __init__(self, model: Recognizer, clock: SimulatedClock, padded_s: float = 0.0) -> None:
        """Windows shorter than ``padded_s`` are filled with silence, as Whisper's own code fills them to 30 s."""
        self._model = model
        self._clock = clock
        self._padded_samples = int(padded_s * model.info.sample_rate_hz)
        self._tokenizer = getattr(model, "tokenizer", None)
        self.cpu_s = 0.0
        """Processor time, which other work on the machine changes little; on a GPU the time that passed."""
        self.windows = 0
        self.encoded_s = 0.0
        """Audio through the encoder, padding included: windows are padded to whole seconds."""
        self.tokens = 0
        """Text tokens and ends of the texts that were chosen: the steps of the decoder."""

    @property
    def info(self) -> RecognizerInfo:
        return self._model.info

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        if self._padded_samples:
            windows = [replace(window, pcm=self._padded(window.pcm)) for window in windows]
        timer = time.process_time if self.info.device == "cpu" else time.perf_counter
        start_s = timer()
        hypotheses = self._model.step(windows)
        self.cpu_s += timer() - start_s
        self.windows += len(windows)
        seconds = [len(window.pcm) / self.info.sample_rate_hz for window in windows]
        self.encoded_s += float(sum(np.ceil(seconds)))
        for hypothesis in hypotheses:
            words = self._tokenizer.encode(hypothesis.text) if self._tokenizer else hypothesis.text.split()
            self.tokens += len(words) + 1
        self._clock.now_s += DEFAULT_COST * sum(seconds)
        return hypotheses

    def _padded(self, pcm: Floats) -> Floats:
        return np.pad(pcm, (0, max(0, self._padded_samples - len(pcm))))


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one stream and what it cost."""

    shown: tuple[Shown, ...]
    cpu_s: float
    windows: int
    encoded_s: float
    tokens: int
    operations: int = 0
    """Floating-point operations of the model; 0: they were not counted."""


def live(
    model: Recognizer,
    detector: SpeechDetector,
    pcm: Floats,
    *,
    interim: bool,
    padded_s: float = 0.0,
    language: str | None = "en",
    piece_s: float = PIECE_S,
) -> Run:
    """One live stream, in pieces of ``piece_s``; without ``language`` it is detected. Raises what ended it, if that was an
    error."""
    request = TranscriptionRequest(model.info.family, "benchmark", language, interim=interim)
    return _transcribe(model, detector, request, pcm, piece_s, padded_s)


def whole_file(model: Recognizer, detector: SpeechDetector, pcm: Floats, language: str | None = "en") -> Run:
    """A file as ``POST /stt`` reads it: all audio is there at once. Raises as `live`."""
    request = TranscriptionRequest(model.info.family, "benchmark", language, interim=False, whole=True)
    return _transcribe(model, detector, request, pcm, piece_s=None, padded_s=0.0)


def _transcribe(
    model: Recognizer,
    detector: SpeechDetector,
    request: TranscriptionRequest,
    pcm: Floats,
    piece_s: float | None,
    padded_s: float,
) -> Run:
    clock = SimulatedClock()
    metered = MeteredRecognizer(model, clock, padded_s)
    shown: list[Shown] = []
    failures: list[Exception] = []

    def sink(events: list[TranscriptEvent], ended: bool, error: Exception | None) -> None:
        shown.extend(Shown(clock.now_s, event) for event in events if isinstance(event, Transcript))
        if error is not None:
            failures.append(error)

    session = HearingSession(1, request, sink, on_room=lambda: None)
    activity = Transcription(metered, detector, clock, lambda *_: None, lambda *_: None)
    activity.handle(SubmitAudio(session))
    for at_s, command in _arrivals(session, pcm, model.info.sample_rate_hz, piece_s):
        # Nothing is late here that was not late in the server: the audio that came during a step waits for its end.
        while clock.now_s < at_s and _turn(activity):
            pass
        clock.wait_until(at_s)
        activity.handle(command)
    while _turn(activity):
        pass
    if failures:
        raise failures[0]
    return Run(tuple(shown), metered.cpu_s, metered.windows, metered.encoded_s, metered.tokens)


def _arrivals(session: HearingSession, pcm: Floats, rate_hz: int, piece_s: float | None) -> list[tuple[float, AudioCommand]]:
    """Commands with the time at which each arrives; without ``piece_s`` all at once."""
    if piece_s is None:
        return [(0.0, FeedAudio(session, pcm)), (0.0, FinishAudio(session))]
    size = round(piece_s * rate_hz)
    pieces = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    timed: list[tuple[float, AudioCommand]] = [
        ((at * size + len(piece)) / rate_hz, FeedAudio(session, piece)) for at, piece in enumerate(pieces)
    ]
    return [*timed, (len(pcm) / rate_hz, FinishAudio(session))]


def _turn(activity: Transcription) -> bool:
    """One turn of the worker; false when only new audio can bring more."""
    wait_s = activity.turn()
    for delivery in activity.deliveries():
        delivery()
    return wait_s is not None


def chunks(model: Recognizer, pcm: Floats, chunk_s: float) -> Run:
    """Windows of a fixed length one after another, the last one filled with silence; words on a border are torn."""
    clock = SimulatedClock()
    metered = MeteredRecognizer(model, clock)
    rate_hz = model.info.sample_rate_hz
    size = int(chunk_s * rate_hz)
    shown = []
    for at in range(0, len(pcm), size):
        window = np.pad(pcm[at : at + size], (0, max(0, at + size - len(pcm))))
        clock.wait_until((at + size) / rate_hz)
        (hypothesis,) = metered.step([RecognitionWindow(window, want_words=True)])
        if hypothesis.text:
            start_s = at / rate_hz
            words = tuple(WordTime(w.word.strip(), start_s + w.start_s, start_s + w.end_s) for w in hypothesis.words)
            shown.append(Shown(clock.now_s, Transcript(hypothesis.text, True, words, chunk_s, "en")))
    return Run(tuple(shown), metered.cpu_s, metered.windows, metered.encoded_s, metered.tokens)

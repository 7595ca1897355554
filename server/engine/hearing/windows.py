"""One stream's audio → windows to transcribe, and marks between them, in order.

A window starts where speech starts (or where the last window was cut) and ends
where speech ends, where the client asked for a final text, where a turn ends, at
a pause once it is a few seconds long, or at the quietest place when it gets too long. Audio outside windows is dropped, so
silence is never decoded and no word can be invented from it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from models.audio import Pcm
from models.hearing import SpeechDetector, WindowPolicy
from server.engine.hearing.coverage import Span
from server.engine.hearing.endpointing import Change, Endpointer, EndpointPolicy
from server.engine.hearing.turns import TurnMachine, TurnState
from server.requests.transcription import TranscriptionRequest, TurnPhase, TurnSettings

CUT_SEARCH = 0.5
"""A window that is too long is cut in its last half."""
CUT_SMOOTHING_FRAMES = 5
KEPT_S = 0.3
"""Audio kept beside that before speech: it takes a moment to be sure that it is speech."""
FIRST_HOP_S = 0.3
"""New audio before the first decoding of a window; later ones wait for the hop."""
NO_TURN_S = 1.0
"""Speech too uncertain to begin a turn is dropped after this long a silence."""


class Mark(Enum):
    """Something to tell the client between two windows."""

    FLUSHED = "flushed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TurnMark:
    phase: TurnPhase
    at_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """Audio of a stream, from sample ``start_samples``. A window that is not final will grow."""

    start_samples: int
    pcm: Pcm
    is_final: bool
    due_s: float
    """When it was due, on the engine's clock."""
    in_pause: bool = True
    """It ends after speech, not in the middle of it."""
    phrases: tuple[Span, ...] = ()
    """Stretches of speech in it with pauses between them, in samples from its start."""

    @property
    def end_samples(self) -> int:
        return self.start_samples + len(self.pcm)


@dataclass(frozen=True, slots=True)
class _Frame:
    pcm: Pcm
    quietness: float
    """Small where a cut does no harm: level, weighted by the probability of speech."""
    is_speech: bool
    is_sure: bool
    """The detector has hardly a doubt that it is speech."""


class WindowCutter:
    """Takes audio, `flush` and `finish` in order; fills ``ready`` with what is to be done about them."""

    def __init__(self, request: TranscriptionRequest, detector: SpeechDetector, policy: WindowPolicy) -> None:
        self.detector_state = detector.init_state()
        self._rate_hz = detector.sample_rate_hz
        self._size = detector.frame_samples
        frame_s = self._size / self._rate_hz
        self._turns = TurnMachine(request.turns, frame_s) if request.turns is not None else None
        gap_s = policy.whole_gap_s if request.whole else request.max_silence_s
        silence_s = float("inf") if self._turns else gap_s
        rules = policy.whole if request.whole else policy.live
        self._ends = Endpointer(
            EndpointPolicy(frame_s, request.min_volume, silence_s, pre_roll_s=rules.before_s, post_roll_s=rules.after_s)
        )
        self._max_frames = int(rules.longest_s / frame_s)
        self._needed_frames = self._ends.policy.frames(self._ends.policy.min_speech_s)
        self._pause_cut_frames = int(rules.pause_after_s / frame_s)
        self._pause_s = rules.pause_s
        self._pause_frames = self._ends.policy.frames(rules.pause_s)
        self._keep_frames = self._ends.policy.frames(rules.before_s + KEPT_S)
        self._inputs: deque[Pcm | Mark] = deque()
        self._rest: Pcm = np.zeros(0, np.float32)
        self._frames: deque[_Frame] = deque()
        self._base = 0
        """Number of the oldest frame that is kept."""
        self._start = 0
        """First frame of the open window."""
        self._floor = 0
        """Frames before this one belong to windows that are closed."""
        self._decoded_end: int | None = None
        """One past the last frame of the open window that was decoded."""
        self._ahead_end: int | None = None
        """The same for a decoding whose text can be the final one."""
        self.ready: deque[Window | Mark | TurnMark] = deque()
        self.taken_samples = 0

    def feed(self, pcm: Pcm) -> None:
        self._inputs.append(pcm)

    def flush(self) -> None:
        self._inputs.append(Mark.FLUSHED)

    def finish(self) -> None:
        self._inputs.append(Mark.FINISHED)

    def update_turns(self, settings: TurnSettings) -> None:
        if self._turns is not None:
            self._turns.settings = settings

    @property
    def speaking(self) -> bool:
        return self._ends.speaking

    @property
    def has_input(self) -> bool:
        return bool(self._inputs)

    @property
    def waiting_windows(self) -> int:
        return sum(isinstance(item, Window) for item in self.ready)

    def next_frame(self, now_s: float) -> Pcm | None:
        """The next frame for the detector, dealing with the marks before it; None when the input is used up."""
        while self._inputs:
            item = self._inputs[0]
            if isinstance(item, Mark):
                self._inputs.popleft()
                self._mark(item, now_s)
                continue
            missing = self._size - len(self._rest)
            part, after = item[:missing], item[missing:]
            self.taken_samples += len(part)
            if len(after):
                self._inputs[0] = after
            else:
                self._inputs.popleft()
            joined = np.concatenate([self._rest, part]) if len(self._rest) else part
            if len(joined) == self._size:
                self._rest = joined[:0]
                return joined
            self._rest = joined
        return None

    def heard(self, frame: Pcm, probability: float, now_s: float) -> None:
        """Go on with a frame that was judged."""
        level = float(np.sqrt(np.mean(np.square(frame))))
        change, is_speech = self._ends.frame(probability, level)
        is_sure = is_speech and probability >= self._ends.policy.sure_probability
        self._frames.append(_Frame(frame, level * (0.2 + probability), is_speech, is_sure))
        if change is Change.START:
            self._open(max(self._ends.start, self._floor, self._base))
        elif change is Change.END:
            self._close(now_s)
        if self._turns is not None:
            phase = self._turns.frame(probability, is_speech, self._ends.speaking, self._ends.silence_s)
            if phase is not None:
                self._turn(phase, now_s)
            elif self._turns.state is TurnState.IDLE and self._ends.silence_s >= NO_TURN_S:
                self._ends.close()
        if self._ends.speaking:
            length = self._now - self._start
            if length >= self._max_frames:
                self._cut_long(now_s)
            elif length >= self._pause_cut_frames and self._ends.silence_s >= self._pause_s:
                self._cut(self._ends.end, now_s)
        else:
            self._forget(self._now - self._keep_frames)

    def partial(self, hop_s: float, now_s: float) -> Window | None:
        """The open window, if it is worth decoding again: after a hop of audio, and once in a pause, with as much
        of the pause as a final window would have, so that its text can be the final one."""
        if not self._ends.speaking or self._inputs:
            return None
        end, in_pause = self._ends.end, self._in_pause
        if in_pause:
            due = end != self._decoded_end
        elif self._decoded_end is None:
            due = end - self._start >= self._ends.policy.frames(self._ends.policy.pre_roll_s + min(hop_s, FIRST_HOP_S))
        else:
            due = self._ends.last_speech >= self._decoded_end and end - self._decoded_end >= self._ends.policy.frames(hop_s)
        if not due or not self._has_speech(self._start, end):
            return None
        return self._window(self._start, end, now_s, is_final=False, in_pause=in_pause)

    def ahead(self, now_s: float) -> Window | None:
        """The open window in a pause, once all of it was decoded: it will be final if no more speech comes."""
        end = self._ends.end
        is_decoded = end == self._decoded_end != self._ahead_end
        if not (self._ends.speaking and self._in_pause and is_decoded) or self._inputs:
            return None
        return self._window(self._start, end, now_s, is_final=False, in_pause=True)

    def is_newest(self, window: Window) -> bool:
        """Whether a window that was not final still grows, and nothing longer of it was decoded."""
        if window.is_final or not self._ends.speaking:
            return False
        is_open = window.start_samples == max(self._start, self._base) * self._size
        return is_open and window.end_samples // self._size >= (self._decoded_end or 0)

    def decoded(self, window: Window, is_draft: bool) -> None:
        """The open window was decoded as far as ``window`` goes."""
        self._decoded_end = window.end_samples // self._size
        if not is_draft:
            self._ahead_end = self._decoded_end

    def split(self, window: Window, at_samples: int) -> None:
        """Cut a window that was decoded in two, ``at_samples`` from its start; an open one goes on behind the cut."""
        if not window.is_final:
            self._cut((window.start_samples + at_samples) // self._size, window.due_s)
            return
        first = replace(window, pcm=window.pcm[:at_samples], in_pause=True, phrases=_clip(window.phrases, 0, at_samples))
        second = replace(
            window,
            start_samples=window.start_samples + at_samples,
            pcm=window.pcm[at_samples:],
            phrases=_clip(window.phrases, at_samples, len(window.pcm)),
        )
        place = next(place for place, item in enumerate(self.ready) if item is window)
        self.ready[place] = second
        self.ready.insert(place, first)

    # --- windows ----------------------------------------------------------------

    @property
    def _now(self) -> int:
        """One past the newest frame."""
        return self._base + len(self._frames)

    @property
    def _in_pause(self) -> bool:
        return self._ends.silence_s >= self._ends.policy.post_roll_s

    def _open(self, start: int) -> None:
        self._start = start
        self._decoded_end = self._ahead_end = None

    def _close(self, now_s: float) -> None:
        """Speech has ended: what is worth transcribing becomes a final window."""
        self._cut(self._ends.end, now_s)
        self._ends.close()

    def _cut(self, end: int, now_s: float, tail: Pcm | None = None) -> None:
        """Make the open window up to frame ``end`` (and ``tail``) final; the next one starts there."""
        if self._has_speech(self._start, end):
            self.ready.append(self._window(self._start, end, now_s, is_final=True, tail=tail))
        self._floor = max(self._floor, end)
        self._open(self._floor)
        self._forget(end - self._keep_frames)

    def _cut_long(self, now_s: float) -> None:
        """Cut in the middle of the longest pause of the last part, or at the quietest place if there is none."""
        first = self._start + int(self._max_frames * CUT_SEARCH)
        frames = self._slice(first, self._now)
        middle = CUT_SMOOTHING_FRAMES // 2
        kernel = np.ones(CUT_SMOOTHING_FRAMES) / CUT_SMOOTHING_FRAMES
        worth = -np.convolve([frame.quietness for frame in frames], kernel, mode="valid")
        for start, end in _runs([not frame.is_speech for frame in frames]):
            if end - start >= self._pause_frames and 0 <= (place := (start + end) // 2 - middle) < len(worth):
                worth[place] = end - start
        # Speech that is left over must be enough to be a window of its own, or it would be lost.
        left, sure = (
            np.cumsum(flags[::-1])[::-1][middle:][: len(worth)]
            for flags in ([frame.is_speech for frame in frames], [frame.is_sure for frame in frames])
        )
        worth[(left > 0) & (sure < self._needed_frames)] = -np.inf
        self._cut(first + int(np.argmax(worth)) + middle, now_s)

    # --- marks ------------------------------------------------------------------

    def _mark(self, mark: Mark, now_s: float) -> None:
        if self._ends.speaking:
            if self._turns is not None and mark is Mark.FINISHED and (phase := self._turns.begin()) is not None:
                self._turn(phase, now_s)
            # Speech may go on after a flush, so it stays open; samples that fill no frame yet belong to this text.
            end = self._ends.end
            self._cut(end, now_s, self._rest if end == self._now else None)
        if self._turns is not None and mark is Mark.FINISHED and (phase := self._turns.end()) is not None:
            self._turn(phase, now_s)
        self.ready.append(mark)

    def _turn(self, phase: TurnPhase, now_s: float) -> None:
        if phase in (TurnPhase.EAGER_END, TurnPhase.END) and self._ends.speaking:
            self._cut(self._ends.end, now_s)
        if phase is TurnPhase.END:
            self._ends.close()
        self.ready.append(TurnMark(phase, self._now * self._size / self._rate_hz))

    # --- frames -----------------------------------------------------------------

    def _slice(self, start: int, end: int) -> list[_Frame]:
        return [self._frames[index - self._base] for index in range(max(start, self._base), min(end, self._now))]

    def _has_speech(self, start: int, end: int) -> bool:
        """Whether as much was said there, for sure, as it takes to open a window."""
        return sum(frame.is_sure for frame in self._slice(start, end)) >= self._needed_frames

    def _window(
        self, start: int, end: int, now_s: float, *, is_final: bool, in_pause: bool = True, tail: Pcm | None = None
    ) -> Window:
        frames = self._slice(start, end)
        parts = [frame.pcm for frame in frames]
        if tail is not None:
            parts.append(tail)
        phrases = self._phrases([frame.is_speech for frame in frames])
        return Window(max(start, self._base) * self._size, np.concatenate(parts), is_final, now_s, in_pause, phrases)

    def _phrases(self, is_speech: Sequence[bool]) -> tuple[Span, ...]:
        """Runs of speech frames, those joined that are less than a pause apart."""
        runs = _runs(is_speech, self._pause_frames)
        return tuple((first * self._size, last * self._size) for first, last in runs)

    def _forget(self, before: int) -> None:
        while self._base < before and self._frames:
            self._frames.popleft()
            self._base += 1


def _runs(flags: Sequence[bool], apart: int = 1) -> list[Span]:
    """Stretches of true flags, those joined that are less than ``apart`` from each other."""
    runs: list[Span] = []
    for place in np.flatnonzero(flags).tolist():
        if runs and place - runs[-1][1] < apart:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _clip(phrases: Sequence[Span], first: int, last: int) -> tuple[Span, ...]:
    """Phrases inside a part of their window, counted from its start."""
    inside = [(max(a, first), min(b, last)) for a, b in phrases if b > first and a < last]
    return tuple((a - first, b - first) for a, b in inside)

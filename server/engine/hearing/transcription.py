"""The worker side of transcription: audio in, windows through the model, transcripts and turns out.

Voice activity runs here too. Each turn of the worker goes through a bounded piece of every stream's new audio, gives
windows of all streams to the model, final ones first, and hands out what came of it.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from models.audio import Pcm
from models.hearing import Effort, Hypothesis, RecognitionWindow, Recognizer, SpeechDetector
from server.engine.hearing.coverage import uncovered_pause
from server.engine.hearing.jobs import Hearing, Job, choose_jobs, same_audio
from server.engine.hearing.session import (
    AudioCommand,
    CancelAudio,
    FeedAudio,
    FinishAudio,
    FlushAudio,
    HearingSession,
    SubmitAudio,
    UpdateTurns,
)
from server.engine.hearing.steps import StepEnded, Steps
from server.engine.hearing.transcript_text import TranscriptText
from server.engine.hearing.windows import Mark, TurnMark, Window, WindowCutter
from server.engine.worker import Clock, Delivery
from server.errors import DescantError, InternalError
from server.requests.transcription import TranscriptEvent, TranscriptFlushed

log = logging.getLogger("descant.engine")

SURE_LANGUAGE_S = 3.0
"""A window this long decides which language its stream is in, if that is to be detected; shorter ones only their own."""
HOP_S = 0.3
MAX_HOP_S = 3.0
FRAMES_PER_TURN = 256
"""Frames of one stream that voice activity goes through in one turn: 8 s of audio, about 25 ms of work."""
BATCH_BUDGET_S = 0.3
"""Aim for the length of one step, so that a live final does not wait long behind a file's windows."""
DEFAULT_COST = 0.02
"""Seconds of model time per second of audio, before anything was measured."""
COST_SMOOTHING = 0.2
PARTIAL_SHARE = 0.8
"""Share of the time that partial decodings may take before their hop grows: 8 paced streams on one core had a partial lag p95
of 1.25 s at 0.5 and 0.82 s at 0.8, a final latency p95 of 255 and 239 ms."""


TranscriptionCommand = AudioCommand | StepEnded[Job]


class Transcription:
    """Owns a recognizer and a detector; an `Activity` of a `Worker`."""

    def __init__(
        self,
        model: Recognizer,
        detector: SpeechDetector,
        clock: Clock,
        on_step: Callable[[int, float, float], None],
        on_transcript: Callable[[bool, float, bool, bool], None],
        post: Callable[[TranscriptionCommand], None] | None = None,
    ) -> None:
        """``on_step`` is told rows, seconds and audio seconds of each step, ``on_transcript`` whether a text is final, its
        latency, whether it was retried and whether it was cut off. ``post`` hands a command to the worker from another
        thread; without it each step of the model runs within a turn."""
        self._model = model
        self._detector = detector
        self._clock = clock
        self._on_step = on_step
        self._on_transcript = on_transcript
        self._windows = model.info.windows.within(model.info.max_window_s)
        self._has_drafts = model.info.has_drafts
        self._rate_hz = model.info.sample_rate_hz
        if detector.sample_rate_hz != self._rate_hz:
            raise ValueError(f"detector hears at {detector.sample_rate_hz} Hz, recognizer at {self._rate_hz} Hz")
        self._steps: Steps[Job] = Steps(model, clock, post)
        self._alone: deque[Job] = deque()
        """Of a step that failed: each is decoded by itself, to know whose audio it was."""
        self._hearings: dict[int, Hearing] = {}
        self._events: dict[HearingSession, list[TranscriptEvent]] = {}
        self._deliveries: list[Delivery] = []
        self._cost = DEFAULT_COST
        self._partial_s = 0.0
        """What one partial decoding takes, lately."""
        self._hop_s = HOP_S

    # --- Activity ---------------------------------------------------------------

    def open(self) -> None:
        """Decode a second of silence once, so that the first client does not pay for lazy set-up."""
        self._detector.step_batch([np.zeros(self._detector.frame_samples, np.float32)], [self._detector.init_state()])
        self._model.step([RecognitionWindow(np.zeros(self._rate_hz, np.float32), want_words=True)])

    def handle(self, command: TranscriptionCommand) -> None:
        if isinstance(command, StepEnded):
            self._ended(command)
            return
        session = command.session
        if isinstance(command, SubmitAudio):
            cutter = WindowCutter(session.request, self._detector, self._windows)
            text = TranscriptText(session.request, self._rate_hz)
            self._hearings[session.id] = Hearing(session, cutter, text, session.request.language)
            return
        hearing = self._hearings.get(session.id)
        if hearing is None:
            return
        match command:
            case FeedAudio():
                hearing.cutter.feed(command.pcm)
            case FlushAudio():
                hearing.cutter.flush()
            case FinishAudio():
                hearing.cutter.finish()
            case CancelAudio():
                self._end(hearing, command.error)
            case UpdateTurns():
                hearing.cutter.update_turns(command.settings)
            case _:
                assert_never(command)

    def turn(self) -> float | None:
        now_s = self._clock()
        moved = [self._listen(now_s), self._begin_steps(now_s)]
        moved += [self._hand_out(hearing) for hearing in list(self._hearings.values())]
        # Behind a text told now more may begin. What else is left waits for a step that runs, whose end is a command.
        waits = self._steps.running or not any(h.cutter.has_input or h.cutter.ready for h in self._hearings.values())
        return 0.0 if any(moved) or not waits else None

    def fail(self, error: Exception) -> None:
        for hearing in list(self._hearings.values()):
            self._end(hearing, InternalError("internal error"))

    def deliveries(self) -> list[Delivery]:
        for session in list(self._events):
            self._deliver(session, False, None)
        done, self._deliveries = self._deliveries, []
        return done

    # --- audio ------------------------------------------------------------------

    def _listen(self, now_s: float) -> bool:
        """Voice activity of all streams, one frame of each at a time, as far as one turn goes; false without a frame."""
        listening = list(self._hearings.values())
        moved = False
        for _ in range(FRAMES_PER_TURN):
            frames = [(hearing, frame) for hearing in listening if (frame := self._next_frame(hearing, now_s)) is not None]
            if not frames:
                break
            moved = True
            judged = self._detector.step_batch(
                [frame for _, frame in frames], [hearing.cutter.detector_state for hearing, _ in frames]
            )
            for (hearing, frame), (probability, state) in zip(frames, judged, strict=True):
                hearing.cutter.detector_state = state
                hearing.cutter.heard(frame, probability, now_s)
            listening = [hearing for hearing, _ in frames]
        for hearing in self._hearings.values():
            session = hearing.session
            session.taken_samples = hearing.cutter.taken_samples
            if session.wants_room:
                self._deliveries.append(session.on_room)
        return moved

    def _next_frame(self, hearing: Hearing, now_s: float) -> Pcm | None:
        if hearing.cutter.waiting_windows >= self._model.info.max_batch:
            return None
        return hearing.cutter.next_frame(now_s)

    def _finals(self) -> list[list[Job]]:
        waiting = []
        for hearing in self._hearings.values():
            effort = Effort.WHOLE if hearing.session.request.whole else Effort.LIVE
            jobs = [Job(hearing, item, effort) for item in hearing.cutter.ready if isinstance(item, Window)]
            for job in jobs:
                if hearing.last is not None and same_audio(hearing.last[0], job.window):
                    # No speech since it was decoded in a pause: its text is the final text.
                    hypothesis = hearing.results[job.window.start_samples] = hearing.last[1]
                    hearing.last = None
                    self._report(job, replace(hypothesis, retried=False), self._clock())
            known = hearing.results.keys() | hearing.decoding
            jobs = [job for job in jobs if job.window.start_samples not in known]
            waiting.append([job for job in jobs if hearing.ahead is None or not same_audio(hearing.ahead, job.window)])
        return waiting

    def _partials(self, now_s: float) -> list[Job]:
        jobs = []
        for hearing in self._listening_in():
            if not (hearing.drafting or (hearing.ahead and not self._has_drafts)):
                window = hearing.cutter.partial(self._hop_s, now_s)
                if window is not None:
                    is_draft = self._has_drafts or not window.in_pause
                    jobs.append(Job(hearing, window, Effort.DRAFT if is_draft else Effort.LIVE))
        return jobs

    def _aheads(self, now_s: float) -> list[Job]:
        """Windows that are likely to be final soon, where drafts are cheaper than final texts."""
        if not self._has_drafts:
            return []
        waiting = (hearing for hearing in self._listening_in() if not (hearing.drafting or hearing.ahead))
        windows = ((hearing, hearing.cutter.ahead(now_s)) for hearing in waiting)
        return [Job(hearing, window, Effort.LIVE) for hearing, window in windows if window is not None]

    def _listening_in(self) -> list[Hearing]:
        """Streams whose text is wanted before it is final; turns wait for the final texts before."""
        wanted = []
        for hearing in self._hearings.values():
            request, ready = hearing.session.request, hearing.cutter.ready
            goes_on = self._has_drafts and request.turns is None and all(isinstance(item, Window) for item in ready)
            if (request.interim or request.turns is not None) and (not ready or goes_on):
                wanted.append(hearing)
        return wanted

    # --- steps ------------------------------------------------------------------

    def _begin_steps(self, now_s: float) -> bool:
        """Give the model as much as it can take now; false if there is nothing for it, or it has its hands full."""
        finals = self._finals()
        begun = False
        while self._alone and self._steps.free:
            self._begin([self._alone.popleft()])
            begun = True
        if not self._steps.free:
            return begun
        partials = self._partials(now_s)
        for free in range(self._steps.free, 0, -1):
            jobs = self._choose(finals, partials, free) or self._choose([], self._aheads(now_s), free)
            if not jobs:
                break
            self._begin(jobs)
            begun = True
            finals, partials = [[job for job in of if job not in jobs] for of in finals], [j for j in partials if j not in jobs]
        return begun

    def _choose(self, finals: list[list[Job]], partials: list[Job], free: int) -> list[Job]:
        """The next of so many steps that may begin, each with its share of the jobs. Files leave the last one to streams
        that somebody speaks into."""
        if self._steps.parallel > 1 == free and not all(h.session.request.whole for h in self._hearings.values()):
            finals = [[job for job in jobs if not job.hearing.session.request.whole] for jobs in finals]
        share = -(-(sum(map(len, finals)) + len(partials)) // free)
        max_batch = min(self._model.info.max_batch, share)
        return choose_jobs(finals, partials, max_batch, BATCH_BUDGET_S / self._cost, self._rate_hz)

    def _begin(self, jobs: list[Job]) -> None:
        windows = [
            RecognitionWindow(
                job.window.pcm,
                language=job.hearing.language,
                prefix=self._prefix(job),
                want_words=job.hearing.session.request.want_words or self._may_lack_text(job.window),
                keyterms=job.hearing.session.request.keyterms,
                effort=job.effort,
            )
            for job in jobs
        ]
        for job in jobs:
            if job.window.is_final:
                job.hearing.decoding.add(job.window.start_samples)
            elif job.effort is Effort.DRAFT:
                job.hearing.drafting = True
            else:
                job.hearing.ahead = job.window
        ended = self._steps.begin(jobs, windows)
        if ended is not None:
            self._ended(ended)

    def _ended(self, step: StepEnded[Job]) -> None:
        self._steps.ended()
        jobs = [job for job in step.jobs if job.hearing.session.id in self._hearings]
        if isinstance(step.outcome, DescantError):
            for job in jobs:
                self._end(job.hearing, step.outcome)
        elif isinstance(step.outcome, Exception) and len(step.jobs) == 1:
            for job in jobs:
                self._fail_one(job.hearing, step.outcome)
        elif isinstance(step.outcome, Exception):
            log.error("a step of %d windows failed; decoding them one by one", len(step.jobs), exc_info=step.outcome)
            self._alone.extend(jobs)
        else:
            self._measure(step.jobs, step.took_s)
            now_s = self._clock()
            for job, hypothesis in zip(step.jobs, step.outcome, strict=True):
                if job.hearing.session.id in self._hearings:
                    self._decoded(job, hypothesis, now_s)

    def _decoded(self, job: Job, hypothesis: Hypothesis, now_s: float) -> None:
        hearing, window, is_draft = job.hearing, job.window, job.effort is Effort.DRAFT
        if window.is_final:
            hearing.decoding.discard(window.start_samples)
        elif is_draft:
            hearing.drafting = False
        else:
            hearing.ahead = None
        if self._cut_where_text_is_missing(job, hypothesis):
            return
        self._report(job, hypothesis, now_s)
        if hearing.language is None and len(window.pcm) >= SURE_LANGUAGE_S * self._rate_hz and hypothesis.text:
            hearing.language = hypothesis.language
        if window.is_final:
            hearing.results[window.start_samples] = hypothesis
            return
        is_newest = hearing.cutter.is_newest(window)
        if not is_draft and (is_newest or not self._may_lack_text(window)):
            hearing.last = (window, hypothesis)
        if is_newest:
            hearing.cutter.decoded(window, is_draft)
        if is_newest and not (is_draft and hypothesis.truncated):
            awaited = [item.start_samples for item in hearing.cutter.ready if isinstance(item, Window)]
            self._emit(hearing, hearing.text.partial(window, hypothesis, awaited))

    def _report(self, job: Job, hypothesis: Hypothesis, now_s: float) -> None:
        is_cut_off = job.window.is_final and hypothesis.truncated
        self._on_transcript(job.window.is_final, now_s - job.window.due_s, hypothesis.retried, is_cut_off)
        if is_cut_off:
            log.warning(
                "request %s: the text of %.1f s of audio was cut off",
                job.hearing.session.request.request_id, len(job.window.pcm) / self._rate_hz,
            )  # fmt: skip

    def _cut_where_text_is_missing(self, job: Job, hypothesis: Hypothesis) -> bool:
        """Cut the window at a pause if the text leaves out what was said on one side of it; the parts come in line."""
        window, is_draft = job.window, job.effort is Effort.DRAFT
        if not (self._may_lack_text(window) and (window.is_final or job.hearing.cutter.is_newest(window))):
            return False
        at_samples = uncovered_pause(
            window.phrases, hypothesis.words, self._rate_hz,
            is_whole=window.is_final or window.in_pause, keep_start=bool(job.hearing.text.prefix(window, is_draft)),
        )  # fmt: skip
        if at_samples is None:
            return False
        job.hearing.cutter.split(window, at_samples)
        job.hearing.last = None
        return True

    def _may_lack_text(self, window: Window) -> bool:
        return self._windows.loses_phrases and len(window.phrases) > 1

    def _prefix(self, job: Job) -> str:
        """What the text of the window that clients see words of must begin with: the open one, or the first final one."""
        if job.window.is_final and job.window is not next(i for i in job.hearing.cutter.ready if isinstance(i, Window)):
            return ""
        return job.hearing.text.prefix(job.window, job.effort is Effort.DRAFT)

    def _measure(self, jobs: Sequence[Job], took_s: float) -> None:
        audio_s = sum(len(job.window.pcm) for job in jobs) / self._rate_hz
        self._on_step(len(jobs), took_s, audio_s)
        if audio_s > 0.0:
            self._cost += COST_SMOOTHING * (took_s / audio_s - self._cost)
        partials = sum(not job.window.is_final and (job.effort is Effort.DRAFT or not self._has_drafts) for job in jobs)
        if partials == len(jobs):
            # All open windows are decoded once per hop; that must not take more than its share of the time.
            self._partial_s += COST_SMOOTHING * (took_s / partials - self._partial_s)
            talking = sum(hearing.cutter.speaking for hearing in self._hearings.values())
            self._hop_s = min(MAX_HOP_S, max(HOP_S, self._partial_s * talking / (PARTIAL_SHARE * self._steps.parallel)))

    # --- results ----------------------------------------------------------------

    def _hand_out(self, hearing: Hearing) -> bool:
        """Everything at the head of the line that is decided, in the order of the audio; false if that is nothing."""
        ready, moved = hearing.cutter.ready, False
        while ready:
            item = ready[0]
            match item:
                case Window():
                    if (hypothesis := hearing.results.pop(item.start_samples, None)) is None:
                        return moved
                    self._emit(hearing, hearing.text.final(item, hypothesis))
                    if hearing.last is not None and hearing.last[0].start_samples <= item.start_samples:
                        hearing.last = None
                case TurnMark():
                    self._emit(hearing, hearing.text.turn(item))
                case Mark.FLUSHED:
                    self._emit(hearing, [TranscriptFlushed()])
                case Mark.FINISHED:
                    self._end(hearing, None)
                    return True
            ready.popleft()
            moved = True
        return moved

    def _end(self, hearing: Hearing, error: DescantError | None) -> None:
        if self._hearings.pop(hearing.session.id, None) is not None:
            self._deliver(hearing.session, True, error)

    def _fail_one(self, hearing: Hearing, error: Exception) -> None:
        log.error("request %s: the recognizer failed", hearing.session.request.request_id, exc_info=error)
        self._end(hearing, InternalError("speech recognition failed"))

    def _emit(self, hearing: Hearing, events: list[TranscriptEvent]) -> None:
        if events:
            self._events.setdefault(hearing.session, []).extend(events)

    def _deliver(self, session: HearingSession, ended: bool, error: Exception | None) -> None:
        events = self._events.pop(session, [])
        self._deliveries.append(lambda: session.sink(events, ended, error))

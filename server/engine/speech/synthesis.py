"""The worker side of speech: commands in, steps of the model, audio and times out."""

import functools
import logging
from collections.abc import Callable
from typing import assert_never

import numpy as np

from models.speaking import say
from models.speech import SpeechFrames, Synthesizer
from server.engine.speech.scheduler import Expiry, Scheduler
from server.engine.speech.session import Cancel, Feed, Finish, Flush, Room, SpeechCommand, SpeechSession, SpeechState, Submit
from server.engine.speech.times import spoken_times
from server.engine.worker import Clock, Delivery
from server.errors import DeadlineExceeded, DescantError, InternalError
from server.requests.speech import SpeechEvent, SpeechFlushed, SpokenAudio
from server.text.frontend import TextSegment

log = logging.getLogger("descant.engine")


class Synthesis:
    """Owns a synthesizer; an `Activity` of a `Worker`."""

    def __init__(
        self,
        model: Synthesizer,
        scheduler: Scheduler,
        clock: Clock,
        warm_up: Callable[[], tuple[TextSegment, ...]],
        on_step: Callable[[int, float, float], None],
        max_ahead_s: float,
    ) -> None:
        """``on_step`` hears of each step: rows, seconds it took, seconds of audio it gave."""
        self._model = model
        self._scheduler = scheduler
        self._clock = clock
        self._warm_up = warm_up
        self._on_step = on_step
        self._max_ahead_s = max_ahead_s
        self._states: dict[int, SpeechState] = {}
        self._events: dict[SpeechSession, list[SpeechEvent]] = {}
        self._deliveries: list[Delivery] = []
        self.active = 0
        self.waiting = 0
        self.turnover = scheduler.turnover()
        """For other threads to read, as the two before it."""

    # --- Activity ---------------------------------------------------------------

    def open(self) -> None:
        """Speak the warm-up text once, so that the first client does not pay for lazy set-up."""
        say(self._model, self._model.info.voices[0], [text.utterance for text in self._warm_up()])

    def handle(self, command: SpeechCommand) -> None:
        session, now_s = command.session, self._clock()
        if isinstance(command, Submit):
            self._states[session.id] = SpeechState(session)
            self._scheduler.submit(session.id, now_s, session.request.key_id)
            return
        state = self._states.get(session.id)
        if state is None:
            return
        match command:
            case Feed():
                self._guard(state, lambda: self._take_text(state, command, now_s))
            case Flush():
                state.to_feed.append(None)
                self._scheduler.touch(session.id, now_s)
                self._guard(state, lambda: self._pass_flushes(state))
            case Finish():
                state.finishing = True
                self._end_if_done(state)
            case Cancel():
                self._end(state, command.error)
            case Room():
                pass
            case _:
                assert_never(command)

    def turn(self) -> float | None:
        now_s = self._clock()
        for state in self._states.values():
            session = state.session
            self._scheduler.observe(session.id, session.unread_s, session.last_read_s, session.text_held)
        plan = self._scheduler.plan(now_s)
        for id, why in plan.expire:
            self._expire(self._states[id], why)
        for given in plan.reclaim:
            self._model.release(given.slot)
            self._states[given.session].slot = None
        for given in plan.admit:
            self._admit(self._states[given.session], given.slot, now_s)
        self._publish()  # before the step, too: whoever asks for a slot while it runs is told of those just taken
        stepping = [self._states[id] for id in plan.step if id in self._states]
        if stepping:
            self._step(stepping)
        self._throttle()
        self._publish()
        if stepping or plan.expire:
            return 0.0
        return None if plan.wake_s is None else max(0.001, plan.wake_s - self._clock())

    def _publish(self) -> None:
        self.active, self.waiting = self._scheduler.active, self._scheduler.waiting
        self.turnover = self._scheduler.turnover()

    def fail(self, error: Exception) -> None:
        for state in list(self._states.values()):
            self._end(state, InternalError("internal error"))

    def deliveries(self) -> list[Delivery]:
        """Events of all sessions of this turn, each session's in order, its end last."""
        for session in list(self._events):
            self._deliver(session, False, None)
        done, self._deliveries = self._deliveries, []
        return done

    # --- text -------------------------------------------------------------------

    def _take_text(self, state: SpeechState, command: Feed, now_s: float) -> None:
        session = state.session
        session.taken_chars = command.chars_through
        state.to_feed.extend(command.segments)
        state.segments_in += len(command.segments)
        state.char_marks.append((state.segments_in, command.chars_through))
        self._scheduler.touch(session.id, now_s)
        self._scheduler.add_text(session.id, len(command.segments), now_s)
        self._count_chars(state)
        self._feed_model(state)

    def _feed_model(self, state: SpeechState) -> None:
        """Give the model all text up to the next flush: a chunk must not mix audio of before and after it."""
        if state.slot is None:
            return
        while state.to_feed and (text := state.to_feed[0]) is not None:
            state.to_feed.popleft()
            self._model.feed(state.slot, text.utterance)
            state.in_model.append(text)
            if state.session.info.times != "none":
                state.untimed.append(text)

    def _pass_flushes(self, state: SpeechState) -> None:
        """Answer flushes whose text has all been spoken."""
        while not state.in_model and state.to_feed and state.to_feed[0] is None:
            state.to_feed.popleft()
            self._emit(state, SpeechFlushed(state.flush_index))
            state.flush_index += 1
            self._feed_model(state)

    def _count_chars(self, state: SpeechState) -> None:
        while state.char_marks and state.char_marks[0][0] <= state.segments_ended:
            state.session.spoken_chars = state.char_marks.popleft()[1]

    # --- slots ------------------------------------------------------------------

    def _admit(self, state: SpeechState, slot: int, now_s: float) -> None:
        session = state.session
        state.slot = slot
        state.slot_start_samples = session.spoken_samples
        if session.times.admitted_s is None:
            session.times.admitted_s = now_s
        self._guard(state, lambda: self._begin(state, slot))

    def _begin(self, state: SpeechState, slot: int) -> None:
        request = state.session.request
        self._model.admit(slot, request.voice, request.generation)
        self._feed_model(state)

    def _guard(self, state: SpeechState, work: Callable[[], None]) -> None:
        """A model that raises for one session fails that session only."""
        try:
            work()
        except DescantError as error:
            self._end(state, error)
        except Exception:
            self._fail_one(state)

    def _expire(self, state: SpeechState, why: Expiry) -> None:
        match why:
            case Expiry.IDLE:
                self._end(state, None)
            case Expiry.STALLED:
                self._end(state, DeadlineExceeded("the client read no audio for too long; the stream was ended"))
            case Expiry.QUEUE_TIMEOUT:
                self._end(state, DeadlineExceeded("no slot became free in time", retry_after_s=1.0))
            case _:
                assert_never(why)

    def _end(self, state: SpeechState, error: DescantError | None) -> None:
        session = state.session
        if self._states.pop(session.id, None) is None:
            return
        slot = self._scheduler.end(session.id, self._clock())
        if slot is not None and state.slot is not None:
            try:
                self._model.release(slot)
            except Exception:
                log.exception("request %s: releasing slot %d failed", session.request.request_id, slot)
        self._deliver(session, True, error)

    def _end_if_done(self, state: SpeechState) -> None:
        if state.is_done:
            self._end(state, None)

    def _fail_one(self, state: SpeechState) -> None:
        log.exception("request %s: the model failed", state.session.request.request_id)
        self._end(state, InternalError("speech synthesis failed"))

    # --- steps ------------------------------------------------------------------

    def _step(self, stepping: list[SpeechState]) -> None:
        start_s = self._clock()
        for state in stepping:
            if state.session.times.first_step_s is None:
                state.session.times.first_step_s = start_s
        try:
            frames = self._model.step([_slot(state) for state in stepping])
        except Exception:
            if len(stepping) == 1:
                self._fail_one(stepping[0])
                return
            log.exception("a step of %d sessions failed; stepping them one by one", len(stepping))
            for state in stepping:
                self._step([state])
            return
        now_s = self._clock()
        self._scheduler.measured([state.session.id for state in stepping], now_s - start_s)
        audio_s = sum(len(f.pcm) / state.session.sample_rate_hz for state, f in zip(stepping, frames, strict=True))
        self._on_step(len(stepping), now_s - start_s, audio_s)
        for state, frame in zip(stepping, frames, strict=True):
            self._guard(state, functools.partial(self._hand_out, state, frame, now_s))

    def _hand_out(self, state: SpeechState, frame: SpeechFrames, now_s: float) -> None:
        session = state.session
        rate_hz = session.sample_rate_hz
        if frame.times is not None:
            text = state.untimed.popleft()
            start_samples = state.slot_start_samples
            self._emit(state, spoken_times(text, frame.times, session.info.times, start_samples, rate_hz, state.flush_index))
        if len(frame.pcm):
            if session.times.first_audio_s is None:
                session.times.first_audio_s = now_s
            pcm = np.asarray(frame.pcm, dtype=np.float32)
            self._emit(state, SpokenAudio(pcm, session.spoken_samples / rate_hz, state.flush_index))
            session.spoken_samples += len(pcm)
        for _ in range(frame.utterances_ended):
            state.in_model.popleft()
        state.segments_ended += frame.utterances_ended
        self._count_chars(state)
        self._scheduler.stepped(session.id, len(frame.pcm) / rate_hz, frame.utterances_ended, now_s)
        self._pass_flushes(state)
        self._end_if_done(state)

    def _throttle(self) -> None:
        """Ask the readers of full sessions to say when they took some."""
        for state in self._states.values():
            session = state.session
            if session.unread_s >= self._max_ahead_s:
                session.throttled = True
                if session.unread_s < self._max_ahead_s:
                    # The reader took some between the two looks and has not seen the flag.
                    session.throttled = False

    # --- events -----------------------------------------------------------------

    def _emit(self, state: SpeechState, event: SpeechEvent) -> None:
        self._events.setdefault(state.session, []).append(event)

    def _deliver(self, session: SpeechSession, ended: bool, error: Exception | None) -> None:
        events = self._events.pop(session, [])
        self._deliveries.append(lambda: session.sink(events, ended, error))


def _slot(state: SpeechState) -> int:
    assert state.slot is not None
    return state.slot

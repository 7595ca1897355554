"""One voice model as the event loop sees it: admission, open sessions, its worker."""

import functools
from collections import Counter
from collections.abc import Callable, Iterator

from models.speech import Synthesizer
from server.engine.events import EventQueue
from server.engine.interface import ServedModel
from server.engine.limits import EngineLimits, Places, share_of
from server.engine.speech.abilities import check_request
from server.engine.speech.scheduler import Policy, Scheduler
from server.engine.speech.session import Cancel, Room, SpeechCommand, SpeechSession, Submit
from server.engine.speech.stream import SpeechStream
from server.engine.speech.synthesis import Synthesis
from server.engine.speech.text_feed import ForgetText, FrontEnd, OpenText, TextCommand, read_whole
from server.engine.worker import Clock, Worker
from server.errors import Busy, DescantError
from server.metrics import Metrics
from server.requests.speech import SpeechEvent, SpeechRequest, StageTimes

WARM_UP_TEXT = "Ready to speak. One, two, three."


class Speaker:
    """Admits sessions to one synthesizer and keeps count of them. Event loop only, but for the worker inside."""

    def __init__(
        self,
        name: str,
        model: Synthesizer,
        front_end: FrontEnd,
        limits: EngineLimits,
        metrics: Metrics,
        clock: Clock,
        ids: Iterator[int],
        post_text: Callable[[TextCommand], None],
        on_ended: Callable[[], None],
    ) -> None:
        self.name = name
        self.device = model.info.device
        self.slots = min(model.info.max_slots, limits.max_speech_sessions)
        self.info = model.info
        self.sample_rate_hz = model.info.sample_rate_hz
        self.voices = model.info.voices
        self.served = ServedModel(
            name, "speech", model.info.family, self.device, self.sample_rate_hz, model.info.languages, self.voices,
            weight_bytes=model.info.weight_bytes,
        )  # fmt: skip
        self._places = Places(self.slots + limits.max_queued_sessions, limits, "contexts")
        self._max_queue_s = limits.max_queue_s
        self._metrics = metrics
        self._clock = clock
        self._ids = ids
        self._post_text = post_text
        self._on_ended = on_ended
        self._open: dict[int, SpeechSession] = {}
        policy = Policy(
            idle_s=limits.context_idle_s,
            stall_s=limits.stall_timeout_s,
            max_slots_per_key=share_of(self.slots, limits.key_share),
        )
        warm_up = functools.partial(
            read_whole, front_end, WARM_UP_TEXT, language=model.info.voices[0].tongue, reads=model.info.reads
        )
        self._synthesis = Synthesis(model, Scheduler(self.slots, policy), clock, warm_up, self._record_step, policy.max_ahead_s)
        self._worker: Worker[SpeechCommand] = Worker(f"speech-{name}", self._synthesis)

    async def start(self) -> None:
        await self._worker.start()

    async def stop(self) -> None:
        await self._worker.stop()

    @property
    def active(self) -> int:
        """Sessions that hold a slot."""
        return self._synthesis.active

    @property
    def queued(self) -> int:
        """Sessions that have text and wait for a slot."""
        return self._synthesis.waiting

    @property
    def open_sessions(self) -> int:
        return len(self._open)

    def open(self, request: SpeechRequest) -> SpeechStream:
        """Admit a context, or raise Busy: nothing is made, posted or waited for before that is known.

        Raises InvalidRequest for what the model cannot do.
        """
        check_request(request, self.info)
        try:
            self._refuse_long_wait(request.key_id)
            self._places.take(request.key_id)
        except Busy:
            self._metrics.record_error("speech", Busy.http_status)
            raise
        now_s = self._clock()
        events: EventQueue[SpeechEvent] = EventQueue()
        session = SpeechSession(
            id=next(self._ids),
            request=request,
            info=self.info,
            times=StageTimes(request.received_s or now_s),
            sink=lambda news, ended, error: self._arrive(session, events, news, ended, error),
            post=self._worker.post,
            last_read_s=now_s,
        )
        self._open[session.id] = session
        self._metrics.record_request("speech", self.name)
        self._worker.post(Submit(session))
        self._post_text(OpenText(session))
        return SpeechStream(
            session, events, self._clock, self._post_text,
            on_room=functools.partial(self._worker.post, Room(session)),
            on_cancel=functools.partial(self._cancel, session),
        )  # fmt: skip

    def _refuse_long_wait(self, key: str) -> None:
        """Raises Busy for who would wait for a slot: whoever is let in only hears later, and the server does no more
        by it. Who was let in a moment ago counts, too, which the worker may not know yet: a step is long enough for
        two to come at three times capacity."""
        waiting = Counter(
            session.request.key_id
            for session in self._open.values()
            if session.pushed_chars and session.times.admitted_s is None
        )
        wait_s = self._synthesis.turnover.wait_s(key, waiting)
        if wait_s > self._max_queue_s:
            raise Busy(
                f"a slot would be free in about {wait_s:.1f} s; limits.max_queue_s is {self._max_queue_s:g}",
                retry_after_s=max(1.0, wait_s),
            )

    def end_all(self, error: DescantError) -> None:
        for session in list(self._open.values()):
            self._post_text(ForgetText(session))
            self._worker.post(Cancel(session, error))

    def _cancel(self, session: SpeechSession) -> None:
        """The place is free at once; the slot when the worker sees the command."""
        if self._close(session):
            self._worker.post(Cancel(session))

    def _arrive(
        self,
        session: SpeechSession,
        events: EventQueue[SpeechEvent],
        news: list[SpeechEvent],
        ended: bool,
        error: Exception | None,
    ) -> None:
        events.put(news, ended, error)
        if ended and self._close(session) and isinstance(error, DescantError):
            self._metrics.record_error("speech", error.http_status)

    def _close(self, session: SpeechSession) -> bool:
        """Count the session out; false if it was already."""
        if self._open.pop(session.id, None) is None:
            return False
        self._places.leave(session.request.key_id)
        self._post_text(ForgetText(session))
        self._on_ended()
        self._metrics.record_text(self.name, session.pushed_chars)
        return True

    def _record_step(self, rows: int, took_s: float, audio_s: float) -> None:
        self._metrics.record_step("speech", self.name, rows, took_s, audio_s)

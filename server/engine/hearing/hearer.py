"""One recogniser as the event loop sees it: admission, open streams, its worker."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

from models.hearing import Recognizer, SpeechDetector
from server.engine.events import EventQueue
from server.engine.hearing.session import CancelAudio, HearingSession, SubmitAudio
from server.engine.hearing.stream import TranscriptStream
from server.engine.hearing.transcription import Transcription, TranscriptionCommand
from server.engine.interface import ServedModel
from server.engine.limits import EngineLimits, Places
from server.engine.worker import Clock, Worker
from server.errors import Busy, DescantError, InvalidRequest
from server.metrics import Metrics
from server.requests.transcription import TranscriptEvent, TranscriptionRequest


class Hearer:
    """Admits streams to one recogniser and keeps count of them. Event loop only, but for the worker inside."""

    def __init__(
        self,
        name: str,
        model: Recognizer,
        detector: SpeechDetector,
        limits: EngineLimits,
        metrics: Metrics,
        clock: Clock,
        ids: Iterator[int],
        on_ended: Callable[[], None],
    ) -> None:
        self.name = name
        self.device = model.info.device
        self.slots = limits.max_transcription_sessions
        self._places = Places(self.slots, limits, "transcription streams")
        self.sample_rate_hz = model.info.sample_rate_hz
        self._languages = model.info.languages
        self._detects_language = model.info.detects_language
        self.served = ServedModel(
            name, "recognition", model.info.family, self.device, self.sample_rate_hz, self._languages,
            engine=model.info.engine, weight_bytes=model.info.weight_bytes,
        )  # fmt: skip
        self._metrics = metrics
        self._ids = ids
        self._on_ended = on_ended
        self._open: dict[int, HearingSession] = {}
        activity = Transcription(
            model, detector, clock,
            on_step=lambda rows, took_s, audio_s: metrics.record_step("transcription", name, rows, took_s, audio_s),
            on_transcript=functools.partial(metrics.record_transcript, name),
            post=lambda command: self._worker.post(command),
        )  # fmt: skip
        self._worker: Worker[TranscriptionCommand] = Worker(f"transcription-{name}", activity)

    async def start(self) -> None:
        await self._worker.start()

    async def stop(self) -> None:
        await self._worker.stop()

    @property
    def open_sessions(self) -> int:
        return len(self._open)

    def open(self, request: TranscriptionRequest) -> TranscriptStream:
        """Raises InvalidRequest for a language the recognizer does not know, Busy when no stream is free."""
        request = replace(request, language=self._language(request.language))
        try:
            self._places.take(request.key_id)
        except Busy:
            self._metrics.record_error("transcription", Busy.http_status)
            raise
        events: EventQueue[TranscriptEvent] = EventQueue()
        room = asyncio.Event()
        session = HearingSession(
            id=next(self._ids),
            request=request,
            sink=lambda news, ended, error: self._arrive(session, events, room, news, ended, error),
            on_room=room.set,
        )
        self._open[session.id] = session
        self._metrics.record_request("transcription", self.name)
        self._worker.post(SubmitAudio(session))
        on_cancel = functools.partial(self._cancel, session, room)
        return TranscriptStream(session, events, room, self.sample_rate_hz, self._worker.post, on_cancel)

    def _language(self, asked: str | None) -> str | None:
        """The only language there is need not be detected. Raises InvalidRequest."""
        if asked is None and not self._detects_language:
            if len(self._languages) == 1:
                return self._languages[0]
            listed = ", ".join(self._languages)
            raise InvalidRequest(f"language: {self.name} does not detect it; accepted values: {listed}", field="language")
        if asked is not None and asked not in self._languages:
            raise InvalidRequest.choice("language", asked, self._languages)
        return asked

    def end_all(self, error: DescantError) -> None:
        for session in list(self._open.values()):
            self._worker.post(CancelAudio(session, error))

    def _arrive(
        self,
        session: HearingSession,
        events: EventQueue[TranscriptEvent],
        room: asyncio.Event,
        news: list[TranscriptEvent],
        ended: bool,
        error: Exception | None,
    ) -> None:
        events.put(news, ended, error)
        if ended and self._close(session, room) and isinstance(error, DescantError):
            self._metrics.record_error("transcription", error.http_status)

    def _cancel(self, session: HearingSession, room: asyncio.Event) -> None:
        """The place is free at once; the worker drops the audio when it sees the command."""
        if self._close(session, room):
            self._worker.post(CancelAudio(session))

    def _close(self, session: HearingSession, room: asyncio.Event) -> bool:
        """Count the stream out, and let go whoever waits to feed it; false if that was done already."""
        if self._open.pop(session.id, None) is None:
            return False
        self._places.leave(session.request.key_id)
        session.ended = True
        room.set()
        self._on_ended()
        self._metrics.record_audio_in(self.name, session.fed_samples / self.sample_rate_hz)
        return True

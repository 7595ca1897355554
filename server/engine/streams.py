"""What a face holds of a running request: an async iterator of events, and the calls that feed it."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from server.engine.session import SpeechSession
from server.engine.text_feed import FinishText, FlushText, PushText, SetControls, SetDelay, TextCommand
from server.engine.worker import Clock
from server.errors import InvalidRequest
from server.types import MAX_TRANSCRIPT_CHARS, Controls, SpeechEvent, SpokenAudio, StageTimes

E = TypeVar("E")


class EventQueue(Generic[E]):
    """Events from a worker to one reader, both on the event loop; ends once, well or with an error."""

    def __init__(self) -> None:
        self._events: deque[E] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, events: list[E], ended: bool, error: Exception | None) -> None:
        if self._ended:
            return
        self._events.extend(events)
        self._ended, self._error = ended, error
        self._news.set()

    def close(self) -> None:
        """Drop what is unread; the reader ends without an error."""
        self._events.clear()
        self._ended, self._error = True, None
        self._news.set()

    async def get(self) -> E:
        """The next event; raises StopAsyncIteration after the last, or the error (again on each call)."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()


class SpeechStream:
    """One speaking context. Iterate for events; ends after `finish` and the last audio. Not thread-safe."""

    def __init__(
        self,
        session: SpeechSession,
        events: EventQueue[SpeechEvent],
        clock: Clock,
        post_text: Callable[[TextCommand], None],
        on_room: Callable[[], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self._session = session
        self._events = events
        self._clock = clock
        self._post_text = post_text
        self._on_room = on_room
        self._on_cancel = on_cancel
        self._finished = False

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio, that of the model."""
        return self._session.sample_rate_hz

    @property
    def times(self) -> StageTimes:
        return self._session.times

    def push(self, text: str) -> None:
        """More text, joined verbatim to what came before.

        Raises InvalidRequest when more than MAX_TRANSCRIPT_CHARS would wait to be spoken.
        """
        session = self._session
        waiting = session.pushed_chars - session.spoken_chars + len(text)
        if waiting > MAX_TRANSCRIPT_CHARS:
            raise InvalidRequest(
                f"transcript: {waiting} characters would wait to be spoken; at most {MAX_TRANSCRIPT_CHARS} may",
                field="transcript",
            )
        if self._finished or not text:
            return
        session.pushed_chars += len(text)
        self._post_text(PushText(session, text))

    def flush(self) -> None:
        """Speak everything pushed so far; SpeechFlushed follows its audio."""
        if not self._finished:
            self._post_text(FlushText(self._session))

    def finish(self) -> None:
        """No more text; the stream ends when everything is spoken."""
        if not self._finished:
            self._finished = True
            self._post_text(FinishText(self._session))

    def set_buffer_delay_ms(self, max_buffer_delay_ms: int) -> None:
        self._post_text(SetDelay(self._session, max_buffer_delay_ms))

    def set_controls(self, controls: Controls) -> None:
        """How to speak the text pushed from now on."""
        self._post_text(SetControls(self._session, controls))

    def cancel(self) -> None:
        """Stop at once: unread audio is dropped, iteration ends, the slot is free at the next step. Idempotent."""
        self._finished = True
        self._events.close()
        self._on_cancel()

    def __aiter__(self) -> "SpeechStream":
        return self

    async def __anext__(self) -> SpeechEvent:
        event = await self._events.get()
        if isinstance(event, SpokenAudio):
            session = self._session
            session.read_samples += len(event.pcm)
            session.last_read_s = self._clock()
            if session.throttled:
                session.throttled = False
                self._on_room()
        return event

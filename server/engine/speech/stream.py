"""What the API layer holds of a running request: an async iterator of events, and the calls that feed it."""

from collections.abc import Callable

from server.engine.events import EventQueue
from server.engine.speech.abilities import check_controls, check_times
from server.engine.speech.session import SpeechSession
from server.engine.speech.text_feed import FinishText, FlushText, PushText, SetControls, SetDelay, TextCommand
from server.engine.worker import Clock
from server.errors import InvalidRequest
from server.requests.speech import MAX_TRANSCRIPT_CHARS, Controls, SpeechEvent, SpokenAudio, StageTimes


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
        """How to speak the text pushed from now on. Raises InvalidRequest for what the model does not act on."""
        check_controls(controls, self._session.info)
        self._post_text(SetControls(self._session, controls))

    def want_times(self, words: bool, phonemes: bool) -> None:
        """Raises InvalidRequest where the model does not give times that the client asks for from now on."""
        check_times(words, phonemes, self._session.info)

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

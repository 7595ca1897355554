"""What the API layer holds of a running transcription: an async iterator of events, and what feeds it."""

import asyncio
from collections.abc import Callable

from models.audio import Pcm
from server.engine.events import EventQueue
from server.engine.hearing.session import AudioCommand, FeedAudio, FinishAudio, FlushAudio, HearingSession, UpdateTurns
from server.requests.transcription import TranscriptEvent, TurnSettings

MAX_PENDING_S = 30.0
"""Audio that may wait per stream before `feed` makes its caller wait."""
PIECE_S = 10.0


class TranscriptStream:
    """One stream of audio. Iterate for events; ends after `finish` and the last final. Not thread-safe."""

    def __init__(
        self,
        session: HearingSession,
        events: EventQueue[TranscriptEvent],
        room: asyncio.Event,
        rate_hz: int,
        post: Callable[[AudioCommand], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self.sample_rate_hz = rate_hz
        """The rate that `feed` takes."""
        self._session = session
        self._events = events
        self._room = room
        self._post = post
        self._on_cancel = on_cancel
        self._closed = False

    async def opened(self) -> None:
        """Admitted it is by whoever made it."""

    async def feed(self, pcm: Pcm) -> None:
        """More audio, float32 mono at ``sample_rate_hz``; waits while too much is pending."""
        piece = int(PIECE_S * self.sample_rate_hz)
        for at in range(0, len(pcm), piece):
            await self._wait_for_room()
            if self._closed or self._session.ended:
                return
            part = pcm[at : at + piece]
            self._session.fed_samples += len(part)
            self._post(FeedAudio(self._session, part))

    def finalize(self) -> None:
        """Everything fed becomes final; then TranscriptFlushed."""
        if not self._closed:
            self._post(FlushAudio(self._session))

    def finish(self) -> None:
        """No more audio; what was fed becomes final, then the stream ends."""
        if not self._closed:
            self._closed = True
            self._post(FinishAudio(self._session))

    def cancel(self) -> None:
        """Stop at once; iteration ends. Idempotent."""
        self._closed = True
        self._events.close()
        self._on_cancel()

    def update_turns(self, settings: TurnSettings) -> None:
        self._post(UpdateTurns(self._session, settings))

    def __aiter__(self) -> "TranscriptStream":
        return self

    async def __anext__(self) -> TranscriptEvent:
        return await self._events.get()

    async def _wait_for_room(self) -> None:
        limit = int(MAX_PENDING_S * self.sample_rate_hz)
        while self._session.pending_samples > limit and not (self._closed or self._session.ended):
            self._room.clear()
            self._session.wants_room = True
            if self._session.pending_samples <= limit:
                break
            await self._room.wait()
        self._session.wants_room = False

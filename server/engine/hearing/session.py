"""One stream of audio being transcribed, as the engine's threads see it."""

from collections.abc import Callable
from dataclasses import dataclass

from models.audio import Pcm
from server.errors import DescantError
from server.requests.transcription import TranscriptEvent, TranscriptionRequest, TurnSettings

Sink = Callable[[list[TranscriptEvent], bool, Exception | None], None]
"""Takes events on the event loop; the flag says that the stream ended, with an error or well."""


@dataclass(slots=True, eq=False)
class HearingSession:
    id: int
    request: TranscriptionRequest
    sink: Sink
    on_room: Callable[[], None]
    """To run on the event loop when pending audio was taken and somebody waits for that."""

    # Written by the event loop.
    fed_samples: int = 0
    wants_room: bool = False
    ended: bool = False

    # Written by the worker.
    taken_samples: int = 0

    @property
    def pending_samples(self) -> int:
        return self.fed_samples - self.taken_samples


@dataclass(frozen=True, slots=True)
class SubmitAudio:
    session: HearingSession


@dataclass(frozen=True, slots=True)
class FeedAudio:
    session: HearingSession
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class FlushAudio:
    """Everything fed before becomes final."""

    session: HearingSession


@dataclass(frozen=True, slots=True)
class FinishAudio:
    session: HearingSession


@dataclass(frozen=True, slots=True)
class CancelAudio:
    """End now; with an error the client is told."""

    session: HearingSession
    error: DescantError | None = None


@dataclass(frozen=True, slots=True)
class UpdateTurns:
    session: HearingSession
    settings: TurnSettings


AudioCommand = SubmitAudio | FeedAudio | FlushAudio | FinishAudio | CancelAudio | UpdateTurns

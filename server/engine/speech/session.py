"""One context that speaks, as the engine's threads see it.

A session is shared by three threads, each with its own fields: the event loop
(`reader` side and text counters), the text thread, and the worker that owns
the model. Integers and floats are written by one thread and only read by the
others, so no lock is needed.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from models.speech import SynthesizerInfo
from server.errors import DescantError
from server.requests.speech import SpeechEvent, SpeechRequest, StageTimes
from server.text.frontend import TextSegment

Sink = Callable[[list[SpeechEvent], bool, Exception | None], None]
"""Takes events on the event loop; the flag says that the stream ended, with an error or well."""


@dataclass(slots=True, eq=False)
class SpeechSession:
    id: int
    request: SpeechRequest
    info: SynthesizerInfo
    """Of the model that speaks it."""
    times: StageTimes
    sink: Sink
    post: "Callable[[SpeechCommand], None]"
    """Sends a command to the worker that speaks this session; from any thread."""

    # Written by the event loop.
    pushed_chars: int = 0
    read_samples: int = 0
    last_read_s: float = 0.0

    # Written by the worker that owns the model.
    taken_chars: int = 0
    """Characters that have reached the worker as segments, or that make none."""
    spoken_chars: int = 0
    spoken_samples: int = 0
    throttled: bool = False
    """So much audio lies unread that the worker waits for the reader to say when it took some."""

    @property
    def sample_rate_hz(self) -> int:
        return self.info.sample_rate_hz

    @property
    def unread_s(self) -> float:
        return (self.spoken_samples - self.read_samples) / self.sample_rate_hz

    @property
    def text_held(self) -> bool:
        """Some text has not reached the model yet."""
        return self.pushed_chars > self.taken_chars


@dataclass(frozen=True, slots=True)
class Submit:
    session: SpeechSession


@dataclass(frozen=True, slots=True)
class Feed:
    """Segments to speak; ``chars_through`` counts the client's characters up to their end."""

    session: SpeechSession
    segments: tuple[TextSegment, ...]
    chars_through: int


@dataclass(frozen=True, slots=True)
class Flush:
    """Everything fed before is one group; say when it has been spoken."""

    session: SpeechSession


@dataclass(frozen=True, slots=True)
class Finish:
    session: SpeechSession


@dataclass(frozen=True, slots=True)
class Cancel:
    """End now; with an error the client is told, without it the stream just ends."""

    session: SpeechSession
    error: DescantError | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """The reader took audio of a session that was waiting for it."""

    session: SpeechSession


SpeechCommand = Submit | Feed | Flush | Finish | Cancel | Room


@dataclass(slots=True, eq=False)
class SpeechState:
    """What the worker knows of a session; touched by the worker only."""

    session: SpeechSession
    slot: int | None = None
    slot_start_samples: int = 0
    """Audio of the session before its present slot was admitted; the model counts from there."""
    to_feed: deque[TextSegment | None] = field(default_factory=deque)
    """Segments the model has not got yet, None for a flush between them."""
    in_model: deque[TextSegment] = field(default_factory=deque)
    """Segments the model has and has not ended."""
    untimed: deque[TextSegment] = field(default_factory=deque)
    """Segments the model has and has given no times for."""
    char_marks: deque[tuple[int, int]] = field(default_factory=deque)
    """(segments that must have ended, characters of text spoken then)."""
    segments_in: int = 0
    segments_ended: int = 0
    flush_index: int = 0
    finishing: bool = False

    @property
    def is_done(self) -> bool:
        return self.finishing and not self.to_feed and not self.in_model

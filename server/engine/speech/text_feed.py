"""The text side of speech: pushed pieces become segments on one thread of its own.

Turning text into phones takes up to milliseconds a sentence. It would hold up
sockets on the event loop and other people's audio on the model's thread, so it
has neither. Long texts are cut into pieces. Sessions whose listener has nothing
left to hear come first, and keys and sessions take turns, so that the first
sentence of everybody comes before the last of anybody, and a newcomer waits for
one piece instead of one of everybody's.
"""

import logging
import re
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from models.speech import Reads
from server.engine.speech.session import Cancel, Feed, Finish, Flush, SpeechSession
from server.engine.worker import Clock, Delivery
from server.errors import DescantError, InternalError
from server.requests.speech import NO_PRONUNCIATIONS, Controls, Pronunciations
from server.text.frontend import Take, TextSegment

log = logging.getLogger("descant.engine")

PIECE_CHARS = 200
"""About two sentences: the longest text one session may hold the thread for."""

AHEAD_CHARS = 300
"""About 20 s of speech. More text than this is not read ahead of the voice: sixty clients who push 20 000 characters
each would keep this thread busy for 16 s, and a step of the model took 2 to 5 times as long beside it."""
AHEAD_CHECK_S = 0.1
"""How often such texts are looked at again."""

_PIECE = re.compile(rf".{{1,{PIECE_CHARS}}}(?:\s+|$)|\S{{{PIECE_CHARS}}}|\s+", re.DOTALL)


class TextSource(Protocol):
    """The text of one context, as `server.text.frontend.TextStream`."""

    def push(self, text: str, controls: Controls | None = None) -> None: ...

    def take(self, mode: Take) -> list[TextSegment]: ...

    def check_end(self) -> None: ...

    @property
    def has_pending_text(self) -> bool: ...


class FrontEnd(Protocol):
    """What makes text sources, as `server.text.frontend.TextFrontEnd`."""

    def open(
        self,
        controls: Controls,
        normalization: str = "auto",
        pronunciations: Pronunciations = NO_PRONUNCIATIONS,
        language: str = "en",
        reads: Reads = "phones",
    ) -> TextSource: ...


def read_whole(
    front_end: FrontEnd, text: str, controls: Controls | None = None, language: str = "en", reads: Reads = "phones"
) -> tuple[TextSegment, ...]:
    """All segments of a text, for a model that reads phones or text."""
    source = front_end.open(controls or Controls(), language=language, reads=reads)
    source.push(text)
    return tuple(source.take(Take.END))


@dataclass(frozen=True, slots=True)
class OpenText:
    session: SpeechSession


@dataclass(frozen=True, slots=True)
class PushText:
    session: SpeechSession
    text: str


@dataclass(frozen=True, slots=True)
class FlushText:
    session: SpeechSession


@dataclass(frozen=True, slots=True)
class FinishText:
    session: SpeechSession


@dataclass(frozen=True, slots=True)
class ForgetText:
    """The session ended; drop what it still had to say."""

    session: SpeechSession


@dataclass(frozen=True, slots=True)
class SetDelay:
    session: SpeechSession
    max_buffer_delay_ms: int


@dataclass(frozen=True, slots=True)
class SetControls:
    session: SpeechSession
    controls: Controls


TextCommand = OpenText | PushText | FlushText | FinishText | ForgetText | SetDelay | SetControls


@dataclass(slots=True)
class _Text:
    """One session's text: what is still to be pushed, and since when the rest waits."""

    session: SpeechSession
    source: TextSource
    delay_s: float
    work: deque[PushText | FlushText | FinishText | SetDelay | SetControls] = field(default_factory=deque)
    controls: Controls | None = None
    """Changed controls, for the text that is pushed next."""
    oldest_s: float | None = None
    """When the oldest text that is pushed but not taken came."""
    entered_chars: int = 0
    """Characters pushed into the stream."""
    through_chars: int = 0
    """Characters known to have left it as segments (or to make none)."""
    posted_chars: int = 0
    came: int = 0
    """Number of the turn in which it came."""
    served: int = 0
    """Number of the last turn that was for this session, 0 before the first."""

    @property
    def is_ahead(self) -> bool:
        """Something that was read has not been spoken yet."""
        return self.posted_chars > self.session.spoken_chars

    def is_ready(self, now_s: float) -> bool:
        if not self.work:
            return self.due_s <= now_s
        return self.posted_chars - self.session.spoken_chars <= AHEAD_CHARS or not isinstance(self.work[0], PushText)

    @property
    def due_s(self) -> float:
        return float("inf") if self.oldest_s is None else self.oldest_s + self.delay_s


class TextFeed:
    """Owns the text streams of all sessions; an `Activity` of a `Worker`."""

    def __init__(self, front_end: FrontEnd, clock: Clock) -> None:
        self._front_end = front_end
        self._clock = clock
        self._texts: dict[int, _Text] = {}
        self._turns = 0

    def open(self) -> None:
        """Nothing to prepare: the front end was loaded by whoever made it."""

    def handle(self, command: TextCommand) -> None:
        session = command.session
        if isinstance(command, OpenText):
            request = session.request
            source = self._front_end.open(
                request.controls, request.normalization, request.pronunciations, request.voice.tongue, session.info.reads
            )
            self._texts[session.id] = _Text(session, source, request.max_buffer_delay_ms / 1000, came=self._turns)
        elif isinstance(command, ForgetText):
            self._texts.pop(session.id, None)
        elif (text := self._texts.get(session.id)) is not None:
            text.work.append(command)

    def turn(self) -> float | None:
        """One piece of text, or one rest whose time has come; commands are heard in between."""
        now_s = self._clock()
        ready = [text for text in self._texts.values() if text.is_ready(now_s)]
        if ready:
            self._serve(self._next(ready))
        if len(ready) > 1 or any(text.work for text in ready):
            return 0.0
        now_s = self._clock()
        due_s = min((now_s + AHEAD_CHECK_S if text.work else text.due_s for text in self._texts.values()), default=float("inf"))
        return None if due_s == float("inf") else max(0.0, due_s - now_s)

    def _next(self, ready: list[_Text]) -> _Text:
        """Whose turn it is: listeners without audio first, then keys by turns, then sessions by turns."""
        served: dict[str, int] = {}
        for text in self._texts.values():
            key = text.session.request.key_id
            served[key] = max(served.get(key, 0), text.served)

        def place(text: _Text) -> tuple[bool, int, int, int]:
            return text.is_ahead, served[text.session.request.key_id], text.served or text.came, text.session.id

        return min(ready, key=place)

    def _serve(self, text: _Text) -> None:
        self._turns += 1
        text.served = self._turns
        try:
            if text.work:
                self._work(text, text.work.popleft())
            else:
                self._take(text, Take.TIMER)
        except Exception as error:
            self._fail(text, error)

    def fail(self, error: Exception) -> None:
        for text in list(self._texts.values()):
            self._fail(text, error)

    def deliveries(self) -> list[Delivery]:
        return []

    def _work(self, text: _Text, command: PushText | FlushText | FinishText | SetDelay | SetControls) -> None:
        post = text.session.post
        match command:
            case PushText():
                self._push(text, command)
            case FlushText():
                self._take(text, Take.END)
                post(Flush(text.session))
            case FinishText():
                self._take(text, Take.END)
                text.source.check_end()
                post(Finish(text.session))
                del self._texts[text.session.id]
            case SetDelay():
                text.delay_s = command.max_buffer_delay_ms / 1000
            case SetControls():
                text.controls = command.controls
            case _:
                assert_never(command)

    def _push(self, text: _Text, command: PushText) -> None:
        match = _PIECE.match(command.text)
        piece = match.group() if match else command.text
        text.source.push(piece, text.controls)
        text.controls = None
        text.entered_chars += len(piece)
        if len(piece) < len(command.text):
            text.work.appendleft(PushText(command.session, command.text[len(piece) :]))
            self._take(text, Take.READY)
        else:
            self._take(text, Take.INPUT if text.delay_s == 0.0 else Take.READY)

    def _take(self, text: _Text, mode: Take) -> None:
        session = text.session
        segments = tuple(text.source.take(mode))
        if segments and session.times.text_ready_s is None:
            session.times.text_ready_s = self._clock()
        if not text.source.has_pending_text:
            text.oldest_s = None
            text.through_chars = text.entered_chars
        elif not segments and mode is not Take.READY:
            text.oldest_s = None  # an unfinished tag waits for its end, not for the clock
        elif segments or text.oldest_s is None:
            text.oldest_s = self._clock()
        ends_chars = [word.end_chars for segment in segments for word in segment.written]
        text.through_chars = max(text.through_chars, *ends_chars) if ends_chars else text.through_chars
        if segments or text.through_chars > text.posted_chars:
            text.posted_chars = text.through_chars
            session.post(Feed(session, segments, text.through_chars))

    def _fail(self, text: _Text, error: Exception) -> None:
        session = text.session
        self._texts.pop(session.id, None)
        if not isinstance(error, DescantError):
            log.error("request %s: text could not be read", session.request.request_id, exc_info=error)
            error = InternalError("the text could not be turned into speech")
        session.post(Cancel(session, error))

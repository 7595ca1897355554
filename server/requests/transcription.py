"""What the API layer and the engine say to each other about recognition. No behaviour."""

from dataclasses import dataclass
from enum import StrEnum

from server.requests.speech import WordTime

DEFAULT_LANGUAGE = "en"
"""Cartesia's, where a client names none."""

# --- speech recognition ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """Turn taking, as likelihoods that the user is still in an active turn (0..1)."""

    start_threshold: float = 0.8
    eager_end_threshold: float = 0.4
    end_threshold: float = 0.2
    end_timeout_ms: int = 5600


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One stream of audio to transcribe (a file is a stream that is fed at once)."""

    model: str
    """Name of the model that listens."""
    request_id: str
    language: str | None = DEFAULT_LANGUAGE
    """ISO code; None: what is spoken is detected, once for the whole stream."""
    min_volume: float = 0.0
    """Root mean square level (0..1) under which audio never counts as speech."""
    max_silence_s: float = 1.0
    """A pause of this length ends a segment and makes its text final."""
    want_words: bool = True
    turns: TurnSettings | None = None
    """Set for turn taking: the stream then gives Turn events instead of Transcripts."""
    interim: bool = True
    """Whether partial transcripts are wanted."""
    whole: bool = False
    """All of the audio is there and nobody waits for the text of its beginning: windows as long as are read best."""
    keyterms: tuple[str, ...] = ()
    """Names and phrases to listen for, as `server.requests.keyterms.checked_keyterms` gives them."""
    key_id: str = ""
    received_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """Text since the last final one; each carries its own leading space where needed."""

    text: str
    is_final: bool
    words: tuple[WordTime, ...]
    """Times in seconds from the start of the stream."""
    duration_s: float
    """Audio behind this text since the last final one."""
    language: str
    """What it was recognized as."""
    truncated: bool = False
    """The recognizer could not go on to the end: words at the end of this text, or behind it, are missing."""


class TurnPhase(StrEnum):
    START = "turn.start"
    UPDATE = "turn.update"
    EAGER_END = "turn.eager_end"
    RESUME = "turn.resume"
    END = "turn.end"


@dataclass(frozen=True, slots=True)
class Turn:
    """One event of a turn; ``transcript`` is the turn's whole text so far (UPDATE, EAGER_END, END)."""

    phase: TurnPhase
    transcript: str
    at_s: float


@dataclass(frozen=True, slots=True)
class TranscriptFlushed:
    """Answer to one ``finalize``: everything fed before it has been transcribed."""


TranscriptEvent = Transcript | Turn | TranscriptFlushed

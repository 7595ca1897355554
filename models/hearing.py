"""What a family that recognizes speech offers to the engine. Shape letters are explained in `models`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.audio import Pcm

# --- speech recognition ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecognitionWindow:
    """Audio to transcribe at once, at the recogniser's sample rate."""

    pcm: Pcm
    language: str = "en"
    prompt: str = ""
    """Text spoken before this window, as context; never repeated in the result."""
    prefix: str = ""
    """Text already committed for the start of this very window; decoding goes on after it."""
    keyterms: tuple[str, ...] = ()
    """Names and phrases that may be said; a recogniser that can prefers them where the sound allows it."""
    want_words: bool = False


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word with its times in seconds from the start of the window; probability in 0..1."""

    word: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of one window (prefix included), with what guards need to judge it."""

    text: str
    words: tuple[RecognizedWord, ...]
    """Empty unless the window asked for words."""
    mean_log_probability: float
    truncated: bool
    """The token budget or a guard against loops ended the text before the model did."""
    retried: bool = False
    """It was decoded a second time, in a window padded to full length."""


@dataclass(frozen=True, slots=True)
class RecognizerInfo:
    family: str
    sample_rate_hz: int
    languages: tuple[str, ...]
    max_window_s: float
    max_batch: int
    device: str


class Recognizer(Protocol):
    """Ears: stateless, a batch of windows in, a hypothesis for each out."""

    @property
    def info(self) -> RecognizerInfo: ...

    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        """Transcribe the windows as one batch (at most max_batch); deterministic.

        A window's tokens do not depend on its neighbours.
        """


class SpeechDetector(Protocol):
    """Voice activity: probability of speech per frame, state passed in and out."""

    sample_rate_hz: int
    frame_samples: int

    def init_state(self) -> object: ...

    def step_batch(self, frames: Sequence[Pcm], states: Sequence[object]) -> list[tuple[float, object]]:
        """One frame of exactly ``frame_samples`` samples of each of B streams; gives each one's probability and new state."""

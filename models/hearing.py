"""What a family that recognizes speech offers to the engine. Shape letters are explained in `models`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from models.audio import Pcm

# --- speech recognition ---------------------------------------------------------


class Effort(Enum):
    """What a better text of a window is worth in time."""

    DRAFT = "draft"
    """Hardly any: the text of a longer window will take its place."""
    LIVE = "live"
    """Some: it is final, and somebody waits for it."""
    WHOLE = "whole"
    """As much as it takes: part of a file."""


@dataclass(frozen=True, slots=True)
class RecognitionWindow:
    """Audio to transcribe at once, at the recognizer's sample rate."""

    pcm: Pcm
    language: str | None = None
    """ISO code, one of the recognizer's; None: the recognizer detects it."""
    prompt: str = ""
    """Text spoken before this window, as context; never repeated in the result."""
    prefix: str = ""
    """Text already committed for the start of this very window; decoding goes on after it."""
    keyterms: tuple[str, ...] = ()
    """Names and phrases that may be said; a recognizer that can prefers them where the sound allows it."""
    want_words: bool = False
    effort: Effort = Effort.WHOLE


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word with its times in seconds from the start of the window; probability in 0..1."""

    word: str
    """With the space before it, where the script has one: the words joined are the text. Where it has none (Chinese,
    Japanese, Thai), a character or a few."""
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of one window (prefix included), with what guards need to judge it."""

    text: str
    """As the model spaces and punctuates it, without space at either end: ``"".join(word.word for word in words).strip()``."""
    words: tuple[RecognizedWord, ...]
    """Empty unless the window asked for words."""
    mean_log_probability: float
    truncated: bool
    """The token budget or a guard against loops ended the text before the model did, or should have: a draft that says the
    same over and over is not worth showing."""
    retried: bool = False
    """It was decoded a second time, because the first text was doubtful."""
    language: str = "en"
    """What it was decoded as: the window's language, or the one detected."""
    no_speech_probability: float = 0.0
    """How likely the model finds it that nobody speaks in the window."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """Where audio is cut into windows for a recognizer."""

    longest_s: float
    """Where it is spoken on without a pause."""
    pause_after_s: float
    """A window this long ends at the next pause of ``pause_s``."""
    pause_s: float
    before_s: float = 0.25
    """Audio kept before the first speech: onsets are quieter than a detector's threshold."""
    after_s: float = 0.2
    """Audio kept after the last speech."""


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """Which windows a checkpoint reads best; the values here are those of stock Whisper."""

    live: WindowRules = WindowRules(longest_s=10.0, pause_after_s=4.0, pause_s=0.3, before_s=0.5, after_s=0.5)
    """Of a stream whose partial texts somebody waits for: each reads the whole window anew. On human recordings whisper-base
    had 1.7 % errors with these, 2.1 % with 12 and 5 s, 2.8 % with 15 and 8 s."""
    whole: WindowRules = WindowRules(longest_s=30.0, pause_after_s=30.0, pause_s=0.3, before_s=1.0, after_s=1.0)
    """Of a file, where nobody waits for the text of its beginning."""
    whole_gap_s: float = 2.0
    """A pause that ends any window of a file; in a live stream the client says which."""
    loses_phrases: bool = False
    """The network may leave out a phrase before or behind a pause: its windows are cut there if one side has no word."""

    def within(self, longest_s: float) -> "WindowPolicy":
        """The same with no window longer than this."""
        live, whole = (replace(rules, longest_s=min(rules.longest_s, longest_s)) for rules in (self.live, self.whole))
        return replace(self, live=live, whole=whole)


@dataclass(frozen=True, slots=True)
class RecognizerInfo:
    family: str
    sample_rate_hz: int
    languages: tuple[str, ...]
    """ISO codes that a window may name."""
    max_window_s: float
    max_batch: int
    device: str
    detects_language: bool = False
    """A window without a language is decoded as what is spoken in it; otherwise as the only language there is."""
    windows: WindowPolicy = WindowPolicy()
    engine: str = "torch"
    """What runs the network on the device, and with which numbers: "torch float32", "ctranslate2 int8"."""
    weight_bytes: int = 0
    """What the parameters and buffers take on the device."""
    has_drafts: bool = False
    """A draft costs less than a final text of the same window, and may differ from it."""
    parallel_steps: int = 1
    """How many threads may be in `Recognizer.step` at the same time, each as fast as one alone."""


class Recognizer(Protocol):
    """Stateless: a batch of windows in, a hypothesis for each out."""

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

"""What the API layer and the engine say to each other about speaking. No behaviour.

Every default of the public API lives here or beside here once; the API layer translates its own
spelling to these types and reads defaults from them.
"""

from dataclasses import dataclass, field

from models.audio import Pcm
from models.speech import DEFAULT_GENERATION, Generation
from models.voices import Voice

# --- speech synthesis ---------------------------------------------------------

SPEED_RANGE = (0.6, 1.5)
VOLUME_RANGE = (0.5, 2.0)
PITCH_RANGE_SEMITONES = (-12.0, 12.0)
PITCH_MOVEMENT_RANGE = (0.0, 2.0)
MAX_BUFFER_DELAY_RANGE_MS = (0, 5000)
MAX_TRANSCRIPT_CHARS = 20_000
MAX_INSTRUCTIONS_CHARS = 2000
SEED_RANGE = (0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class Controls:
    """How to speak; markup in the text overrides these from where it stands."""

    speed: float = 1.0
    volume: float = 1.0
    pitch_semitones: float = 0.0
    emotion: str | None = None
    pitch_range: float = 1.0
    """Factor on how far the pitch moves around the voice's mean; 0 is monotone."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """``text`` is spoken as ``alias``: plain words, words in IPA, or ``<<p|h|o|n>>`` groups.

    Case-sensitive entries in small letters also match with a capital at the start.
    """

    text: str
    alias: str
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pronunciations:
    """The entries of a pronunciation dictionary. Equal to itself only, so that what is made of them is made once."""

    entries: tuple[Replacement, ...] = ()


NO_PRONUNCIATIONS = Pronunciations()


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One context: a voice speaking pieces of text as they come."""

    model: str
    """Name of the model that speaks."""
    voice: Voice
    request_id: str
    language: str = "en"
    controls: Controls = field(default_factory=Controls)
    generation: Generation = DEFAULT_GENERATION
    normalization: str = "auto"
    pronunciations: Pronunciations = NO_PRONUNCIATIONS
    max_buffer_delay_ms: int = 3000
    """Longest that incomplete text waits for more; 0 speaks each pushed piece at once."""
    want_words: bool = False
    """Whether the client asked for the times of words; they come whether or not it did, where the model gives them."""
    want_phonemes: bool = False
    key_id: str = ""
    """Who asks; for limits and logs."""
    received_s: float = 0.0
    """time.perf_counter() when the request reached the server; start of all stage times."""


@dataclass(frozen=True, slots=True)
class WordTime:
    """Times in seconds from the start of the context's audio."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenAudio:
    """Audio at the model's sample rate. ``flush_index`` counts the flushes completed before it."""

    pcm: Pcm
    start_s: float
    flush_index: int


@dataclass(frozen=True, slots=True)
class SpokenTimes:
    """Times of one segment; sent before or with the segment's first audio.

    ``written`` holds the words as the client wrote them, ``normalized`` as they
    are spoken ("$5" against "five", "dollars"), ``phonemes`` the phones.
    """

    written: tuple[WordTime, ...]
    normalized: tuple[WordTime, ...]
    phonemes: tuple[WordTime, ...]
    flush_index: int


@dataclass(frozen=True, slots=True)
class SpeechFlushed:
    """Everything before the flush with this index (0 for the first) has been spoken."""

    flush_index: int


SpeechEvent = SpokenAudio | SpokenTimes | SpeechFlushed


@dataclass(slots=True)
class StageTimes:
    """When one request passed each stage, as time.perf_counter() seconds; None until it did.

    The differences are the stages of time to first byte: text (received to its
    first segment), queue (to a slot), load, first step, first audio, encode, send;
    `server.metrics.stage_durations_s` computes them.
    """

    received_s: float
    admitted_s: float | None = None
    loaded_s: float | None = None
    """Only where the model had to come back to memory first."""
    text_ready_s: float | None = None
    first_step_s: float | None = None
    first_audio_s: float | None = None
    encoded_s: float | None = None
    sent_s: float | None = None

"""What the faces (HTTP, WebSocket, gRPC) and the engine say to each other. No behaviour.

Every default of the public API lives here once; the faces translate their own
spelling to these types and read defaults from them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from models.base import Pcm, Voice


class Encoding(StrEnum):
    """How one sample is written."""

    PCM_S16LE = "pcm_s16le"
    PCM_F32LE = "pcm_f32le"
    PCM_MULAW = "pcm_mulaw"
    PCM_ALAW = "pcm_alaw"
    PCM_S32LE = "pcm_s32le"
    """Input only."""
    PCM_F16LE = "pcm_f16le"
    """Input only."""


class Container(StrEnum):
    RAW = "raw"
    WAV = "wav"
    MP3 = "mp3"


OUTPUT_ENCODINGS = (Encoding.PCM_F32LE, Encoding.PCM_S16LE, Encoding.PCM_MULAW, Encoding.PCM_ALAW)
OUTPUT_SAMPLE_RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
MP3_BIT_RATES_BPS = (32000, 64000, 96000, 128000, 192000)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An audio stream as the client wants it. ``encoding`` is ignored for mp3, ``bit_rate_bps`` for the rest."""

    container: Container = Container.RAW
    encoding: Encoding = Encoding.PCM_F32LE
    sample_rate_hz: int = 44100
    bit_rate_bps: int = 128000


# --- speech synthesis ---------------------------------------------------------

SPEED_RANGE = (0.6, 1.5)
VOLUME_RANGE = (0.5, 2.0)
PITCH_RANGE_SEMITONES = (-12.0, 12.0)
PITCH_MOVEMENT_RANGE = (0.0, 2.0)
MAX_BUFFER_DELAY_RANGE_MS = (0, 5000)
MAX_TRANSCRIPT_CHARS = 20_000


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

    family: str
    voice: Voice
    request_id: str
    language: str = "en"
    controls: Controls = field(default_factory=Controls)
    normalization: str = "auto"
    pronunciations: Pronunciations = NO_PRONUNCIATIONS
    max_buffer_delay_ms: int = 3000
    """Longest that incomplete text waits for more; 0 speaks each pushed piece at once."""
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
    first segment), queue (to a slot), first step, first audio, encode, send;
    `server.metrics.stage_durations_s` computes them.
    """

    received_s: float
    admitted_s: float | None = None
    text_ready_s: float | None = None
    first_step_s: float | None = None
    first_audio_s: float | None = None
    encoded_s: float | None = None
    sent_s: float | None = None


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

    family: str
    request_id: str
    language: str = "en"
    min_volume: float = 0.0
    """Root mean square level (0..1) under which audio never counts as speech."""
    max_silence_s: float = 1.0
    """A pause of this length ends a segment and makes its text final."""
    want_words: bool = True
    turns: TurnSettings | None = None
    """Set for turn taking: the stream then gives Turn events instead of Transcripts."""
    interim: bool = True
    """Whether partial transcripts are wanted."""
    keyterms: tuple[str, ...] = ()
    """Names and phrases to listen for, as `server.keyterms.checked_keyterms` gives them."""
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

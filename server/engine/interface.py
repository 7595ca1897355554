"""What the API layers need of an engine, wherever its models run.

`Engine` and `Cloning` have it in this process, `server.gateways.remote` in another one. What is wrong with a request may
so be known only after a way there and back: `speak` and `transcribe` raise it at once where they can, and what
they give raises it from its first event otherwise.
"""

from dataclasses import dataclass
from typing import Protocol, Self

from models.audio import Pcm
from models.importing import ModelKind
from models.voices import ClonedVoice, Voice
from server.requests.speech import Controls, SpeechEvent, SpeechRequest, StageTimes
from server.requests.transcription import TranscriptEvent, TranscriptionRequest, TurnSettings


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What people and API layers may know of a model that this server answers with."""

    name: str
    kind: ModelKind
    family: str
    device: str
    sample_rate_hz: int
    """Of the audio that it gives or takes."""
    languages: tuple[str, ...]
    voices: tuple[Voice, ...] = ()
    engine: str = ""
    """What runs the network, where a family has more than one."""
    weight_bytes: int = 0
    """What its parameters and buffers take while it is in memory; 0 where the family does not say."""
    in_memory: bool = True
    """False while nobody has used it for long (setting model_idle_s); the next request calls it back."""


class SpeechContext(Protocol):
    """One speaking context; the methods are those of `server.engine.speech.stream.SpeechStream`."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def times(self) -> StageTimes: ...

    def push(self, text: str) -> None: ...

    def flush(self) -> None: ...

    def finish(self) -> None: ...

    def set_buffer_delay_ms(self, max_buffer_delay_ms: int) -> None: ...

    def set_controls(self, controls: Controls) -> None: ...

    def want_times(self, words: bool, phonemes: bool) -> None: ...

    def cancel(self) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> SpeechEvent: ...


class AudioStream(Protocol):
    """One stream of audio being heard; the methods are those of `server.engine.hearing.hearer.stream.TranscriptStream`."""

    @property
    def sample_rate_hz(self) -> int: ...

    async def opened(self) -> None:
        """Returns once the stream is admitted; raises why it is not. To be awaited before anything is promised."""

    async def feed(self, pcm: Pcm) -> None: ...

    def finalize(self) -> None: ...

    def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def update_turns(self, settings: TurnSettings) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> TranscriptEvent: ...


class AnyEngine(Protocol):
    @property
    def ready(self) -> bool: ...

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The models, those that speak first, each kind in the order of the settings."""

    async def start(self) -> None: ...

    async def stop(self, drain_s: float) -> None: ...

    def speak(self, request: SpeechRequest) -> SpeechContext: ...

    def transcribe(self, request: TranscriptionRequest) -> AudioStream: ...


class AnyCloning(Protocol):
    async def clone(self, pcm: Pcm, field: str) -> ClonedVoice: ...

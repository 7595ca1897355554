"""One speaking stream on its way to an HTTP client: events to JSON frames, stage times."""

import base64
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from server.audio.output import OutputChain
from server.audio.speech import EncodedEvent, encoded_speech
from server.metrics import stage_durations_s
from server.requests.audio_format import AudioFormat
from server.requests.speech import SpeechRequest, SpokenTimes, StageTimes, WordTime
from server.services import Services

MAX_CHUNK_BYTES = 96 * 1024
"""Keeps a JSON frame with base64 far under the 1 MiB that WebSocket clients take; divisible by every sample size."""


class SpeechOutput:
    """A speaking context together with the client's audio format.

    Building it admits the session: Busy, ShuttingDown and format errors come from
    here, before any byte.
    """

    def __init__(self, services: Services, request: SpeechRequest, audio_format: AudioFormat) -> None:
        self._metrics = services.metrics
        self._model = request.model
        self.stream = services.engine.speak(request)
        try:
            self.chain = OutputChain(audio_format, self.stream.sample_rate_hz)
        except Exception:
            self.stream.cancel()
            raise

    @property
    def times(self) -> StageTimes:
        return self.stream.times

    def events(self) -> AsyncIterator[EncodedEvent]:
        return encoded_speech(self.stream, self.times, self.chain, self.chain.header())

    def sent(self) -> None:
        """To be called after each audio that went out."""
        self._metrics.record_audio_sent(self.times, self._model)


def stage_times_ms(times: StageTimes) -> dict[str, float]:
    """Milliseconds of the stages that are over, and their total."""
    durations_s = stage_durations_s(times)
    entries = {**durations_s, "total": sum(durations_s.values())}
    return {name: round(duration_s * 1000, 3) for name, duration_s in entries.items()}


def server_timing(times: StageTimes) -> str:
    """The value of a Server-Timing header (W3C Server Timing)."""
    return ", ".join(f"{name};dur={duration_ms:.2f}" for name, duration_ms in stage_times_ms(times).items())


@dataclass(frozen=True, slots=True)
class TimestampOptions:
    words: bool = False
    phonemes: bool = False
    normalized: bool = False
    """Words as they are spoken rather than as they are written."""


class FrameWriter:
    """The JSON frames of one context or SSE stream, without the ids that the caller adds."""

    def __init__(self) -> None:
        self._last_s = time.perf_counter()

    def chunks(self, data: bytes) -> Iterator[dict[str, Any]]:
        """``step_time`` is in milliseconds since the previous chunk, or since the stream was made."""
        for start in range(0, len(data), MAX_CHUNK_BYTES):
            now_s = time.perf_counter()
            step_ms = round((now_s - self._last_s) * 1000, 3)
            self._last_s = now_s
            text = base64.b64encode(data[start : start + MAX_CHUNK_BYTES]).decode("ascii")
            yield {"type": "chunk", "data": text, "done": False, "status_code": 206, "step_time": step_ms}

    def timestamps(self, times: SpokenTimes, options: TimestampOptions) -> Iterator[dict[str, Any]]:
        """Word and phoneme times as far as they were asked for; nothing for empty lists."""
        words = times.normalized if options.normalized else times.written
        if options.words and words:
            yield {"type": "timestamps", "done": False, "status_code": 206, "word_timestamps": _columns("words", words)}
        if options.phonemes and times.phonemes:
            columns = _columns("phonemes", times.phonemes)
            yield {"type": "phoneme_timestamps", "done": False, "status_code": 206, "phoneme_timestamps": columns}


def _columns(name: str, entries: tuple[WordTime, ...]) -> dict[str, list[str] | list[float]]:
    return {
        name: [entry.word for entry in entries],
        "start": [round(entry.start_s, 4) for entry in entries],
        "end": [round(entry.end_s, 4) for entry in entries],
    }

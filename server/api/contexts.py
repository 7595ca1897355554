"""One context of a speaking socket: its settings, its stream, and the task that sends what is spoken."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.api.call import Call
from server.api.link import Link, LinkClosed
from server.api.problems import speech_error_event, told_to_client
from server.api.schemas import STREAM_CONTAINERS, SpeechBody
from server.api.speech_output import FrameWriter, SpeechOutput, TimestampOptions, stage_times_ms
from server.api.versions import counts_flushes_from_zero
from server.audio.speech import EncodedAudio, EncodedEvent
from server.requests.speech import SpokenTimes

MAX_DEFERRED_MESSAGES = 256


class Context:
    """Text pieces of one context in, frames out, strictly in order.

    Model, voice, format and language are those of the first message; later
    messages may change controls, buffering and which timestamps are wanted.
    """

    def __init__(self, context_id: str, first: SpeechBody, call: Call, link: Link, *, stage_times: bool = False) -> None:
        """Admits the context; raises whatever is wrong with the first message.

        ``stage_times`` adds the stages of the time to first byte to the last frame.
        """
        self.id = context_id
        self._call = call
        self._link = link
        self._stage_times = stage_times
        audio_format = first.audio_format(STREAM_CONTAINERS)
        request = first.to_request(call, time.perf_counter())
        first.text()
        self._options = TimestampOptions()
        self._output = SpeechOutput(call.services, request, audio_format)
        self._writer = FrameWriter()
        self._task: asyncio.Task[None] | None = None
        self._flush_requested = False
        self.input_closed = False
        self.deferred: list[SpeechBody] = []
        """Messages that came for this id after its input was closed and before it was done."""
        try:
            self._take(first)
        except Exception:
            self._output.stream.cancel()
            raise

    def start(self, on_end: Callable[["Context"], Sequence[Mapping[str, Any]]]) -> None:
        """Begin to send. ``on_end`` is called right before the last frame, but not after a cancel; what it
        gives is sent after that frame."""
        self._task = asyncio.create_task(self._pump(on_end), name=f"context {self.id}")

    def add(self, message: SpeechBody) -> None:
        """A later message. Of a blank one only ``continue`` and ``flush`` count, because old SDKs fill
        their terminators with settings that are not the context's."""
        if (message.transcript or "").strip():
            delay_ms = message.buffer_delay_ms()
            if delay_ms is not None:
                self._output.stream.set_buffer_delay_ms(delay_ms)
            if message.generation_config is not None or message.speed is not None:
                self._output.stream.set_controls(message.controls())
        self._take(message)

    def cancel(self) -> None:
        """Stop at once and say nothing more."""
        self._output.stream.cancel()
        if self._task is not None:
            self._task.cancel()

    def _take(self, message: SpeechBody) -> None:
        self._options = TimestampOptions(
            _latest(message.add_timestamps, self._options.words),
            _latest(message.add_phoneme_timestamps, self._options.phonemes),
            _latest(message.use_normalized_timestamps, self._options.normalized),
        )
        stream = self._output.stream
        if message.add_timestamps or message.add_phoneme_timestamps:
            stream.want_times(self._options.words, self._options.phonemes)
        if message.transcript:
            stream.push(message.transcript)
        if message.flush:
            self._flush_requested = True
            stream.flush()
        if not message.continue_:
            self.input_closed = True
            stream.finish()

    async def _pump(self, on_end: Callable[["Context"], Sequence[Mapping[str, Any]]]) -> None:
        try:
            last = await self._speak()
            # Before the last frame: whoever reads that frame may use the id again at once.
            answers = on_end(self)
            await self._send(last)
            for answer in answers:
                await self._link.send(answer)
        except LinkClosed:
            # The receiver of this socket sees it too and ends the whole connection.
            self._output.stream.cancel()

    async def _speak(self) -> Mapping[str, Any]:
        """Send everything spoken; gives the last frame, which says how it ended."""
        try:
            async for event in self._output.events():
                await self._forward(event)
        except LinkClosed:
            raise
        except Exception as error:
            self._output.stream.cancel()
            return speech_error_event(told_to_client(error), self._call.version, self._call.request_id)
        done: dict[str, Any] = {"type": "done", "done": True, "status_code": 206}
        if self._stage_times:
            done["stage_times_ms"] = stage_times_ms(self._output.times)
        return done

    async def _forward(self, event: EncodedEvent) -> None:
        flush = self._flush_id(event.flush_index)
        if isinstance(event, EncodedAudio):
            for frame in self._writer.chunks(event.data):
                await self._send(frame, flush)
                self._output.sent()
        elif isinstance(event, SpokenTimes):
            for frame in self._writer.timestamps(event, self._options):
                await self._send(frame, flush)
        else:
            done = {"type": "flush_done", "flush_done": True, "done": False, "status_code": 206}
            await self._send(done, self._flush_id(event.flush_index))

    def _flush_id(self, flush_index: int) -> Mapping[str, int]:
        """Old clients index queues with it from 0; newer ones get it, from 1, once they asked for a flush."""
        if counts_flushes_from_zero(self._call.version):
            return {"flush_id": flush_index}
        return {"flush_id": flush_index + 1} if self._flush_requested else {}

    async def _send(self, frame: Mapping[str, Any], flush: Mapping[str, int] | None = None) -> None:
        await self._link.send({**frame, "context_id": self.id, **(flush or {})})


def _latest(given: bool | None, known: bool) -> bool:
    return known if given is None else given

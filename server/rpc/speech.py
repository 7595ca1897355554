"""`descant.v1.Speech`: one call is one context of the engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from server.audio.off_loop import encoded, finished
from server.audio.output import OutputChain, check_format
from server.errors import DescantError
from server.metrics import stage_durations_s
from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.speech import SpeechEvent, SpeechFlushed, SpokenAudio, SpokenTimes, StageTimes, WordTime
from server.rpc.call import Call, answered
from server.rpc.conversation import END, receive, receive_config, send, unexpected
from server.rpc.requests import audio_format, controls, speech_request
from server.services import Services
from server.storage.authentication import Operation

if TYPE_CHECKING:
    from server.engine.interface import SpeechContext

MAX_CHUNK_BYTES = 64 * 1024
"""A multiple of every sample size; far below the 4 MiB that clients take at most unless told otherwise."""

Response = speech_pb2.SynthesizeResponse


class SpeechService(speech_pb2_grpc.SpeechServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def Synthesize(  # noqa: N802 - gRPC's spelling
        self, requests: AsyncIterator[speech_pb2.SynthesizeRequest], context: Any
    ) -> None:
        async with answered(self._services, context, Operation("Synthesize", "tts")) as call:
            config = await receive_config(requests, call.services.settings.limits.context_idle_s)
            audio = audio_format(config.audio)
            check_format(audio, "config.audio")
            request = speech_request(config, call)
            stream = call.services.engine.speak(request)
            try:
                chain = OutputChain(audio, stream.sample_rate_hz)
                await context.send_initial_metadata((("x-request-id", call.request_id),))
                await _Synthesis(call, request.family, config.times, stream, chain).run(requests)
            finally:
                stream.cancel()


class _Synthesis:
    """One admitted context: text from the client to the stream, what is spoken to the client."""

    def __init__(
        self, call: Call, family: str, wanted: speech_pb2.WantedTimes, stream: "SpeechContext", chain: OutputChain
    ) -> None:
        self._call = call
        self._family = family
        self._wanted = wanted
        self._stream = stream
        self._chain = chain
        self._header = chain.header()
        self._flush_index = 0
        self._cancelled = False
        self._failure: DescantError | None = None

    async def run(self, requests: AsyncIterator[speech_pb2.SynthesizeRequest]) -> None:
        """Until everything is spoken or the client cancelled; raises what went wrong on either side."""
        reader = asyncio.create_task(self._read(requests))
        try:
            async for event in self._stream:
                await self._send(await self._messages(event))
            if self._failure is not None:
                raise self._failure
            if not self._cancelled:
                await self._send(self._audio(await finished(self._chain)))
            await self._send([Response(done=self._done())])
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[speech_pb2.SynthesizeRequest]) -> None:
        """What the client says until it half-closes. A failure ends the stream; `run` reports it."""
        try:
            while (message := await receive(requests, None)) is not END:
                self._obey(message)
                if self._cancelled:
                    return
            self._stream.finish()
        except DescantError as error:
            self._failure = error
            self._stream.cancel()

    def _obey(self, message: speech_pb2.SynthesizeRequest) -> None:
        kind = message.WhichOneof("message")
        if kind == "text":
            self._stream.push(message.text)
        elif kind == "flush":
            self._stream.flush()
        elif kind == "controls":
            self._stream.set_controls(controls(message.controls))
        elif kind == "cancel":
            self._cancelled = True
            self._stream.cancel()
        else:
            raise unexpected(kind)

    async def _send(self, messages: Iterable[speech_pb2.SynthesizeResponse]) -> None:
        times = self._stream.times
        for message in messages:
            await send(self._call.context, message, self._call.services.settings.limits.stall_timeout_s)
            if times.sent_s is None and message.WhichOneof("message") == "audio":
                times.sent_s = time.perf_counter()
                self._call.services.metrics.record_speech(times, self._family)

    async def _messages(self, event: SpeechEvent) -> Iterable[speech_pb2.SynthesizeResponse]:
        match event:
            case SpokenAudio():
                self._flush_index = event.flush_index
                return self._audio(await encoded(self._chain, event.pcm))
            case SpokenTimes():
                return self._times(event)
            case SpeechFlushed():
                return [Response(flushed=speech_pb2.Flushed(flush_index=event.flush_index))]

    def _audio(self, data: bytes) -> Iterator[speech_pb2.SynthesizeResponse]:
        if not data:
            return
        # The header is worth sending once there is audio behind it.
        data, self._header = self._header + data, b""
        if self._stream.times.encoded_s is None:
            self._stream.times.encoded_s = time.perf_counter()
        for start in range(0, len(data), MAX_CHUNK_BYTES):
            chunk = speech_pb2.AudioChunk(data=data[start : start + MAX_CHUNK_BYTES], flush_index=self._flush_index)
            yield Response(audio=chunk)

    def _times(self, event: SpokenTimes) -> Iterator[speech_pb2.SynthesizeResponse]:
        if self._wanted.words and event.written:
            yield Response(words=_times(event.written, event.flush_index))
        if self._wanted.normalized_words and event.normalized:
            yield Response(normalized_words=_times(event.normalized, event.flush_index))
        if self._wanted.phonemes and event.phonemes:
            yield Response(phonemes=_times(event.phonemes, event.flush_index))

    def _done(self) -> speech_pb2.SynthesisDone:
        done = speech_pb2.SynthesisDone(cancelled=self._cancelled, stages=_stages(self._stream.times))
        if self._stream.times.sent_s is not None:
            done.first_byte_ms = (self._stream.times.sent_s - self._call.received_s) * 1000
        return done


def _times(entries: Iterable[WordTime], flush_index: int) -> speech_pb2.Times:
    items = [speech_pb2.TimedText(text=entry.word, start_s=entry.start_s, end_s=entry.end_s) for entry in entries]
    return speech_pb2.Times(items=items, flush_index=flush_index)


def _stages(times: StageTimes) -> list[speech_pb2.StageTime]:
    durations_s = stage_durations_s(times)
    return [speech_pb2.StageTime(stage=stage, duration_ms=duration_s * 1000) for stage, duration_s in durations_s.items()]

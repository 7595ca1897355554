"""`descant.v1.Speech`: one call is one context of the engine."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from server.audio.output import OutputChain, check_format
from server.audio.speech import EncodedAudio, EncodedEvent, encoded_speech
from server.errors import DescantError
from server.metrics import stage_durations_s
from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.speech import SpeechFlushed, SpokenTimes, StageTimes, WordTime
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
        self._cancelled = False
        self._failure: DescantError | None = None

    async def run(self, requests: AsyncIterator[speech_pb2.SynthesizeRequest]) -> None:
        """Until everything is spoken or the client cancelled; raises what went wrong on either side."""
        reader = asyncio.create_task(self._read(requests))
        try:
            async for event in encoded_speech(self._stream, self._stream.times, self._chain, self._chain.header()):
                # What the chain held back of a cancelled stream comes after its end.
                if not self._cancelled and self._failure is None:
                    await self._send(self._messages(event))
            if self._failure is not None:
                raise self._failure
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
        services = self._call.services
        for message in messages:
            await send(self._call.context, message, services.settings.limits.stall_timeout_s)
            if message.WhichOneof("message") == "audio":
                services.metrics.record_audio_sent(self._stream.times, self._family)

    def _messages(self, event: EncodedEvent) -> Iterable[speech_pb2.SynthesizeResponse]:
        match event:
            case EncodedAudio(data, flush_index):
                pieces = (data[start : start + MAX_CHUNK_BYTES] for start in range(0, len(data), MAX_CHUNK_BYTES))
                return (Response(audio=speech_pb2.AudioChunk(data=piece, flush_index=flush_index)) for piece in pieces)
            case SpokenTimes():
                return self._times(event)
            case SpeechFlushed():
                return [Response(flushed=speech_pb2.Flushed(flush_index=event.flush_index))]

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

"""`descant.v1.Speech`: one call is one context of the engine."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from server.audio.output import OutputChain, check_format
from server.audio.speech import EncodedAudio, encoded_speech
from server.metrics import stage_durations_s
from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.speech import SpeechFlushed, SpokenTimes, StageTimes, WordTime
from server.rpc.call import Call, answered
from server.rpc.conversation import Conversation, receive_config, unexpected
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
                await _Synthesis(call, request.model, config.times, stream, chain).run(requests)
            finally:
                stream.cancel()


class _Synthesis(Conversation):
    """One admitted context: text from the client to the stream, what is spoken to the client."""

    _stream: "SpeechContext"

    def __init__(
        self, call: Call, model: str, wanted: speech_pb2.WantedTimes, stream: "SpeechContext", chain: OutputChain
    ) -> None:
        super().__init__(call, stream, idle_s=None)
        self._model = model
        self._wanted = wanted
        self._chain = chain

    async def _take(self, kind: str | None, message: speech_pb2.SynthesizeRequest) -> None:
        match kind:
            case "text":
                self._stream.push(message.text)
            case "flush":
                self._stream.flush()
            case "controls":
                self._stream.set_controls(controls(message.controls))
            case _:
                raise unexpected(kind)

    async def _finish(self) -> None:
        self._stream.finish()

    async def _send(self, response: speech_pb2.SynthesizeResponse) -> None:
        await super()._send(response)
        if response.WhichOneof("message") == "audio":
            self._call.services.metrics.record_audio_sent(self._stream.times, self._model)

    async def _responses(self) -> AsyncIterator[speech_pb2.SynthesizeResponse]:
        async for event in encoded_speech(self._stream, self._stream.times, self._chain, self._chain.header()):
            if self._cancelled:
                # What the chain held back comes after the end of the stream, and is wanted no more.
                return
            match event:
                case EncodedAudio(data, flush_index):
                    for start in range(0, len(data), MAX_CHUNK_BYTES):
                        piece = data[start : start + MAX_CHUNK_BYTES]
                        yield Response(audio=speech_pb2.AudioChunk(data=piece, flush_index=flush_index))
                case SpokenTimes():
                    for response in self._times(event):
                        yield response
                case SpeechFlushed(flush_index):
                    yield Response(flushed=speech_pb2.Flushed(flush_index=flush_index))

    def _times(self, event: SpokenTimes) -> Iterator[speech_pb2.SynthesizeResponse]:
        if self._wanted.words and event.written:
            yield Response(words=_times(event.written, event.flush_index))
        if self._wanted.normalized_words and event.normalized:
            yield Response(normalized_words=_times(event.normalized, event.flush_index))
        if self._wanted.phonemes and event.phonemes:
            yield Response(phonemes=_times(event.phonemes, event.flush_index))

    def _done(self) -> speech_pb2.SynthesizeResponse:
        done = speech_pb2.SynthesisDone(cancelled=self._cancelled, stages=_stages(self._stream.times))
        if self._stream.times.sent_s is not None:
            done.first_byte_ms = (self._stream.times.sent_s - self._call.received_s) * 1000
        return Response(done=done)


def _times(entries: Iterable[WordTime], flush_index: int) -> speech_pb2.Times:
    items = [speech_pb2.TimedText(text=entry.word, start_s=entry.start_s, end_s=entry.end_s) for entry in entries]
    return speech_pb2.Times(items=items, flush_index=flush_index)


def _stages(times: StageTimes) -> list[speech_pb2.StageTime]:
    durations_s = stage_durations_s(times)
    return [speech_pb2.StageTime(stage=stage, duration_ms=duration_s * 1000) for stage, duration_s in durations_s.items()]

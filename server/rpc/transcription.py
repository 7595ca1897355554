"""`descant.v1.Transcription`: one call is one audio stream of the engine."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from server.audio.input import InputChain, check_sample_rate
from server.audio.off_loop import decoded
from server.errors import DescantError, InvalidRequest
from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.transcription import Transcript, TranscriptEvent, Turn
from server.requests.turn_settings import turn_settings
from server.rpc.call import Call, answered
from server.rpc.conversation import END, receive, receive_config, send, unexpected
from server.rpc.requests import given_turns, input_encoding, transcription_request
from server.services import Services
from server.storage.authentication import Operation

if TYPE_CHECKING:
    from server.engine.interface import AudioStream

SLICE_BYTES = 32 * 1024
"""Audio decoded at once: at most 4 s, a few milliseconds of work."""

Response = speech_pb2.TranscribeResponse


class TranscriptionService(speech_pb2_grpc.TranscriptionServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def Transcribe(  # noqa: N802 - gRPC's spelling
        self, requests: AsyncIterator[speech_pb2.TranscribeRequest], context: Any
    ) -> None:
        async with answered(self._services, context, Operation("Transcribe", "stt")) as call:
            config = await receive_config(requests, call.services.settings.limits.transcription_idle_s)
            encoding = input_encoding(config)
            check_sample_rate(config.sample_rate, "config.sample_rate")
            request = transcription_request(config, call)
            stream = call.services.engine.transcribe(request)
            try:
                await stream.opened()
                chain = InputChain(encoding, config.sample_rate, stream.sample_rate_hz)
                await context.send_initial_metadata((("x-request-id", call.request_id),))
                given = given_turns(config.turns) if config.HasField("turns") else None
                await _Listening(call, given, stream, chain).run(requests)
            finally:
                stream.cancel()


class _Listening:
    """One admitted stream: audio from the client to the stream, transcripts to the client."""

    def __init__(self, call: Call, given_turns: dict[str, float] | None, stream: "AudioStream", chain: InputChain) -> None:
        self._call = call
        self._given_turns = given_turns
        self._stream = stream
        self._chain = chain
        self._cancelled = False
        self._failure: DescantError | None = None

    async def run(self, requests: AsyncIterator[speech_pb2.TranscribeRequest]) -> None:
        """Until everything is transcribed or the client cancelled; raises what went wrong on either side."""
        reader = asyncio.create_task(self._read(requests))
        try:
            async for event in self._stream:
                await self._send(_message(event))
            if self._failure is not None:
                raise self._failure
            await self._send(Response(done=speech_pb2.TranscriptionDone(cancelled=self._cancelled)))
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[speech_pb2.TranscribeRequest]) -> None:
        """What the client says until it half-closes. A failure ends the stream; `run` reports it."""
        idle_s = self._call.services.settings.limits.transcription_idle_s
        try:
            while (message := await receive(requests, idle_s)) is not END:
                await self._obey(message)
                if self._cancelled:
                    return
            await self._stream.feed(self._chain.finish())
            self._stream.finish()
        except DescantError as error:
            self._failure = error
            self._stream.cancel()

    async def _obey(self, message: speech_pb2.TranscribeRequest) -> None:
        kind = message.WhichOneof("message")
        if kind == "audio":
            for start in range(0, len(message.audio), SLICE_BYTES):
                await self._stream.feed(await decoded(self._chain, message.audio[start : start + SLICE_BYTES]))
                await asyncio.sleep(0)
        elif kind == "finalize":
            self._stream.finalize()
        elif kind == "turns":
            if self._given_turns is None:
                raise InvalidRequest("turns: this call was configured without turns", field="turns")
            self._given_turns |= given_turns(message.turns)
            self._stream.update_turns(turn_settings(self._given_turns, "turns."))
        elif kind == "cancel":
            self._cancelled = True
            self._stream.cancel()
        else:
            raise unexpected(kind)

    async def _send(self, message: speech_pb2.TranscribeResponse) -> None:
        await send(self._call.context, message, self._call.services.settings.limits.stall_timeout_s)


def _message(event: TranscriptEvent) -> speech_pb2.TranscribeResponse:
    if isinstance(event, Transcript):
        words = [speech_pb2.TimedText(text=word.word, start_s=word.start_s, end_s=word.end_s) for word in event.words]
        transcript = speech_pb2.Transcript(
            text=event.text, is_final=event.is_final, words=words, duration_s=event.duration_s, language=event.language
        )
        return Response(transcript=transcript)
    if isinstance(event, Turn):
        phase = speech_pb2.TurnPhase.Value(f"TURN_PHASE_{event.phase.name}")
        return Response(turn=speech_pb2.Turn(phase=phase, transcript=event.transcript, at_s=event.at_s))
    return Response(finalized=speech_pb2.Finalized())

"""`descant.v1.Transcription`: one call is one audio stream of the engine."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from server.audio.input import InputChain, check_sample_rate
from server.audio.off_loop import decoded
from server.errors import InvalidRequest
from server.pb import speech_pb2, speech_pb2_grpc
from server.requests.transcription import Transcript, TranscriptEvent, Turn
from server.requests.turn_settings import turn_settings
from server.rpc.call import Call, answered
from server.rpc.conversation import Conversation, receive_config, unexpected
from server.rpc.requests import given_turns, input_encoding, transcription_request
from server.services import Services
from server.storage.authentication import Operation

if TYPE_CHECKING:
    from server.engine.interface import AudioStream

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


class _Listening(Conversation):
    """One admitted stream: audio from the client to the stream, transcripts to the client."""

    _stream: "AudioStream"

    def __init__(self, call: Call, given_turns: dict[str, float] | None, stream: "AudioStream", chain: InputChain) -> None:
        super().__init__(call, stream, call.services.settings.limits.transcription_idle_s)
        self._given_turns = given_turns
        self._chain = chain

    async def _take(self, kind: str | None, message: speech_pb2.TranscribeRequest) -> None:
        match kind:
            case "audio":
                async for pcm in decoded(self._chain, message.audio):
                    await self._stream.feed(pcm)
            case "finalize":
                self._stream.finalize()
            case "turns":
                if self._given_turns is None:
                    raise InvalidRequest("turns: this call was configured without turns", field="turns")
                self._given_turns |= given_turns(message.turns)
                self._stream.update_turns(turn_settings(self._given_turns, "turns."))
            case _:
                raise unexpected(kind)

    async def _finish(self) -> None:
        await self._stream.feed(self._chain.finish())
        self._stream.finish()

    async def _responses(self) -> AsyncIterator[speech_pb2.TranscribeResponse]:
        async for event in self._stream:
            yield _message(event)

    def _done(self) -> speech_pb2.TranscribeResponse:
        return Response(done=speech_pb2.TranscriptionDone(cancelled=self._cancelled))


def _message(event: TranscriptEvent) -> speech_pb2.TranscribeResponse:
    if isinstance(event, Transcript):
        words = [speech_pb2.TimedText(text=word.word, start_s=word.start_s, end_s=word.end_s) for word in event.words]
        transcript = speech_pb2.Transcript(
            text=event.text,
            is_final=event.is_final,
            words=words,
            duration_s=event.duration_s,
            language=event.language,
            truncated=event.truncated,
        )
        return Response(transcript=transcript)
    if isinstance(event, Turn):
        phase = speech_pb2.TurnPhase.Value(f"TURN_PHASE_{event.phase.name}")
        return Response(turn=speech_pb2.Turn(phase=phase, transcript=event.transcript, at_s=event.at_s))
    return Response(finalized=speech_pb2.Finalized())

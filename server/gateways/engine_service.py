"""The engine's side: contexts and audio streams for gateways, over gRPC on a Unix socket. Translation only."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio

from server.engine.engine import Engine
from server.engine.exchange import exchange
from server.engine.interface import AnyCloning, AudioStream, SpeechContext
from server.errors import DescantError, InternalError
from server.gateways.wire import OPENED, Description, error_frame, frame_of, pcm_of, value_of
from server.pb import engine_pb2_grpc
from server.pb.engine_pb2 import Frame
from server.requests.speech import SpokenAudio, StageTimes

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""A clip of ten minutes at 16 kHz is 38 MB."""

Obey = Callable[[Frame], Awaitable[None]]


class EngineService(engine_pb2_grpc.EngineServicer):
    """Serves one engine. Lives on the engine's event loop."""

    def __init__(self, engine: Engine, cloning: AnyCloning) -> None:
        self._engine = engine
        self._cloning = cloning
        self._server: Any = None

    async def start(self, path: Path) -> None:
        """Listen on the Unix socket ``path``."""
        self._server = grpc.aio.server(options=(("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)

    async def Describe(self, frame: Frame, context: Any) -> Frame:  # noqa: N802 - gRPC's spelling
        return frame_of(Description(self._engine.ready, self._engine.models))

    async def Clone(self, frame: Frame, context: Any) -> Frame:  # noqa: N802
        try:
            return frame_of(await self._cloning.clone(pcm_of(frame), frame.json.decode("utf-8")))
        except DescantError as error:
            return error_frame(error)

    async def Speak(self, requests: AsyncIterator[Frame], context: Any) -> None:  # noqa: N802
        async with _Answered(context) as answered:
            stream = self._engine.speak(value_of(await anext(requests)))
            await answered.run(stream, requests, lambda frame: _obey_speech(stream, frame), stream.times)

    async def Transcribe(self, requests: AsyncIterator[Frame], context: Any) -> None:  # noqa: N802
        async with _Answered(context) as answered:
            stream = self._engine.transcribe(value_of(await anext(requests)))
            await answered.run(stream, requests, lambda frame: _obey_hearing(stream, frame))


class _Answered:
    """Around one call: what goes wrong becomes its last frame."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> "_Answered":
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        if isinstance(error, DescantError):
            await self._context.write(error_frame(error))
            return True
        return False

    async def run(self, stream: Any, requests: AsyncIterator[Frame], obey: Obey, times: StageTimes | None = None) -> None:
        """Until the stream ends; the first audio follows the times that it took."""

        async def read() -> None:
            async for frame in requests:
                await obey(frame)

        async def answer() -> None:
            unsaid = times
            async for event in stream:
                if unsaid is not None and isinstance(event, SpokenAudio):
                    await self._context.write(frame_of(unsaid))
                    unsaid = None
                await self._context.write(frame_of(event))

        try:
            await self._context.write(Frame(kind=OPENED))
            await exchange(stream, read, answer)
        finally:
            stream.cancel()


async def _obey_speech(stream: SpeechContext, frame: Frame) -> None:
    match frame.kind:
        case "push":
            stream.push(frame.json.decode("utf-8", "surrogatepass"))
        case "flush":
            stream.flush()
        case "finish":
            stream.finish()
        case "delay":
            stream.set_buffer_delay_ms(int(frame.json))
        case "Controls":
            stream.set_controls(value_of(frame))
        case "times":
            wanted = frame.json.decode("ascii").split()
            stream.want_times("words" in wanted, "phonemes" in wanted)
        case _:
            raise InternalError(f"a gateway sent a frame of kind {frame.kind!r}")


async def _obey_hearing(stream: AudioStream, frame: Frame) -> None:
    match frame.kind:
        case "feed":
            await stream.feed(pcm_of(frame))
        case "flush":
            stream.finalize()
        case "finish":
            stream.finish()
        case "TurnSettings":
            stream.update_turns(value_of(frame))
        case _:
            raise InternalError(f"a gateway sent a frame of kind {frame.kind!r}")

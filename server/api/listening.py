"""What both transcription sockets have in common: audio in, events out, an orderly end."""

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol

from starlette.websockets import WebSocket

from server.api.call import Call, call_of
from server.api.link import IDLE_CLOSE, Link, LinkClosed, LinkIdle
from server.api.problems import told_to_client, transcription_error_event
from server.audio.input import InputChain
from server.audio.off_loop import decoded
from server.errors import DescantError, InvalidRequest
from server.requests.audio_format import Encoding
from server.requests.transcription import TranscriptEvent, TranscriptionRequest, TurnSettings

if TYPE_CHECKING:
    from server.engine.interface import AudioStream

NORMAL_CLOSE = 1000


class Command(Enum):
    FINALIZE = auto()
    CLOSE = auto()


class Dialect(Protocol):
    """How one of the two sockets spells its messages."""

    def open(self, call: Call, websocket: WebSocket) -> tuple[TranscriptionRequest, Encoding, int]:
        """The handshake's parameters; raises InvalidRequest."""

    def greeting(self) -> dict[str, Any] | None: ...

    def command(self, text: str) -> Command | TurnSettings:
        """A text message; raises InvalidRequest."""

    def frame(self, event: TranscriptEvent) -> dict[str, Any]: ...

    def farewell(self) -> dict[str, Any] | None: ...


async def listen_socket(websocket: WebSocket, dialect: Dialect) -> None:
    """Serve one connection. Wrong parameters give an error event in place of the first message, as clients
    of these sockets expect; a full or stopping server refuses the handshake itself."""
    call = call_of(websocket.scope)
    link = Link(websocket, call, call.services.settings.limits.transcription_idle_s)
    try:
        session = await _open(call, link, websocket, dialect)
    except InvalidRequest as error:
        await _refuse(error, call, link)
        return
    await session.run()


async def _open(call: Call, link: Link, websocket: WebSocket, dialect: Dialect) -> "_Session":
    """Admit the stream; raises whatever is wrong with the handshake."""
    request, encoding, rate_hz = dialect.open(call, websocket)
    stream = call.services.engine.transcribe(request)
    try:
        await stream.opened()
        chain = InputChain(encoding, rate_hz, stream.sample_rate_hz)
    except BaseException:
        stream.cancel()
        raise
    return _Session(call, link, dialect, stream, chain)


async def _refuse(error: InvalidRequest, call: Call, link: Link) -> None:
    await link.accept()
    try:
        await link.send(transcription_error_event(error, call.request_id))
    except LinkClosed:
        return
    await link.close(NORMAL_CLOSE)


class _Session:
    def __init__(self, call: Call, link: Link, dialect: Dialect, stream: "AudioStream", chain: InputChain) -> None:
        self._call = call
        self._link = link
        self._dialect = dialect
        self._stream = stream
        self._chain = chain
        self._input_closed = False

    async def run(self) -> None:
        """Until the transcript ends, the client goes away, or nothing came for the idle time."""
        try:
            await self._link.accept()
        except BaseException:
            self._stream.cancel()
            raise
        sender = asyncio.create_task(self._send())
        receiver = asyncio.create_task(self._receive())
        try:
            await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stream.cancel()
            for task in (sender, receiver):
                task.cancel()
            results = await asyncio.gather(sender, receiver, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        await self._link.close_if_stalled()

    async def _send(self) -> None:
        """Frames until the stream ends, then the close."""
        try:
            code = await self._send_events()
        except LinkClosed:
            return
        await self._link.close(code)

    async def _send_events(self) -> int:
        greeting, farewell = self._dialect.greeting(), self._dialect.farewell()
        try:
            if greeting is not None:
                await self._link.send(greeting)
            async for event in self._stream:
                await self._link.send(self._dialect.frame(event))
            if farewell is not None:
                await self._link.send(farewell)
        except LinkClosed:
            raise
        except Exception as error:
            problem = told_to_client(error)
            await self._link.send(transcription_error_event(problem, self._call.request_id))
            return problem.websocket_close
        return NORMAL_CLOSE

    async def _receive(self) -> None:
        """Messages until the client goes away; after a close command they are read and dropped."""
        try:
            while True:
                message = await self._link.receive()
                if self._input_closed:
                    continue
                if isinstance(message, bytes):
                    await self._feed(message)
                else:
                    await self._obey(message)
        except LinkClosed:
            pass
        except LinkIdle:
            await self._link.close(IDLE_CLOSE)

    async def _feed(self, data: bytes) -> None:
        try:
            async for pcm in decoded(self._chain, data):
                await self._stream.feed(pcm)
        except DescantError:
            # The stream has failed; its reader, `_send`, gets the same error and tells the client.
            self._input_closed = True

    async def _obey(self, text: str) -> None:
        try:
            command = self._dialect.command(text)
        except InvalidRequest as error:
            await self._link.send(transcription_error_event(error, self._call.request_id))
            return
        if isinstance(command, TurnSettings):
            self._stream.update_turns(command)
        elif command is Command.FINALIZE:
            self._stream.finalize()
        else:
            self._input_closed = True
            try:
                await self._stream.feed(self._chain.finish())
            except DescantError:
                return
            self._stream.finish()

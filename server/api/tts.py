"""``POST /tts/bytes`` and ``POST /tts/sse``: a whole text in, audio out as it is made.

Nothing is sent before the first audio exists, so everything that can go wrong
until then is an HTTP error. Later, bytes are cut off without an orderly end and
an event stream ends with an error event.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from server.api.body import takes_json
from server.api.call import Call, call_of
from server.api.disconnect import cancelled_when_gone
from server.api.problems import speech_error_event, told_to_client
from server.api.schemas import FILE_CONTAINERS, STREAM_CONTAINERS, SpeechBody
from server.api.speech_output import FrameWriter, SpeechOutput, TimestampOptions, server_timing
from server.audio.speech import EncodedAudio
from server.errors import DeadlineExceeded
from server.requests.audio_format import Container
from server.requests.speech import SpokenTimes


@takes_json
async def speak_bytes(request: Request, body: SpeechBody) -> "_Streamed":
    """The speech of a text as an audio file or as bare samples, sent while it is made."""
    call = call_of(request.scope)
    output = _start(call, body, FILE_CONTAINERS)
    return _Streamed(call, output, _audio(output), {"content-type": output.chain.content_type})


@takes_json
async def speak_events(request: Request, body: SpeechBody) -> "_Streamed":
    """The speech of a text as server-sent events, with the times of words if wanted."""
    call = call_of(request.scope)
    output = _start(call, body, STREAM_CONTAINERS)
    headers = {"content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no"}
    return _Streamed(call, output, _events(call, output, body), headers)


def _start(call: Call, body: SpeechBody, containers: Sequence[Container]) -> SpeechOutput:
    speech = body.to_request(call, call.received_s)
    text = body.spoken_text()
    output = SpeechOutput(call.services, speech, body.audio_format(containers))
    try:
        output.stream.push(text)
    except Exception:
        output.stream.cancel()
        raise
    output.stream.finish()
    return output


async def _audio(output: SpeechOutput) -> AsyncIterator[bytes]:
    async for event in output.events():
        if isinstance(event, EncodedAudio):
            yield event.data
            output.sent()


async def _events(call: Call, output: SpeechOutput, body: SpeechBody) -> AsyncIterator[bytes]:
    writer = FrameWriter()
    options = TimestampOptions(
        bool(body.add_timestamps), bool(body.add_phoneme_timestamps), bool(body.use_normalized_timestamps)
    )
    context = {"context_id": body.context_id} if body.context_id is not None else {}
    started = False
    try:
        async for event in output.events():
            if isinstance(event, EncodedAudio):
                for frame in writer.chunks(event.data):
                    yield _sse({**frame, **context})
                    started = True
                output.sent()
            elif isinstance(event, SpokenTimes):
                for frame in writer.timestamps(event, options):
                    yield _sse({**frame, **context})
                    started = True
    except Exception as error:
        if not started:
            raise
        problem = told_to_client(error)
        yield b"event: error\n" + _sse({**speech_error_event(problem, call.version, call.request_id), **context})
        return
    yield _sse({"type": "done", "done": True, "status_code": 206, **context})


def _sse(frame: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(frame, separators=(',', ':'))}\n\n".encode("ascii")


class _Streamed:
    """Sends pieces as they come and cancels the stream when the client goes or stops reading."""

    def __init__(self, call: Call, output: SpeechOutput, pieces: AsyncIterator[bytes], headers: dict[str, str]) -> None:
        self._call = call
        self._output = output
        self._pieces = pieces
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with cancelled_when_gone(receive, self._output.stream):
            await self._send_all(send)

    async def _send_all(self, send: Send) -> None:
        first = await anext(self._pieces, None)
        if first is None:
            # Text that makes no audio is refused with an error, so it was the client's leaving that ended the stream.
            raise ClientDisconnect
        headers = {**self._headers, "server-timing": server_timing(self._output.times)}
        raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await self._send_body(send, first, more=True)
        async for piece in self._pieces:
            await self._send_body(send, piece, more=True)
        await self._send_body(send, b"", more=False)

    async def _send_body(self, send: Send, piece: bytes, *, more: bool) -> None:
        stall_s = self._call.services.settings.limits.stall_timeout_s
        try:
            async with asyncio.timeout(stall_s):
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            raise DeadlineExceeded(f"The client read nothing for {stall_s:g} s.") from None

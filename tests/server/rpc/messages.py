"""Short ways to write requests, hold a call, and look at what it answered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from models.audio import Pcm
from server.pb import speech_pb2 as pb
from tests.fakes import ANNA

RAW_24K = pb.AudioFormat(container=pb.CONTAINER_RAW, encoding=pb.ENCODING_PCM_F32LE, sample_rate=24_000)


def config(**changes: Any) -> pb.SynthesizeRequest:
    given = {"model": "sonic-turbo", "voices": [pb.VoiceShare(voice=ANNA.id)], "audio": RAW_24K, **changes}
    return pb.SynthesizeRequest(
        config=pb.SynthesisConfig(**{name: value for name, value in given.items() if value is not None})
    )


def text(piece: str) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(text=piece)


FLUSH = pb.SynthesizeRequest(flush=pb.Flush())
CANCEL = pb.SynthesizeRequest(cancel=pb.Cancel())


def listen(**changes: Any) -> pb.TranscribeRequest:
    given = {"model": "ink-whisper", "encoding": pb.ENCODING_PCM_F32LE, "sample_rate": 16_000, **changes}
    return pb.TranscribeRequest(
        config=pb.TranscriptionConfig(**{name: value for name, value in given.items() if value is not None})
    )


def audio(pcm: Pcm) -> pb.TranscribeRequest:
    return pb.TranscribeRequest(audio=pcm.astype("<f4").tobytes())


FINALIZE = pb.TranscribeRequest(finalize=pb.Finalize())


async def converse(method: Callable[..., Any], *requests: Any, **options: Any) -> list[Any]:
    """Send everything, half-close, and take every answer.

    What is refused at once must be the only message: a write that comes after the server's answer makes grpc's
    client report INTERNAL instead of it.
    """
    call = method(**options)
    for request in requests:
        await call.write(request)
    await call.done_writing()
    return await rest_of(call)


async def unheard(method: Callable[..., Any], **options: Any) -> list[Any]:
    """Every answer to a client that says nothing: for what is refused by its metadata alone, which is said so soon that
    even a first message may come after it."""
    return await rest_of(method(**options))


async def rest_of(call: Any) -> list[Any]:
    """Every answer that is still to come."""
    responses = []
    while (response := await asyncio.wait_for(call.read(), 20)) is not grpc.aio.EOF:
        responses.append(response)
    return responses


async def refused(answers: Awaitable[Any]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Status, message and trailing metadata of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(answers, 10)
    return caught.value.code(), caught.value.details() or "", dict(caught.value.trailing_metadata())


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("message") for response in responses]


def spoken(responses: list[Any]) -> Pcm:
    return np.frombuffer(sound(responses), dtype="<f4")


def sound(responses: list[Any]) -> bytes:
    return b"".join(response.audio.data for response in responses if response.WhichOneof("message") == "audio")


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}

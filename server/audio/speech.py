"""Speech on its way to whoever asked for it: the events of one context, with bytes in the asked format for samples."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from server.audio.off_loop import encoded, finished
from server.audio.output import OutputChain
from server.requests.speech import SpeechEvent, SpeechFlushed, SpokenAudio, SpokenTimes, StageTimes


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """Audio in the asked format; never empty."""

    data: bytes
    flush_index: int


EncodedEvent = EncodedAudio | SpokenTimes | SpeechFlushed


async def encoded_speech(
    events: AsyncIterable[SpeechEvent], times: StageTimes, chain: OutputChain, header: bytes = b""
) -> AsyncIterator[EncodedEvent]:
    """Everything until ``events`` end; what the chain held back comes last. The first audio sets ``times.encoded_s``.

    ``header`` goes in front of the first audio: without audio there is nothing that it would head.
    """
    flush_index = 0

    def audio(data: bytes) -> EncodedAudio:
        nonlocal header
        if times.encoded_s is None:
            times.encoded_s = time.perf_counter()
        data, header = header + data, b""
        return EncodedAudio(data, flush_index)

    async for event in events:
        if not isinstance(event, SpokenAudio):
            yield event
            continue
        flush_index = event.flush_index
        if data := await encoded(chain, event.pcm):
            yield audio(data)
    if tail := await finished(chain):
        yield audio(tail)

"""The transcript of audio that is there as a whole, such as a file's."""

from models.audio import Pcm
from server.engine.exchange import exchange
from server.engine.interface import AudioStream
from server.requests.transcription import Transcript

_FEED_S = 5
"""Audio handed over at once: one frame of up to 320 kB where the engine is another process."""


async def whole_transcript(stream: AudioStream, pcm: Pcm) -> list[Transcript]:
    """The final transcripts in order; ``pcm`` is float32 [S] at the stream's rate. Raises what went wrong with the stream."""
    finals: list[Transcript] = []

    async def feed() -> None:
        step = _FEED_S * stream.sample_rate_hz
        for start in range(0, len(pcm), step):
            await stream.feed(pcm[start : start + step])
        stream.finish()

    async def listen() -> None:
        async for event in stream:
            if isinstance(event, Transcript) and event.is_final:
                finals.append(event)

    await exchange(stream, feed, listen)
    return finals

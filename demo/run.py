"""`make demo`: a server on loopback, an unmodified Cartesia SDK, speech out and a transcript back in.

Writes demo/out.wav and demo/out.png; the last line printed is one JSON object
with the figures. Exits with 1 if no audio or no transcript comes back.
"""

import asyncio
import base64
import json
import sys
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cartesia import AsyncCartesia

from demo.picture import draw
from server.bench.process import ServerProcess
from server.bench.stats import percentile
from server.bench.words import scored_words, word_errors

HERE = Path(__file__).parent
SAMPLE_RATE_HZ = 24000
REQUESTS = 20
PARAGRAPH = (
    "Hello, and welcome. You are listening to a small voice that runs on your own machine. "
    "Every sentence is turned into sound while the next one is still being written. "
    "The morning was cold, but the sun came out before lunch, and the children went to the river. "
    "Nothing you hear has left this computer."
)
FORMAT: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE_HZ}
MODEL = "sonic-turbo"


@dataclass
class Spoken:
    """What one context gave: audio, words with times, and when each chunk arrived."""

    pcm: bytearray = field(default_factory=bytearray)
    words: list[tuple[str, float, float]] = field(default_factory=list)
    arrivals: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the first input, seconds of audio received before)."""
    stage_times_ms: dict[str, float] = field(default_factory=dict)

    @property
    def audio_s(self) -> float:
        return len(self.pcm) / 2 / SAMPLE_RATE_HZ

    @property
    def first_byte_ms(self) -> float:
        return self.arrivals[0][0] * 1000


async def speak(connection: Any, pieces: list[str], voice: str) -> Spoken:
    """Stream pieces of text into one context, as a language model would, and collect what comes back."""
    spoken = Spoken()
    context = connection.context(model_id=MODEL, voice=voice, output_format=FORMAT, add_timestamps=True)
    start_s = time.perf_counter()

    async def write() -> None:
        for piece in pieces:
            await context.push(piece)
        await context.no_more_inputs()

    writer = asyncio.create_task(write())
    async for event in context.receive():
        if event.type == "chunk":
            spoken.arrivals.append((time.perf_counter() - start_s, spoken.audio_s))
            spoken.pcm += base64.b64decode(event.data)
        elif event.type == "timestamps":
            times = event.word_timestamps
            spoken.words += list(zip(times.words, times.start, times.end, strict=True))
        elif event.type == "error":
            raise RuntimeError(f"{event.title}: {event.message}")
        elif event.type == "done":
            spoken.stage_times_ms = (event.model_extra or {}).get("stage_times_ms", {})
    await writer
    return spoken


async def listen(client: AsyncCartesia, pcm: bytes) -> str:
    """Play the audio in real time into the streaming recognizer; prints partial texts as they come."""
    text = ""
    options: Any = {"model": "ink-whisper", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE_HZ, "language": "en"}
    async with client.stt.manual_finalize.websocket(**options) as connection:
        block_bytes = SAMPLE_RATE_HZ // 10 * 2

        async def play() -> None:
            start_s = time.perf_counter()
            for index in range(0, len(pcm), block_bytes):
                await connection.send_raw(pcm[index : index + block_bytes])
                await asyncio.sleep(max(0.0, start_s + (index + block_bytes) / 2 / SAMPLE_RATE_HZ - time.perf_counter()))
            await connection.send_raw("close")

        player = asyncio.create_task(play())
        async for event in connection:
            if event.type == "transcript":
                if event.is_final:
                    text += event.text
                show_partial(text if event.is_final else text + event.text)
            elif event.type == "error":
                raise RuntimeError(event.message)
            elif event.type == "done":
                break
        await player
    return text.strip()


def show_partial(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K  … {text[-100:]}", end="", flush=True)


def write_wav(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm)


def print_table(requests: list[Spoken]) -> dict[str, dict[str, float]]:
    """Time to first byte, as the client sees it and stage by stage as the server measured it."""
    rows = {"client": [r.first_byte_ms for r in requests]}
    for stage in requests[0].stage_times_ms:
        rows[stage] = [r.stage_times_ms[stage] for r in requests]
    table = {name: {"p50": percentile(values, 50), "p95": percentile(values, 95)} for name, values in rows.items()}
    print(f"\nTime to first byte over {len(requests)} requests, one at a time (ms)\n  {'stage':14}{'p50':>8}{'p95':>8}")
    for name, figures in table.items():
        print(f"  {name:14}{figures['p50']:8.2f}{figures['p95']:8.2f}")
    return table


async def demo() -> dict[str, Any]:
    start_s = time.perf_counter()
    with ServerProcess.start() as server:
        print(f"Server ready after {server.start_s:.1f} s at {server.url}")
        client = AsyncCartesia(api_key="any", base_url=server.url, websocket_base_url=server.websocket_url)
        voice = (await client.voices.list(limit=1)).data[0]
        print(f"Voice: {voice.name}\n\n  {PARAGRAPH}\n")
        pieces = [word + " " for word in PARAGRAPH.split()]
        options: Any = {"stage_times": "true"}
        async with client.tts.websocket_connect(extra_query=options) as connection:
            paragraph = await speak(connection, pieces, voice.id)
            write_wav(HERE / "out.wav", bytes(paragraph.pcm))
            wall_s = paragraph.arrivals[-1][0]
            print(f"Spoke {paragraph.audio_s:.1f} s of audio in {wall_s:.2f} s -> demo/out.wav")
            requests = [await speak(connection, [f"This is request number {n}."], voice.id) for n in range(1, REQUESTS + 1)]
        print("\nListening to it in real time …")
        transcript = await listen(client, bytes(paragraph.pcm))
        show_partial("")
        said = scored_words(PARAGRAPH)
        word_error_rate = word_errors(said, scored_words(transcript)) / len(said)
        print(f"\r  said   {PARAGRAPH}\n  heard  {transcript}\n  word error rate {word_error_rate:.1%}")
        table = print_table(requests)
        real_time_factor = wall_s / paragraph.audio_s
        print(f"  real-time factor {real_time_factor:.3f} (paragraph, text sent word by word)")
        draw(
            HERE / "out.png",
            np.frombuffer(bytes(paragraph.pcm), "<i2") / 32768,
            SAMPLE_RATE_HZ,
            paragraph.words,
            paragraph.arrivals,
        )
        print("  picture demo/out.png\n")
    if not transcript or paragraph.audio_s < 1:
        raise SystemExit("demo: no speech came back")
    return {
        "server_start_s": round(server.start_s, 2),
        "ttfb_ms": {name: {k: round(v, 2) for k, v in row.items()} for name, row in table.items()},
        "real_time_factor": round(real_time_factor, 4),
        "audio_s": round(paragraph.audio_s, 2),
        "word_error_rate": round(float(word_error_rate), 4),
        "total_s": round(time.perf_counter() - start_s, 1),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(demo())))

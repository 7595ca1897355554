"""Paced streams into the transcription WebSocket of the Cartesia API, and when each word and each final text came back."""

import asyncio
import itertools
import json
import random
import time
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.bench.clients import LoadRefused, Start, even_parts
from server.bench.target import Target
from server.bench.tts_client import TOO_MANY, refusal_message
from server.bench.utterances import Utterance
from server.bench.words import Heard, Sent, SpokenWord, scored_words, word_errors, word_lags_s

PAUSE_S = 0.3
"""From the final text of an utterance to the first audio of the next."""
SPREAD_S = 1.0
"""Streams start at random moments of the first second."""
ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ListeningLoad:
    """What to send and how: the share of one client process, or of all together."""

    target: Target
    model: str
    language: str
    utterances: tuple[Utterance, ...]
    """All with one sample rate."""
    streams: int = 1
    utterances_per_stream: int = 4
    chunk_ms: int = 100
    is_paced: bool = True
    """In real time, as from a microphone; else as fast as the server takes it."""
    seed: int = 0

    @property
    def sample_rate_hz(self) -> int:
        return self.utterances[0].sample_rate_hz

    def shares(self, processes: int) -> list["ListeningLoad"]:
        streams = even_parts(self.streams, processes)
        return [replace(self, streams=count, seed=self.seed * 1000 + index) for index, count in enumerate(streams)]


@dataclass(slots=True)
class Hearing:
    """One utterance as the client saw it."""

    session: int
    audio_s: float
    error: str | None = None
    status: int | None = None
    lags_s: list[float] = field(default_factory=list)
    """Of the words that were found, see `server.bench.words.word_lags_s`."""
    words: int = 0
    """With known times, found or not."""
    first_text_s: float | None = None
    """From the first audio sent to the first text that is not empty."""
    final_s: float | None = None
    """From ``finalize`` sent to ``flush_done``: all text is final."""
    took_s: float | None = None
    """From the first audio sent to ``flush_done``."""
    late_s: float = 0.0
    """How late the client's own pacing was at worst."""
    said_words: int = 0
    wrong_words: int = 0
    text: str = ""


async def listening_load(load: ListeningLoad, start: Start) -> list[Hearing]:
    """Run one share. One utterance is sent first, by itself, and not counted.

    Raises LoadRefused for a server that cannot be reached, or refuses the first
    utterance for anything but want of capacity.
    """
    (first,) = await _Stream(replace(load, utterances_per_stream=1, is_paced=False), -1, load.utterances).run()
    if first.error is not None and first.status != TOO_MANY:
        raise LoadRefused(first.error)
    await start()
    starts = random.Random(load.seed)
    delays_s = [starts.uniform(0.0, SPREAD_S) if load.streams > 1 else 0.0 for _ in range(load.streams)]

    async def one(index: int, delay_s: float) -> list[Hearing]:
        await asyncio.sleep(delay_s)
        # The seed tells the client processes apart; streams begin at different utterances.
        session = load.seed * 100_000 + index
        at = session % len(load.utterances)
        return await _Stream(load, session, load.utterances[at:] + load.utterances[:at]).run()

    streams = await asyncio.gather(*(one(index, delay_s) for index, delay_s in enumerate(delays_s)))
    return [hearing for stream in streams for hearing in stream]


class _Stream:
    """One connection that sends one utterance after another."""

    def __init__(self, load: ListeningLoad, session: int, utterances: tuple[Utterance, ...]) -> None:
        self._load = load
        self._session = session
        self._utterances = list(itertools.islice(itertools.cycle(utterances), load.utterances_per_stream))
        self._sent_before_s = 0.0
        """Audio of earlier utterances: the server counts word times from the start of the connection."""

    async def run(self) -> list[Hearing]:
        """One hearing per utterance, up to the first that failed."""
        load = self._load
        query = {"model": load.model, "language": load.language, "encoding": "pcm_s16le"}
        hearings: list[Hearing] = []
        try:
            query["sample_rate"] = str(load.sample_rate_hz)
            async with load.target.connect("/stt/websocket", query) as socket:
                for utterance in self._utterances:
                    hearings.append(Hearing(self._session, utterance.duration_s))
                    await self._send_one(socket, utterance, hearings[-1])
                    if hearings[-1].error is not None:
                        break
                    await asyncio.sleep(PAUSE_S if load.is_paced else 0.0)
                else:
                    await socket.send("close")
        except (InvalidStatus, ConnectionClosed, OSError) as failure:
            if not hearings or hearings[-1].final_s is not None:
                hearings.append(Hearing(self._session, 0.0))
            hearings[-1].error = refusal_message(failure) if isinstance(failure, InvalidStatus) else f"no connection: {failure}"
            hearings[-1].status = failure.response.status_code if isinstance(failure, InvalidStatus) else None
        return hearings

    async def _send_one(self, socket: ClientConnection, utterance: Utterance, hearing: Hearing) -> None:
        reader = asyncio.create_task(_read(socket))
        try:
            sent = await self._play(socket, utterance, hearing)
            finalize_s = time.perf_counter()
            await socket.send("finalize")
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                messages = await reader
        except TimeoutError:
            hearing.error = f"no final text {ANSWER_TIMEOUT_S:g} s after finalize"
            return
        finally:
            reader.cancel()
        last = messages[-1]
        if last.fields["type"] == "error":
            hearing.error = str(last.fields.get("message"))
            hearing.status = last.fields.get("status_code")
            return
        hearing.final_s = last.at_s - finalize_s
        hearing.took_s = last.at_s - sent[0].at_s
        self._judge(utterance, sent, messages, hearing)
        self._sent_before_s += utterance.duration_s

    async def _play(self, socket: ClientConnection, utterance: Utterance, hearing: Hearing) -> list[Sent]:
        load = self._load
        chunk_bytes = utterance.sample_rate_hz * load.chunk_ms // 1000 * 2
        sent: list[Sent] = []
        begin_s = time.perf_counter()
        for first in range(0, len(utterance.audio), chunk_bytes):
            if load.is_paced:
                due_s = begin_s + first / 2 / utterance.sample_rate_hz
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                hearing.late_s = max(hearing.late_s, time.perf_counter() - due_s)
            chunk = utterance.audio[first : first + chunk_bytes]
            await socket.send(chunk)
            sent.append(Sent(time.perf_counter(), (first + len(chunk)) / 2 / utterance.sample_rate_hz))
        return sent

    def _judge(self, utterance: Utterance, sent: list[Sent], messages: "list[_Message]", hearing: Hearing) -> None:
        final, texts, timed = "", [], []
        for message in messages:
            fields = message.fields
            if fields["type"] != "transcript":
                continue
            texts.append(Heard(message.at_s, final + fields["text"]))
            if fields["is_final"]:
                final += fields["text"]
                timed += _own_words(fields.get("words") or [], self._sent_before_s)
        hearing.text = final.strip()
        first_text_s = next((text.at_s for text in texts if text.text.strip()), None)
        hearing.first_text_s = None if first_text_s is None else first_text_s - sent[0].at_s
        words = utterance.words or tuple(timed)
        lags_s = word_lags_s(words, sent, texts)
        hearing.words = len(words)
        hearing.lags_s = [lag_s for lag_s in lags_s if lag_s is not None]
        if utterance.text is not None:
            said = scored_words(utterance.text)
            hearing.said_words, hearing.wrong_words = len(said), word_errors(said, scored_words(final))


@dataclass(frozen=True, slots=True)
class _Message:
    at_s: float
    fields: dict[str, Any]


async def _read(socket: ClientConnection) -> list[_Message]:
    """Messages up to the one that ends an utterance: ``flush_done``, ``done`` or ``error``."""
    messages: list[_Message] = []
    while True:
        text = await socket.recv()
        messages.append(_Message(time.perf_counter(), json.loads(text)))
        if messages[-1].fields["type"] in ("flush_done", "done", "error"):
            return messages


def _own_words(words: list[dict[str, Any]], sent_before_s: float) -> list[SpokenWord]:
    """The server's own word times, counted from the start of the utterance."""
    return [
        SpokenWord(scored, word["start"] - sent_before_s, word["end"] - sent_before_s)
        for word in words
        for scored in scored_words(word["word"])
    ]

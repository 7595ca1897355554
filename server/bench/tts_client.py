"""One connection that speaks, over the WebSocket of the Cartesia API, and what a listener got from it."""

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from models.audio import Pcm
from server.bench.playback import Arrival, first_audible_s, first_playable_s, play, worst_gap_s
from server.bench.target import Target

REQUEST_TIMEOUT_S = 60.0
TOO_MANY = 429


@dataclass(slots=True)
class Outcome:
    """One request as the client saw it. Seconds count from when it was sent, or, in the open loop, due."""

    characters: int = 0
    session: int = 0
    first_byte_s: float | None = None
    first_playable_s: float | None = None
    first_audible_s: float | None = None
    last_audio_s: float | None = None
    end_s: float = 0.0
    """When the server said that it was done, or the request failed."""
    audio_s: float = 0.0
    plays_until_s: float = 0.0
    """When a player without a buffer would be through with it."""
    worst_gap_s: float | None = None
    underruns: int = 0
    error: str | None = None
    status: int | None = None
    """HTTP status of the error where the server gave one; 429 is a refusal for want of capacity."""
    stages_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One message of the server. ``at_s`` is on the monotonic clock, read before the message was parsed."""

    at_s: float
    fields: dict[str, Any]


class Speaker:
    """One connection, used for one request after another; opened when it is first needed, or was lost."""

    def __init__(self, target: Target, model: str, voice: str, sample_rate_hz: int, session: int = 0) -> None:
        self.session = session
        self.sample_rate_hz = sample_rate_hz
        self._target = target
        self._socket: ClientConnection | None = None
        self._numbers = itertools.count()
        self._context_id = ""
        self._message = {
            "model_id": model,
            "voice": {"mode": "id", "id": voice},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": sample_rate_hz},
            "continue": False,
        }

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def events(self, text: str, **fields: Any) -> AsyncIterator[Event]:
        """Send one text and give what comes back, up to ``done`` or ``error``.

        Raises OSError, InvalidStatus and ConnectionClosed.
        """
        if self._socket is None:
            self._socket = await self._target.connect("/tts/websocket", {"stage_times": "true"})
        self._context_id = context_id = f"bench-{next(self._numbers)}"
        await self._socket.send(json.dumps({**self._message, **fields, "context_id": context_id, "transcript": text}))
        while True:
            message = await self._socket.recv()
            at_s = time.perf_counter()
            event = json.loads(message)
            if event.get("context_id") not in (context_id, None):
                continue
            yield Event(at_s, event)
            if event["type"] in ("done", "error"):
                return

    async def cancel(self) -> None:
        """Stop what is being said. Frames of it that are on their way are passed over by the next request."""
        if self._socket is not None:
            await self._socket.send(json.dumps({"context_id": self._context_id, "cancel": True}))

    def drop(self) -> None:
        """Close the connection without a word, as a client does that is killed."""
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None

    async def speak(self, text: str, due_s: float | None = None) -> Outcome:
        """Never raises for what goes wrong at the server or on the way: that is in the outcome."""
        outcome = Outcome(characters=len(text), session=self.session)
        arrivals: list[Arrival] = []
        start_s = time.perf_counter() if due_s is None else due_s
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                async for event in self.events(text):
                    _note(event, start_s, outcome, arrivals)
        except TimeoutError:
            outcome.error = f"not done after {REQUEST_TIMEOUT_S:g} s"
        except InvalidStatus as refusal:
            outcome.status = refusal.response.status_code
            outcome.error = refusal_message(refusal)
        except (ConnectionClosed, OSError) as lost:
            self._socket = None
            outcome.error = f"no connection: {lost}"
        outcome.end_s = time.perf_counter() - start_s
        _judge(outcome, arrivals, self.sample_rate_hz)
        return outcome


def refusal_message(refusal: InvalidStatus) -> str:
    body = (refusal.response.body or b"").decode(errors="replace")[:200]
    return f"the connection was refused with {refusal.response.status_code}: {body}"


def _note(event: Event, start_s: float, outcome: Outcome, arrivals: list[Arrival]) -> None:
    at_s, fields = event.at_s - start_s, event.fields
    if fields["type"] == "chunk":
        if outcome.first_byte_s is None:
            outcome.first_byte_s = at_s
        arrivals.append(Arrival(at_s, samples(fields["data"])))
    elif fields["type"] == "done":
        outcome.stages_ms = fields.get("stage_times_ms") or {}
        if not arrivals:
            outcome.error = "done without audio"
    elif fields["type"] == "error":
        outcome.error = str(fields.get("message") or fields.get("error"))
        outcome.status = fields.get("status_code")


def _judge(outcome: Outcome, arrivals: list[Arrival], sample_rate_hz: int) -> None:
    outcome.audio_s = sum(len(arrival.pcm) for arrival in arrivals) / sample_rate_hz
    outcome.first_playable_s = first_playable_s(arrivals, sample_rate_hz)
    outcome.first_audible_s = first_audible_s(arrivals, sample_rate_hz)
    outcome.worst_gap_s = worst_gap_s(arrivals)
    outcome.last_audio_s = arrivals[-1].at_s if arrivals else None
    played = play(arrivals, sample_rate_hz)
    outcome.underruns, outcome.plays_until_s = played.underruns, played.ends_s


def samples(data: str) -> Pcm:
    """The ``data`` of a chunk as samples between -1 and 1."""
    return np.frombuffer(base64.b64decode(data), dtype="<i2").astype(np.float32) / np.float32(32768)

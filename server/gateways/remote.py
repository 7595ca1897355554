"""The gateway's side: an engine, its streams and its cloning that live in another process.

Same interface as in one process (`server.engine.interface`), so the API layers do not know the difference but for one thing:
what the engine refuses, full queues included, is raised by a stream's first event (or `opened`), not by the call that made it.
Events wait in the engine, not here, when a client is slow: only `MOST_UNREAD` of them are taken ahead of it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import grpc.aio

from models.audio import Pcm
from models.importing import ModelKind
from models.voices import ClonedVoice
from server.engine.engine import LAG_PERIOD_S
from server.engine.events import EventQueue
from server.engine.interface import ServedModel
from server.engine.worker import Clock, default_clock
from server.errors import DescantError, InvalidRequest, ShuttingDown
from server.gateways.engine_service import MAX_MESSAGE_BYTES
from server.gateways.wire import OPENED, Description, frame_of, pcm_frame, raise_error, value_of
from server.metrics import Metrics
from server.pb import engine_pb2_grpc
from server.pb.engine_pb2 import Frame
from server.requests.speech import Controls, SpeechEvent, SpeechRequest, StageTimes
from server.requests.transcription import TranscriptEvent, TranscriptionRequest, TurnSettings

E = TypeVar("E")

MOST_UNREAD = 4
"""Events of one stream taken ahead of its reader; 1.2 s of audio."""
MOST_UNSENT = 8
"""Pieces of audio that wait to be sent before `feed` makes its caller wait."""
DESCRIBE_PERIODS = 5
"""The engine is asked whether it is ready after so many looks at the lag of the event loop."""
DESCRIBE_TIMEOUT_S = 3.0
START_TIMEOUT_S = 120.0

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # An engine that comes back is found within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

log = logging.getLogger("descant.gateway")


class _RemoteStream(Generic[E]):
    """One call of the engine: frames out of one queue, events into another."""

    def __init__(self, open_call: Callable[[], Any], first: Frame, on_ended: Callable[[Any], None]) -> None:
        self._outbox: asyncio.Queue[Frame] = asyncio.Queue()
        self._outbox.put_nowait(first)
        self._room = asyncio.Event()
        self._sent = asyncio.Event()
        self._unread = 0
        self._events: EventQueue[E] = EventQueue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._on_ended = on_ended
        self._ended = False
        self._call = open_call()
        self._tasks = asyncio.create_task(self._send()), asyncio.create_task(self._receive())

    async def opened(self) -> None:
        """Returns once the engine has admitted the stream; raises why it did not."""
        await asyncio.shield(self._opened)

    def cancel(self) -> None:
        """Stop at once: what is unread is dropped, iteration ends. Idempotent."""
        self._events.close()
        self._stop(ShuttingDown("the stream was cancelled"))

    def fail(self, error: DescantError) -> None:
        """Stop at once; the reader gets this error after what is unread."""
        self._events.put([], True, error)
        self._stop(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        event = await self._events.get()
        self._unread -= 1
        self._room.set()
        return event

    def _take(self, frame: Frame) -> None:
        """One frame that is neither an error nor OPENED."""
        self._unread += 1
        self._events.put([value_of(frame)], False, None)

    def _post(self, frame: Frame) -> None:
        if not self._ended:
            self._outbox.put_nowait(frame)

    async def _send(self) -> None:
        # A call that broke is told by `_receive`.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                await self._call.write(await self._outbox.get())
                self._sent.set()

    async def _receive(self) -> None:
        error: DescantError | None = None
        try:
            async for frame in self._call:
                raise_error(frame)
                if frame.kind == OPENED:
                    self._opened.set_result(None)
                    continue
                self._take(frame)
                while self._unread >= MOST_UNREAD:
                    self._room.clear()
                    await self._room.wait()
        except DescantError as told:
            error = told
        except grpc.aio.AioRpcError as broken:
            log.warning("the engine left a stream: %s", broken.details())
            error = ShuttingDown("the engine went away; try again in a moment", retry_after_s=1.0)
        self._events.put([], True, error)
        self._stop(error)

    def _stop(self, error: DescantError | None) -> None:
        self._end(error)
        self._call.cancel()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def _end(self, error: DescantError | None) -> None:
        """Count the stream out, and let go whoever waits for it."""
        if self._ended:
            return
        self._ended = True
        if not self._opened.done():
            self._opened.set_exception(error or ShuttingDown("the engine ended the stream"))
        self._sent.set()
        self._on_ended(self)


class RemoteSpeech(_RemoteStream[SpeechEvent]):
    """As `server.engine.speech.stream.SpeechStream`."""

    def __init__(
        self,
        open_call: Callable[[], Any],
        request: SpeechRequest,
        sample_rate_hz: int,
        on_ended: Callable[[Any], None],
    ) -> None:
        super().__init__(open_call, frame_of(request), on_ended)
        self.sample_rate_hz = sample_rate_hz
        self.times = StageTimes(request.received_s)

    def push(self, text: str) -> None:
        if text:
            self._post(Frame(kind="push", json=text.encode("utf-8", "surrogatepass")))

    def flush(self) -> None:
        self._post(Frame(kind="flush"))

    def finish(self) -> None:
        self._post(Frame(kind="finish"))

    def set_buffer_delay_ms(self, max_buffer_delay_ms: int) -> None:
        self._post(Frame(kind="delay", json=str(max_buffer_delay_ms).encode("ascii")))

    def set_controls(self, controls: Controls) -> None:
        self._post(frame_of(controls))

    def want_times(self, words: bool, phonemes: bool) -> None:
        wanted = [name for name, is_wanted in (("words", words), ("phonemes", phonemes)) if is_wanted]
        self._post(Frame(kind="times", json=" ".join(wanted).encode("ascii")))

    def _take(self, frame: Frame) -> None:
        if frame.kind != StageTimes.__name__:
            super()._take(frame)
            return
        # Both processes read the same clock; what this one knows of encoding and sending stays.
        told: StageTimes = value_of(frame)
        self.times.admitted_s, self.times.text_ready_s = told.admitted_s, told.text_ready_s
        self.times.loaded_s = told.loaded_s
        self.times.first_step_s, self.times.first_audio_s = told.first_step_s, told.first_audio_s


class RemoteHearing(_RemoteStream[TranscriptEvent]):
    """As `server.engine.hearing.hearer.stream.TranscriptStream`."""

    def __init__(
        self,
        open_call: Callable[[], Any],
        request: TranscriptionRequest,
        sample_rate_hz: int,
        on_ended: Callable[[Any], None],
    ) -> None:
        super().__init__(open_call, frame_of(request), on_ended)
        self.sample_rate_hz = sample_rate_hz

    async def feed(self, pcm: Pcm) -> None:
        while self._outbox.qsize() >= MOST_UNSENT and not self._ended:
            self._sent.clear()
            await self._sent.wait()
        if len(pcm):
            self._post(pcm_frame("feed", pcm))

    def finalize(self) -> None:
        self._post(Frame(kind="flush"))

    def finish(self) -> None:
        self._post(Frame(kind="finish"))

    def update_turns(self, settings: TurnSettings) -> None:
        self._post(frame_of(settings))


class RemoteEngine:
    """An engine behind a Unix socket. Lives on the event loop that called `start`."""

    def __init__(self, path: Path, metrics: Metrics, clock: Clock = default_clock) -> None:
        self._path = path
        self._metrics = metrics
        self._clock = clock
        self._streams: set[RemoteSpeech | RemoteHearing] = set()
        self._ended = asyncio.Event()
        self._draining = False
        self._description: Description
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait for the engine. Raises ShuttingDown when it does not answer. Does nothing once started."""
        if self._watch is not None:
            return
        self._channel = grpc.aio.insecure_channel(f"unix:{self._path}", options=_OPTIONS)
        self._stub: Any = engine_pb2_grpc.EngineStub(self._channel)  # type: ignore[no-untyped-call]
        try:
            frame = await self._stub.Describe(Frame(), timeout=START_TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise ShuttingDown(f"the engine at {self._path} does not answer: {error.details()}") from None
        self._description = value_of(frame)
        self._reachable = True
        self._watch = asyncio.create_task(self._watch_loop())

    async def stop(self, drain_s: float) -> None:
        """As `server.engine.engine.Engine.stop`; the engine itself goes on."""
        self._draining = True
        try:
            async with asyncio.timeout(drain_s):
                while self._streams:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            log.warning("%d sessions were still open after %.1f s of draining", len(self._streams), drain_s)
        for stream in list(self._streams):
            stream.fail(ShuttingDown("the server is shutting down"))
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._channel.close()

    @property
    def ready(self) -> bool:
        return self._reachable and self._description.ready and not self._draining

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """As `server.engine.engine.Engine.models`, a moment ago."""
        return self._description.models

    def speak(self, request: SpeechRequest) -> RemoteSpeech:
        """Open a context. Raises ShuttingDown while the engine is not ready, InvalidRequest for an unknown model."""
        model = self._model("speech", request.model, "model_id")
        stream = RemoteSpeech(self._stub.Speak, request, model.sample_rate_hz, self._forget)
        self._streams.add(stream)
        return stream

    def transcribe(self, request: TranscriptionRequest) -> RemoteHearing:
        """Open an audio stream; see `speak`."""
        model = self._model("recognition", request.model, "model")
        stream = RemoteHearing(self._stub.Transcribe, request, model.sample_rate_hz, self._forget)
        self._streams.add(stream)
        return stream

    async def clone(self, pcm: Pcm, field: str) -> ClonedVoice:
        """As `server.engine.speech.cloning.Cloning.clone`."""
        try:
            frame = await self._stub.Clone(pcm_frame("clip", pcm, field))
        except grpc.aio.AioRpcError:
            raise ShuttingDown("the engine went away; try again in a moment", retry_after_s=1.0) from None
        raise_error(frame)
        cloned: ClonedVoice = value_of(frame)
        return cloned

    def _forget(self, stream: RemoteSpeech | RemoteHearing) -> None:
        self._streams.discard(stream)
        self._ended.set()

    def _model(self, kind: ModelKind, name: str, field: str) -> ServedModel:
        if not self.ready:
            raise ShuttingDown("the server is starting or stopping; try again in a moment", retry_after_s=1.0)
        able = {model.name: model for model in self._description.models if model.kind == kind}
        if name not in able:
            raise InvalidRequest.choice(field, name, able)
        return able[name]

    async def _watch_loop(self) -> None:
        """See whether the engine is there, and measure how late the loop wakes."""
        while True:
            for _ in range(DESCRIBE_PERIODS):
                asleep_s = self._clock()
                await asyncio.sleep(LAG_PERIOD_S)
                self._metrics.record_loop_lag(self._clock() - asleep_s - LAG_PERIOD_S)
            try:
                self._description = value_of(await self._stub.Describe(Frame(), timeout=DESCRIBE_TIMEOUT_S))
                self._reachable = True
            except grpc.aio.AioRpcError as error:
                if self._reachable:
                    log.error("the engine at %s does not answer: %s", self._path, error.details())
                self._reachable = False

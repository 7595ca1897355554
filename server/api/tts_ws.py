"""``/tts/websocket``: text pieces in, audio and times out, many contexts on one connection.

With ``?stage_times=true``, an addition to Cartesia's protocol, each ``done`` says in
``stage_times_ms`` where the time to the context's first byte went.

A message that is wrong ends its own context with an error event and leaves the
socket and all other contexts alone.
"""

import uuid
from typing import Any

from starlette.websockets import WebSocket

from server.api.body import MAX_JSON_BYTES, parse_json
from server.api.call import Call, call_of
from server.api.contexts import MAX_DEFERRED_MESSAGES, Context
from server.api.link import IDLE_CLOSE, Link, LinkClosed, LinkIdle
from server.api.problems import speech_error_event, told_to_client
from server.api.query import QueryParameter, takes_query
from server.api.schemas import SpeechBody
from server.api.versions import counts_flushes_from_zero
from server.api.voice_specifier import is_embedding
from server.errors import Busy, InvalidRequest, ShuttingDown


@takes_query(
    QueryParameter("stage_times", "Whether last frames say where the time to the first byte went.", {"type": "boolean"}),
)
async def speak_socket(websocket: WebSocket) -> None:
    call = call_of(websocket.scope)
    if not call.services.engine.ready:
        raise ShuttingDown("The server is starting or stopping; try again in a moment.", retry_after_s=1.0)
    link = Link(websocket, call, call.services.settings.limits.websocket_idle_s)
    await link.accept()
    stage_times = websocket.query_params.get("stage_times") == "true"
    connection = _Connection(call, link, stage_times)
    try:
        while True:
            await connection.take(await link.receive())
    except LinkIdle:
        await link.close(IDLE_CLOSE)
    except LinkClosed:
        pass
    finally:
        connection.cancel_all()
    await link.close_if_stalled()


class _Connection:
    """The contexts of one socket by their id."""

    def __init__(self, call: Call, link: Link, stage_times: bool) -> None:
        self._call = call
        self._link = link
        self._stage_times = stage_times
        self._contexts: dict[str, Context] = {}

    async def take(self, message: str | bytes) -> None:
        """Handle one message; whatever is wrong with it becomes an error event. Raises LinkClosed only."""
        fields: dict[str, Any] = {}
        try:
            if isinstance(message, bytes):
                raise InvalidRequest("This socket takes JSON in text frames; a binary frame came.")
            if len(message) > MAX_JSON_BYTES:
                raise InvalidRequest(f"message: is longer than {MAX_JSON_BYTES} characters, the most that is taken here")
            fields = parse_json(message)
            body = SpeechBody.check(fields)
        except InvalidRequest as error:
            await self._answer(self._fail(error, fields.get("context_id")))
        else:
            await self._answer(self._attempt(body))

    def cancel_all(self) -> None:
        for context in self._contexts.values():
            context.cancel()
        self._contexts.clear()

    async def _answer(self, frame: dict[str, Any] | None) -> None:
        if frame is not None:
            await self._link.send(frame)

    def _attempt(self, body: SpeechBody) -> dict[str, Any] | None:
        try:
            return self._handle(body)
        except Exception as error:
            return self._fail(error, body.context_id)

    def _handle(self, body: SpeechBody) -> dict[str, Any] | None:
        """Do what one message says; gives a frame where it is to be answered at once."""
        if body.cancel:
            self._cancel(body)
            return None
        context = self._contexts.get(body.context_id) if body.context_id is not None else None
        if context is None:
            return self._open(body)
        if context.input_closed:
            self._defer(context, body)
        else:
            context.add(body)
        return None

    def _cancel(self, body: SpeechBody) -> None:
        """Silent by contract, also for an id that is not known."""
        if body.context_id is None:
            raise InvalidRequest("context_id: is required with cancel", field="context_id")
        context = self._contexts.pop(body.context_id, None)
        if context is not None:
            context.cancel()

    def _defer(self, context: Context, body: SpeechBody) -> None:
        """Text for a context that is still speaking its last words begins a new one with the same id after it.

        A blank terminator needs nothing: the context's own ``done`` will answer it.
        """
        if context.deferred or (body.transcript or "").strip():
            if len(context.deferred) >= MAX_DEFERRED_MESSAGES:
                raise Busy("context_id: too many messages wait for this context to end", field="context_id")
            context.deferred.append(body)

    def _open(self, body: SpeechBody) -> dict[str, Any] | None:
        context_id = body.context_id or str(uuid.uuid4())
        if not (body.transcript or "").strip():
            if not body.continue_ and (body.transcript is not None or body.context_id is not None):
                return {"type": "done", "done": True, "status_code": 206, "context_id": context_id}
            if is_embedding(body.voice):
                # What old SDKs send to flush a context that is over: there is nothing to open.
                return self._nothing_flushed(context_id) if body.flush else None
        context = Context(context_id, body, self._call, self._link, stage_times=self._stage_times)
        self._contexts[context_id] = context
        context.start(self._ended)
        return None

    def _nothing_flushed(self, context_id: str) -> dict[str, Any]:
        flush_id = 0 if counts_flushes_from_zero(self._call.version) else 1
        return {
            "type": "flush_done", "flush_done": True, "done": False, "status_code": 206,
            "flush_id": flush_id, "context_id": context_id,
        }  # fmt: skip

    def _ended(self, context: Context) -> list[dict[str, Any]]:
        """Forget a context that is about to say its last word, and handle what came for its id meanwhile."""
        if self._contexts.get(context.id) is not context:
            return []
        del self._contexts[context.id]
        # All at once, without awaiting: a message that arrives now must not overtake these.
        answers = [self._attempt(body) for body in context.deferred]
        return [answer for answer in answers if answer is not None]

    def _fail(self, error: Exception, context_id: Any) -> dict[str, Any]:
        """End the context that the message belongs to, if it says one, and give the event that says why."""
        event = speech_error_event(told_to_client(error), self._call.version, self._call.request_id)
        if isinstance(context_id, str):
            context = self._contexts.pop(context_id, None)
            if context is not None:
                context.cancel()
            event["context_id"] = context_id
        return event

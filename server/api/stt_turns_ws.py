"""``/stt/turns/websocket``: audio in, turns of a conversation out; the server decides when a turn is over."""

from typing import Any

from starlette.websockets import WebSocket

from server.api.body import parse_json
from server.api.call import Call
from server.api.listening import Command, listen_socket
from server.api.listening_params import (
    ENCODING,
    KEYTERM,
    LANGUAGE,
    MODEL,
    SAMPLE_RATE,
    TURN_PARAMETERS,
    ConfigBody,
    audio_encoding,
    keyterms,
    turn_query,
)
from server.api.query import required, takes_query
from server.errors import InvalidRequest
from server.requests.audio_format import Encoding
from server.requests.locales import spoken_language
from server.requests.transcription import DEFAULT_LANGUAGE, TranscriptEvent, TranscriptionRequest, Turn, TurnPhase, TurnSettings
from server.requests.turn_settings import turn_settings

_WITH_TRANSCRIPT = (TurnPhase.UPDATE, TurnPhase.EAGER_END, TurnPhase.END)


@takes_query(MODEL, ENCODING, SAMPLE_RATE, LANGUAGE, KEYTERM, *TURN_PARAMETERS.values())
async def turns_socket(websocket: WebSocket) -> None:
    await listen_socket(websocket, _TurnsDialect())


class _TurnsDialect:
    def __init__(self) -> None:
        self._request_id = ""
        self._given: dict[str, float] = {}

    def open(self, call: Call, websocket: WebSocket) -> tuple[TranscriptionRequest, Encoding, int]:
        query = websocket.query_params
        self._request_id = call.request_id
        model = call.services.catalog.recognition_model(required(query, "model"))
        encoding, rate_hz = audio_encoding(query)
        self._given = turn_query(query)
        request = TranscriptionRequest(
            model=model,
            request_id=call.request_id,
            language=spoken_language(query.get("language") or DEFAULT_LANGUAGE),
            turns=turn_settings(self._given),
            want_words=False,
            keyterms=keyterms(query),
            key_id=call.key_id,
            received_s=call.received_s,
        )
        return request, encoding, rate_hz

    def greeting(self) -> dict[str, Any] | None:
        return {"type": "connected", "request_id": self._request_id}

    def command(self, text: str) -> Command | TurnSettings:
        """``config`` counts together with what was given before; a wrong one changes nothing."""
        fields = parse_json(text)
        kind = fields.get("type")
        if kind == "close":
            return Command.CLOSE
        if kind != "config":
            raise InvalidRequest.choice("type", kind, ("config", "close"))
        given = {**self._given, **ConfigBody.check(fields).settings()}
        settings = turn_settings(given)
        self._given = given
        return settings

    def frame(self, event: TranscriptEvent) -> dict[str, Any]:
        assert isinstance(event, Turn), "a stream with turns gives nothing else"
        frame: dict[str, Any] = {"type": event.phase.value, "request_id": self._request_id}
        if event.phase in _WITH_TRANSCRIPT:
            frame["transcript"] = event.transcript
        return frame

    def farewell(self) -> dict[str, Any] | None:
        return None

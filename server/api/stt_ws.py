"""``/stt/websocket``: audio in, transcripts out; the client says when an utterance is over.

Commands are bare words in text frames. Texts are deltas since the last final
one and carry their own leading spaces.
"""

import json
from typing import Any

from starlette.websockets import WebSocket

from server.api.call import Call
from server.api.listening import Command, listen_socket
from server.api.listening_params import (
    DEFAULTS,
    ENCODING,
    KEYTERM,
    LANGUAGE,
    MAX_SILENCE_S,
    MIN_VOLUME,
    MODEL,
    SAMPLE_RATE,
    audio_encoding,
    keyterms,
    word_times,
)
from server.api.query import required, takes_query
from server.errors import InvalidRequest
from server.requests.audio_format import Encoding
from server.requests.locales import spoken_language
from server.requests.transcription import DEFAULT_LANGUAGE, Transcript, TranscriptEvent, TranscriptionRequest

_COMMANDS = {"finalize": Command.FINALIZE, "close": Command.CLOSE, "done": Command.CLOSE}


@takes_query(MODEL, ENCODING, SAMPLE_RATE, LANGUAGE, MIN_VOLUME, MAX_SILENCE_S, KEYTERM)
async def transcribe_socket(websocket: WebSocket) -> None:
    await listen_socket(websocket, _ManualDialect())


class _ManualDialect:
    def __init__(self) -> None:
        self._request_id = ""

    def open(self, call: Call, websocket: WebSocket) -> tuple[TranscriptionRequest, Encoding, int]:
        query = websocket.query_params
        self._request_id = call.request_id
        model = call.services.catalog.recognition_model(required(query, "model"))
        encoding, rate_hz = audio_encoding(query)
        request = TranscriptionRequest(
            model=model,
            request_id=call.request_id,
            language=spoken_language(query.get("language") or DEFAULT_LANGUAGE),
            min_volume=MIN_VOLUME.read(query, DEFAULTS.min_volume),
            max_silence_s=MAX_SILENCE_S.read(query, DEFAULTS.max_silence_s),
            keyterms=keyterms(query),
            key_id=call.key_id,
            received_s=call.received_s,
        )
        return request, encoding, rate_hz

    def greeting(self) -> dict[str, Any] | None:
        return None

    def command(self, text: str) -> Command:
        word = text.strip()
        if word.startswith("{"):
            word = _type_of(word)
        word = word.strip("\"'").lower()
        if word not in _COMMANDS:
            raise InvalidRequest.choice("command", text[:40], _COMMANDS)
        return _COMMANDS[word]

    def frame(self, event: TranscriptEvent) -> dict[str, Any]:
        if not isinstance(event, Transcript):
            return {"type": "flush_done", "request_id": self._request_id}
        frame = {
            "type": "transcript",
            "text": event.text,
            "is_final": event.is_final,
            "request_id": self._request_id,
            "duration": round(event.duration_s, 3),
            "language": event.language,
            "words": word_times(event.words),
        }
        return {**frame, "truncated": True} if event.truncated else frame

    def farewell(self) -> dict[str, Any] | None:
        return {"type": "done", "request_id": self._request_id}


def _type_of(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return str(value.get("type", "")) if isinstance(value, dict) else text

"""What clients may say about audio they send: model, encoding, segment and turn settings, with their ranges."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from server.api.body import Body
from server.api.query import NumberParameter, QueryParameter, required
from server.api.schemas import Number
from server.errors import InvalidRequest
from server.requests.audio_format import Encoding
from server.requests.keyterms import checked_keyterms
from server.requests.speech import WordTime
from server.requests.transcription import DEFAULT_LANGUAGE, TranscriptionRequest
from server.requests.turn_settings import TURN_RANGES

DEFAULTS = TranscriptionRequest(model="", request_id="")
"""Read for the values a client left out."""

MODEL = QueryParameter("model", "Recognition model, such as ink-whisper.", is_required=True)
ENCODING = QueryParameter("encoding", "Of headerless audio.", {"type": "string", "enum": list(Encoding)}, is_required=True)
SAMPLE_RATE = QueryParameter("sample_rate", "Of headerless audio, in hertz.", {"type": "integer"}, is_required=True)
LANGUAGE = QueryParameter(
    "language", 'Code of the language spoken; "auto" to detect it.', {"type": "string", "default": DEFAULT_LANGUAGE}
)
KEYTERM = QueryParameter(
    "keyterm", "Name or phrase to listen for; may come many times.", {"type": "array", "items": {"type": "string"}}
)
MIN_VOLUME = NumberParameter("min_volume", "Root mean square level under which audio never counts as speech.", 0.0, 1.0)
MAX_SILENCE_S = NumberParameter(
    "max_silence_duration_secs", "A pause of this length makes the text before it final.", 0.01, 60.0
)
TURN_PARAMETERS = {
    name: NumberParameter(f"turn_{name}", "See the turn object of config messages.", lowest, highest)
    for name, (lowest, highest) in TURN_RANGES.items()
}


class TurnBody(Body):
    """The ``turn`` object of a config message; any subset."""

    start_threshold: Number | None = None
    eager_end_threshold: Number | None = None
    end_threshold: Number | None = None
    end_timeout_ms: Number | None = None


class ConfigBody(Body):
    turn: TurnBody | None = None

    def settings(self) -> dict[str, float]:
        """The turn settings that were given."""
        return self.turn.model_dump(exclude_none=True) if self.turn is not None else {}


def audio_encoding(query: Mapping[str, str]) -> tuple[Encoding, int]:
    """Encoding and sample rate in Hz of headerless audio; both are required."""
    name = required(query, "encoding")
    if name not in tuple(Encoding):
        raise InvalidRequest.choice("encoding", name, Encoding)
    rate = required(query, "sample_rate")
    if not (rate.isascii() and rate.isdigit() and len(rate) < 8):
        raise InvalidRequest(f"sample_rate: {rate[:40]!r} is not a whole number of hertz", field="sample_rate")
    return Encoding(name), int(rate)


def keyterms(query: QueryParams) -> tuple[str, ...]:
    """The ``keyterm`` parameters; raises InvalidRequest where they are over the limits."""
    return checked_keyterms(query.getlist("keyterm"))


def turn_query(query: Mapping[str, str]) -> dict[str, float]:
    """The ``turn_…`` parameters of a handshake that were given."""
    values = {name: parameter.read(query, None) for name, parameter in TURN_PARAMETERS.items()}
    return {name: value for name, value in values.items() if value is not None}


def word_times(words: Iterable[WordTime]) -> list[dict[str, Any]]:
    return [{"word": word.word, "start": round(word.start_s, 3), "end": round(word.end_s, 3)} for word in words]

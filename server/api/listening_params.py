"""What clients may say about audio they send: model, encoding, segment and turn settings, with their ranges."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from server.api.body import Body
from server.api.schemas import Number
from server.errors import InvalidRequest
from server.keyterms import checked_keyterms
from server.turns import TURN_RANGES
from server.types import Encoding, TranscriptionRequest, WordTime

DEFAULTS = TranscriptionRequest(family="", request_id="")
"""Read for the values a client left out."""

_MAX_SILENCE_S = 60.0


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


def required(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "").strip()
    if not value:
        raise InvalidRequest(f"{name}: is required", field=name)
    return value


def audio_encoding(query: Mapping[str, str]) -> tuple[Encoding, int]:
    """Encoding and sample rate in Hz of headerless audio; both are required."""
    name = required(query, "encoding")
    if name not in tuple(Encoding):
        raise InvalidRequest.choice("encoding", name, Encoding)
    rate = required(query, "sample_rate")
    if not (rate.isascii() and rate.isdigit() and len(rate) < 8):
        raise InvalidRequest(f"sample_rate: {rate[:40]!r} is not a whole number of hertz", field="sample_rate")
    return Encoding(name), int(rate)


def number(query: Mapping[str, str], name: str, lowest: float, highest: float, default: float) -> float:
    """A number within its range, the default where it is absent."""
    text = query.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # A comparison with NaN is false, so NaN is refused here too.
    if not lowest <= value <= highest:
        raise InvalidRequest(f"{name}: {text[:40]!r} is not supported; accepted values: {lowest:g} to {highest:g}", field=name)
    return value


def min_volume(query: Mapping[str, str]) -> float:
    return number(query, "min_volume", 0.0, 1.0, DEFAULTS.min_volume)


def max_silence_s(query: Mapping[str, str]) -> float:
    return number(query, "max_silence_duration_secs", 0.01, _MAX_SILENCE_S, DEFAULTS.max_silence_s)


def keyterms(query: QueryParams) -> tuple[str, ...]:
    """The ``keyterm`` parameters; raises InvalidRequest where they are over the limits."""
    return checked_keyterms(query.getlist("keyterm"))


def turn_query(query: Mapping[str, str]) -> dict[str, float]:
    """The ``turn_…`` parameters of a handshake that were given."""
    given = {}
    for name, (lowest, highest) in TURN_RANGES.items():
        value = number(query, f"turn_{name}", lowest, highest, -1.0)
        if value >= 0:
            given[name] = value
    return given


def word_times(words: Iterable[WordTime]) -> list[dict[str, Any]]:
    return [{"word": word.word, "start": round(word.start_s, 3), "end": round(word.end_s, 3)} for word in words]

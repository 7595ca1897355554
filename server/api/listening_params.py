"""What clients may say about audio they send: model, encoding, segment and turn settings, with their ranges."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from server.api.body import Body
from server.api.schemas import Number
from server.errors import InvalidRequest
from server.types import Encoding, TranscriptionRequest, TurnSettings, WordTime

DEFAULTS = TranscriptionRequest(family="", request_id="")
"""Read for the values a client left out."""

MAX_KEYTERMS = 100
MAX_KEYTERM_CHARS = 1200
_MAX_SILENCE_S = 60.0
_TURN_RANGES = {
    "start_threshold": (0.5, 0.9),
    "eager_end_threshold": (0.3, 0.8),
    "end_threshold": (0.05, 0.5),
    "end_timeout_ms": (640, 11200),
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


def check_keyterms(query: QueryParams) -> list[str]:
    """The ``keyterm`` parameters, within their limits. Whisper models have no use for them."""
    terms = query.getlist("keyterm")
    if len(terms) > MAX_KEYTERMS or sum(len(term) for term in terms) > MAX_KEYTERM_CHARS:
        message = f"keyterm: at most {MAX_KEYTERMS} terms with {MAX_KEYTERM_CHARS} characters in total are taken"
        raise InvalidRequest(message, field="keyterm")
    return terms


def turn_query(query: Mapping[str, str]) -> dict[str, float]:
    """The ``turn_…`` parameters of a handshake that were given."""
    given = {}
    for name, (lowest, highest) in _TURN_RANGES.items():
        value = number(query, f"turn_{name}", lowest, highest, -1.0)
        if value >= 0:
            given[name] = value
    return given


def turn_settings(given: Mapping[str, float]) -> TurnSettings:
    """Settings from those a client gave; the rest are defaults, moved where they would break the order.

    Thresholds must fall from start over eager_end to end. Raises InvalidRequest
    naming the value that is out of range or out of order.
    """
    for name, value in given.items():
        lowest, highest = _TURN_RANGES[name]
        if not lowest <= value <= highest:
            message = f"turn.{name}: {value:g} is not supported; accepted values: {lowest:g} to {highest:g}"
            raise InvalidRequest(message, field=f"turn.{name}")
    names = ("start_threshold", "eager_end_threshold", "end_threshold")
    ordered = [(name, given[name]) for name in names if name in given]
    for (higher, above), (lower, below) in itertools.pairwise(ordered):
        if above <= below:
            raise InvalidRequest(f"turn.{lower}: {below:g} must be less than turn.{higher}, {above:g}", field=f"turn.{lower}")
    defaults = TurnSettings()
    start = given.get(names[0], defaults.start_threshold)
    eager = given.get(names[1], defaults.eager_end_threshold)
    end = given.get(names[2], defaults.end_threshold)
    if eager >= start and names[0] not in given:
        start = (eager + 1) / 2
    if end >= eager and names[2] not in given:
        end = eager / 2
    if not end < eager < start:
        eager = (end + start) / 2
    timeout_ms = int(given.get("end_timeout_ms", defaults.end_timeout_ms))
    return TurnSettings(start, eager, end, timeout_ms)


def word_times(words: Iterable[WordTime]) -> list[dict[str, Any]]:
    return [{"word": word.word, "start": round(word.start_s, 3), "end": round(word.end_s, 3)} for word in words]

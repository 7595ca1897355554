"""Which turn settings are accepted: ranges, and the order of the thresholds. Both APIs check by this."""

import itertools
from collections.abc import Mapping

from server.errors import InvalidRequest
from server.requests.transcription import TurnSettings

TURN_RANGES: Mapping[str, tuple[float, float]] = {
    "start_threshold": (0.5, 0.9),
    "eager_end_threshold": (0.3, 0.8),
    "end_threshold": (0.05, 0.5),
    "end_timeout_ms": (640, 11200),
}
"""Those of the public API; for ``eager_end_threshold`` the wider of the two that its clients know."""

_THRESHOLDS = ("start_threshold", "eager_end_threshold", "end_threshold")


def turn_settings(given: Mapping[str, float], prefix: str = "turn.") -> TurnSettings:
    """Settings from those a client gave; the rest are defaults, moved where they would break the order.

    Thresholds must fall from start over eager end to end. Raises InvalidRequest
    naming the value (``prefix`` before its name) that is out of range or order.
    """
    for name, value in given.items():
        lowest, highest = TURN_RANGES[name]
        # Written so that NaN is refused too.
        if not lowest <= value <= highest:
            field = prefix + name
            raise InvalidRequest(
                f"{field}: {value:g} is not supported; accepted values: {lowest:g} to {highest:g}", field=field
            )
    for higher, lower in itertools.pairwise(name for name in _THRESHOLDS if name in given):
        if given[higher] <= given[lower]:
            field = prefix + lower
            raise InvalidRequest(
                f"{field}: {given[lower]:g} must be less than {prefix}{higher}, {given[higher]:g}", field=field
            )
    defaults = TurnSettings()
    start, eager, end = (given.get(name, getattr(defaults, name)) for name in _THRESHOLDS)
    if eager >= start and "start_threshold" not in given:
        start = (eager + 1) / 2
    if end >= eager and "end_threshold" not in given:
        end = eager / 2
    if not end < eager < start:
        eager = (end + start) / 2
    return TurnSettings(start, eager, end, int(given.get("end_timeout_ms", defaults.end_timeout_ms)))

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.errors import InvalidRequest
from server.requests.transcription import TurnSettings
from server.requests.turn_settings import TURN_RANGES, turn_settings

given_settings = st.fixed_dictionaries({}, optional={name: st.floats(*bounds) for name, bounds in TURN_RANGES.items()})


def test_nothing_given_gives_the_defaults() -> None:
    assert turn_settings({}) == TurnSettings()


@given(given_settings)
def test_what_is_accepted_is_in_order_and_keeps_what_was_given(values: dict[str, float]) -> None:
    given_thresholds = [values[name] for name in ("start_threshold", "eager_end_threshold", "end_threshold") if name in values]
    assume(all(above > below for above, below in pairwise(given_thresholds)))
    settings = turn_settings(values)
    assert 0 < settings.end_threshold < settings.eager_end_threshold < settings.start_threshold < 1
    for name in ("start_threshold", "eager_end_threshold", "end_threshold"):
        assert getattr(settings, name) == values.get(name, getattr(settings, name))


@pytest.mark.parametrize("name", TURN_RANGES)
def test_out_of_range(name: str) -> None:
    lowest, highest = TURN_RANGES[name]
    for value in (lowest * 0.99, highest * 1.01, math.nan):
        with pytest.raises(InvalidRequest, match=f"{lowest:g} to {highest:g}") as caught:
            turn_settings({name: value}, "config.turns.")
        assert caught.value.field == f"config.turns.{name}"


def test_out_of_order() -> None:
    with pytest.raises(InvalidRequest, match=r"turn\.eager_end_threshold: 0.6 must be less than turn\.start_threshold, 0.6"):
        turn_settings({"start_threshold": 0.6, "eager_end_threshold": 0.6})
    with pytest.raises(InvalidRequest, match=r"turn\.end_threshold: 0.5 must be less"):
        turn_settings({"start_threshold": 0.5, "end_threshold": 0.5})

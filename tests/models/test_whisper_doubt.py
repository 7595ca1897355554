"""Which texts are doubted, by what was decoded and who waits for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.hearing import Effort, WindowPolicy
from models.whisper.decoding_policy import DecodingPolicy, decoding_policy
from models.whisper.doubt import Reading, doubts, ends_with_a_copy, loud_until
from models.whisper.engine import Decoded
from models.whisper.window_policy import window_policy

STOCK = DecodingPolicy()
DECODED = Decoded([], mean_log_probability=-0.1, no_speech_probability=0.0, truncated=False)
READING = Reading(DECODED, "The shop was closed.", [1, 2, 3], end_s=2.0, loud_until_s=2.0, length_s=2.5, window_s=4.0)


def read(**changes: float) -> Reading:
    return replace(READING, decoded=replace(DECODED, **changes))  # type: ignore[arg-type]


def test_nothing_speaks_against_a_good_text() -> None:
    assert doubts(READING, STOCK) == []


@pytest.mark.parametrize(
    ("log_probability", "doubted"),
    [
        (STOCK.doubtful_log_probability + 0.01, set[Effort]()),
        (STOCK.doubtful_log_probability - 0.01, {Effort.WHOLE}),
        (STOCK.doubtful_log_probability_live + 0.01, {Effort.WHOLE}),
        (STOCK.doubtful_log_probability_live - 0.01, {Effort.WHOLE, Effort.LIVE, Effort.DRAFT}),
    ],
)
def test_where_somebody_waits_a_text_may_be_less_sure(log_probability: float, doubted: set[Effort]) -> None:
    reading = read(mean_log_probability=log_probability)
    assert {effort for effort in Effort if doubts(reading, STOCK, effort)} == doubted
    assert doubts(reading, STOCK) == (["log probability"] if Effort.WHOLE in doubted else [])


@pytest.mark.parametrize(
    ("reading", "found"),
    [
        (read(truncated=True), ["truncated"]),
        (replace(READING, text=""), ["empty"]),
        (replace(read(no_speech_probability=0.9), text=""), []),
        (replace(READING, text="one two three one two three"), ["said twice"]),
        (replace(READING, text="ab " * 60), ["compression ratio", "said twice"]),
        (replace(READING, end_s=1.1, loud_until_s=2.0), []),
        (replace(READING, end_s=0.9, loud_until_s=2.0), ["speech without words"]),
        (replace(READING, end_s=4.1), ["words behind the window"]),
        (replace(READING, end_s=None, loud_until_s=4.0), []),
    ],
)
def test_what_speaks_against_a_text(reading: Reading, found: list[str]) -> None:
    assert doubts(reading, STOCK, Effort.LIVE) == found


def test_a_checkpoint_trained_on_short_windows_is_doubted_only_where_its_text_was_cut_off() -> None:
    policy = replace(STOCK, trained_on_short_windows=True)
    bad = replace(read(mean_log_probability=-3.0), text="ab " * 60, end_s=9.0)
    assert doubts(bad, policy) == []
    assert doubts(replace(bad, decoded=replace(bad.decoded, truncated=True)), policy) == ["truncated"]


@pytest.mark.parametrize(
    ("text", "is_copy"),
    [
        ("Open the window. Open the window.", True),
        ("Please open the window, open the window", True),
        ("OPEN THE WINDOW... open, the window!", True),
        ("Open the window. Open the windows.", False),
        ("Open the window. Open the window. Thanks", False),
        ("bye bye", False),  # people say so
        ("really really", True),
        ("今日はいい日今日はいい日", True),
        ("", False),
    ],
)
def test_a_text_ends_with_a_copy(text: str, is_copy: bool) -> None:
    assert ends_with_a_copy(text) == is_copy


def test_the_last_loud_moment() -> None:
    mel = np.full((100, 80), -1.0, np.float32)
    mel[10:40, 7] = 1.0
    mel[40:60, 3] = 0.6
    mel[60:, 3] = 0.4
    assert loud_until(mel, 50) == 1.2
    assert loud_until(np.zeros((0, 80), np.float32), 50) == 0.0


# --- what a checkpoint states ---------------------------------------------------

RULES = {"longest_s": 12.0, "pause_after_s": 4.0, "pause_s": 0.3, "before_s": 0.25, "after_s": 0.2}
WINDOWS = {"live": RULES, "whole": {**RULES, "longest_s": 20}, "whole_gap_s": 1.0, "loses_phrases": True}
CONFIG = Path("somewhere/config.json")


class TestStatedWindows:
    def test_without_any_they_are_those_of_stock_whisper(self) -> None:
        assert window_policy({}, CONFIG) == WindowPolicy()
        assert not WindowPolicy().loses_phrases

    def test_are_read(self) -> None:
        policy = window_policy({"descant_windows": WINDOWS}, CONFIG)
        assert (policy.live.longest_s, policy.whole.longest_s, policy.whole_gap_s) == (12.0, 20.0, 1.0)
        assert policy.loses_phrases
        assert not window_policy({"descant_windows": {**WINDOWS, "loses_phrases": False}}, CONFIG).loses_phrases

    @pytest.mark.parametrize("value", [1, 0, "true", None])
    def test_whether_phrases_are_lost_is_true_or_false(self, value: object) -> None:
        with pytest.raises(ValueError, match=r"somewhere/config\.json: descant_windows\.loses_phrases must be true or false"):
            window_policy({"descant_windows": {**WINDOWS, "loses_phrases": value}}, CONFIG)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"whole_gap_s": 0}, r"descant_windows\.whole_gap_s must be a positive number of seconds, not 0"),
            ({"whole_gap_s": True}, r"whole_gap_s must be a positive number"),
            ({"live": {**RULES, "after_s": -1}}, r"descant_windows\.live\.after_s must be a positive number"),
            ({"whole": {"longest_s": 3}}, r"descant_windows\.whole must be an object with longest_s, pause_after_s"),
            ({"gap": 3}, r"descant_windows must be an object with live, whole, whole_gap_s, loses_phrases"),
        ],
    )
    def test_what_is_wrong_is_named(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            window_policy({"descant_windows": {**WINDOWS, **changes}}, CONFIG)


class TestStatedDecoding:
    def test_fields_that_are_not_stated_are_those_of_stock_whisper(self) -> None:
        assert decoding_policy({}, CONFIG) == STOCK
        stated = decoding_policy({"descant_decoding": {"beams": 2, "doubtful_log_probability_live": -1}}, CONFIG)
        assert stated == replace(STOCK, beams=2, doubtful_log_probability_live=-1)

    @pytest.mark.parametrize(
        ("stated", "message"),
        [
            ([], "descant_decoding must be an object"),
            ({"beam": 2}, r"descant_decoding has no field beam; fields: timestamps, beams, draft_beams"),
            ({"timestamps": 1}, r"descant_decoding\.timestamps must be true or false"),
            ({"draft_beams": True}, r"descant_decoding\.draft_beams must be a number"),
            ({"short_tokens_at_least": "16"}, r"descant_decoding\.short_tokens_at_least must be a number"),
        ],
    )
    def test_what_is_wrong_is_named(self, stated: object, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            decoding_policy({"descant_decoding": stated}, CONFIG)

"""The front end's time grows in proportion to the text, whatever the text is made of."""

import time

import pytest

from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd
from server.text.tongues import TONGUES, tongue_of

SHORT_CHARS = 1000
RATIO = 6
GROWTH_ALLOWED = 3 * RATIO
"""Linear work gives 6, quadratic 36."""


def process_s(front_end: TextFrontEnd, text: str) -> float:
    """CPU seconds for a text, the lesser of two tries."""
    tries = []
    for _ in range(2):
        stream = front_end.open(Controls())
        started = time.process_time()
        stream.push(text)
        stream.take(Take.END)
        tries.append(time.process_time() - started)
    return min(tries)


@pytest.mark.parametrize(
    "unit",
    ["a", "1", "a ", "1,", "1.", ".", "<", "<a ", "<<a|", "[", "a-", "a.", "'", "a'", "$1 ", "\n", "(", "a@", "a@b.", "1/",
     "1-", "1:", "1 1/", "+1 ", "A", "Ab", "#a", "x=", "<break ", '<break time="1s"/>', "http://a/", "I", "é", "e\u0301", "😀",
     "5'", "- ", "*", "_", "St. ", "1st ", "May 5 ", "²", "ⅷ"],
)  # fmt: skip
def test_time_is_proportional_to_length(unit: str, front_end: TextFrontEnd) -> None:
    short = unit * (SHORT_CHARS // len(unit))
    process_s(front_end, short)
    assert process_s(front_end, short * RATIO) < GROWTH_ALLOWED * process_s(front_end, short) + 0.005


@pytest.mark.parametrize("language", TONGUES)
def test_a_megabyte_of_digits_is_no_catastrophe(language: str) -> None:
    normalizer = tongue_of(language).normalizer("auto")
    few = min(timed(normalizer.normalize, "7" * 10_000) for _ in range(3))
    many = min(timed(normalizer.normalize, "7" * 100_000) for _ in range(3))
    assert many < 30 * few + 0.01


def timed(function: object, text: str) -> float:
    assert callable(function)
    started = time.process_time()
    function(text)
    return time.process_time() - started

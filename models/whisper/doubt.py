"""Whether a text can be trusted: what a second decoding at full length may mend."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.hearing import Effort
from models.whisper.decoding_policy import DecodingPolicy
from models.whisper.engine import Decoded, Floats

LOUD_BELOW_LOUDEST = 0.5
"""In units of normalised log-mel, 20 dB: what is not so much below the loudest moment is heard."""
SHORTEST_COPY_CHARACTERS = 6
UNCOVERED = "speech without words"
REPETITIONS = frozenset({"compression ratio", "said twice"})
"""Doubts that a text which says the same again is under."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A decoded window with what it is judged by."""

    decoded: Decoded
    text: str
    text_tokens: Sequence[int]
    """Those of the text, without timestamps."""
    end_s: float | None
    """Where the last timestamp says that the speech ends; None without timestamps."""
    loud_until_s: float
    """Where the last loud moment of the window is."""
    length_s: float
    window_s: float
    """With its padding."""


def loud_until(mel: Floats, frames_per_second: int) -> float:
    """Seconds up to the end of the last loud frame of a log-mel window [T, M]."""
    level = mel.max(axis=1)
    loud = np.flatnonzero(level > level.max(initial=-np.inf) - LOUD_BELOW_LOUDEST)
    return float(loud[-1] + 1) / frames_per_second if len(loud) else 0.0


def compression_ratio(text: str) -> float:
    """Bytes of a text over those that remain of it when it is compressed, as OpenAI measures repetition."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 0.0


def ends_with_a_copy(text: str) -> bool:
    """The end of a text is what stands before it once more, but for capitals and punctuation."""
    said = "".join(filter(str.isalnum, text.casefold()))
    return any(said[-length:] == said[-2 * length : -length] for length in range(SHORTEST_COPY_CHARACTERS, len(said) // 2 + 1))


def doubts(reading: Reading, policy: DecodingPolicy, effort: Effort = Effort.WHOLE) -> list[str]:
    """Why a text may be wrong; empty if nothing speaks against it."""
    decoded = reading.decoded
    found = []
    if decoded.truncated:
        found.append("truncated")
    if policy.trained_on_short_windows:
        return found
    if not reading.text:
        return found if decoded.no_speech_probability > policy.no_speech_probability else [*found, "empty"]
    is_live = effort is not Effort.WHOLE
    if decoded.mean_log_probability < (policy.doubtful_log_probability_live if is_live else policy.doubtful_log_probability):
        found.append("log probability")
    if compression_ratio(reading.text) > policy.doubtful_compression_ratio:
        found.append("compression ratio")
    if ends_with_a_copy(reading.text):
        found.append("said twice")
    if reading.end_s is not None:
        if reading.loud_until_s - reading.end_s > policy.doubtful_gap_s:
            found.append(UNCOVERED)
        if reading.end_s > reading.window_s:
            found.append("words behind the window")
    return found

"""How a checkpoint is decoded and which of its texts are doubted: what stock Whisper needs, unless its config.json says more.

Measured with whisper-base on 120 sentences by Kokoro's voices, people, noise and nine languages; the figures stand at the
fields. A checkpoint states other values under ``descant_decoding`` in its config.json, as the embedded one does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

FIELD = "descant_decoding"


@dataclass(frozen=True, slots=True)
class DecodingPolicy:
    """The defaults are for checkpoints trained as OpenAI's were, on windows of 30 s with timestamps."""

    timestamps: bool = True
    """Write timestamps between the segments, as these checkpoints were mostly trained to. In windows as short as the speech
    they are what keeps the network from saying everything again to fill the window."""
    beams: int = 5
    draft_beams: int = 1
    """For windows whose text will be replaced."""
    length_power: float = 1.0
    """Texts compete by log probability over their tokens to this power."""
    trained_on_short_windows: bool = False
    """A short window is as good as a long one: only a text that was cut off is decoded a second time."""
    rest_s: float = 1.0
    """At least so much padding behind the audio: a network never saw speech end without a rest."""
    tokens_per_second: float = 50.0
    """Budget. Scripts that the vocabulary writes byte by byte take 30 to 40; English takes 4."""
    tokens_at_least: int = 40
    short_tokens_per_second: float = 8.0
    """Budget of drafts, and of the first reading of a window that is not of full length, in the languages of Latin script.
    A short window may be filled with copies of what was said, and audio cut off within a word is read over and over: with
    50 one draft in thirty took seconds."""
    short_tokens_at_least: int = 16
    stops_loops: bool = False
    """Cut a text off where a pattern begins to repeat without end. Stock checkpoints write what is said over and over;
    their endless loops are found by how well they compress."""
    start_over_s: float | None = None
    """Cut a text off where it reads again what lies this far behind. Stock checkpoints look back without harm."""
    no_speech_probability: float = 0.6
    no_speech_log_probability: float = -1.0
    """A text is dropped if the network thinks that nobody speaks and is not sure of the text either."""
    doubtful_log_probability: float = -0.33
    """A text of a short window with a lower mean is decoded again at full length: 9 % of Kokoro's sentences, 26 % in noise,
    three quarters of the single words in nine languages, whose errors then are those of faster-whisper."""
    doubtful_log_probability_live: float = -0.4
    """The same where somebody waits for the text. Of 16 live windows of people 6 were decoded twice with -0.33, 4 with -0.45,
    2 with -0.6, and the texts had the same errors; but one of six sentences that are said twice was written once with -0.6,
    and a Chinese sentence had one more character wrong with -0.45."""
    doubtful_compression_ratio: float = 2.4
    """A text whose bytes compress better is doubted: it says the same over and over."""
    doubtful_gap_s: float = 1.0
    """A text is doubted if so much loud audio follows its end."""


def decoding_policy(config: Mapping[str, Any], path: Path) -> DecodingPolicy:
    """From the content of config.json. Raises ValueError naming the file and the field that is unknown or of the wrong kind."""
    stated = config.get(FIELD, {})
    where = f"{path}: {FIELD}"
    known = {field.name: getattr(DecodingPolicy(), field.name) for field in fields(DecodingPolicy)}
    if not isinstance(stated, dict):
        raise ValueError(f"{where} must be an object")
    for name, value in stated.items():
        if name not in known:
            raise ValueError(f"{where} has no field {name}; fields: {', '.join(known)}")
        default = known[name]
        kinds = bool if isinstance(default, bool) else (int, float)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise ValueError(f"{where}.{name} must be {'true or false' if kinds is bool else 'a number'}")
    return DecodingPolicy(**stated)

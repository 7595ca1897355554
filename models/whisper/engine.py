"""What runs a Whisper network: the same five operations in torch and in CTranslate2, on tokens and features.

Which windows there are, what their tasks are and which texts are doubted is decided above (`models.whisper.model`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.whisper.decoding import DecodingTask

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The best text found for a window."""

    tokens: list[int]
    """Text and timestamps, those of the prefix included, without the end."""
    mean_log_probability: float
    """Over the tokens that were chosen and the end."""
    no_speech_probability: float
    truncated: bool
    """The budget or a guard ended the text before the network did."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the tokens of a text were read, [N] and the end after them."""

    starts: NDArray[np.int64]
    """Encoder positions, [N + 1]; they never go back."""
    probabilities: list[float]
    """Of each token after those before it, [N]."""


Encoded = TypeVar("Encoded")
"""What an engine keeps of encoded windows; opaque to all others."""


class Engine(Protocol[Encoded]):
    """A network on a device. Windows of a batch may be of different lengths and do not feel each other.

    Rows of a batch are named in rising order.
    """

    description: str
    """Engine and numbers: "torch float32"."""
    weight_bytes: int
    """What the weights take on the device."""
    parallel: int
    """How many threads may use it at the same time, each as fast as one alone."""

    def encode(self, mels: Sequence[Floats]) -> Encoded:
        """Log-mel windows, each [T, M] with its padding; T is even."""

    def detect_languages(self, encoded: Encoded, rows: Sequence[int]) -> list[str]:
        """The likeliest language of each of these windows."""

    def generate(self, encoded: Encoded, rows: Sequence[int], tasks: Sequence[DecodingTask], beams: int) -> list[Decoded]:
        """A text for each of these windows, by beam search; one beam is greedy decoding."""

    def states(self, encoded: Encoded, rows: Sequence[int]) -> list[Floats]:
        """What the encoder made of each of these windows, [T / 2, C], padding left out or not."""

    def align(
        self, encoded: Encoded, rows: Sequence[int], starts: Sequence[tuple[int, ...]], texts: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Alignment]:  # fmt: skip
        """When the tokens of these windows' texts were said, in the first so many encoder positions of each.

        ``starts`` are what the texts start from: <|startoftranscript|>, language and task. The texts hold no timestamps.
        """

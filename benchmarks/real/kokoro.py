"""Kokoro-82M as it is published, an int8 graph for ONNX Runtime, reading the phones of our own text front end.

A natural voice for measures only: how the server's own voices sound plays no part in it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soxr
from numpy.typing import NDArray

from models.phones import VOWELS
from models.speech import Phone
from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd

Floats = NDArray[np.float32]
MODEL_RATE_HZ = 24_000
RATE_HZ = 16_000
STYLES = 510
"""A voice pack holds a style for each length of the text in symbols."""
SEED = 7
"""Of the noise in the graph's source of voicing."""

LETTERS = {"aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "ɔɪ": "Y", "tʃ": "ʧ", "dʒ": "ʤ", "_": ""}
"""How the network's alphabet writes those of our phones that are other symbols there."""
STRESS_MARKS = {0: "", 1: "ˈ", 2: "ˌ"}


def letters_of(phones: Sequence[Phone]) -> str:
    """Phones of American English in Kokoro's alphabet: spaces between words, stress marks before vowels."""
    written = ""
    for phone in phones:
        if phone.starts_word and written:
            written += " "
        if phone.symbol in VOWELS:
            written += STRESS_MARKS[phone.stress]
        if phone.symbol == "ɚ":
            written += "ɜɹ" if phone.stress else "əɹ"
        else:
            written += LETTERS.get(phone.symbol, phone.symbol)
    return written


class KokoroVoice:
    """Says English sentences in any of the voices in ``folder`` (`benchmarks.real.packages.KOKORO`)."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: sums in one order, the same samples on every run.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        onnxruntime.set_seed(SEED)
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "kokoro-v1.0.int8.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        self._voices = folder / "voices"
        self._front_end = TextFrontEnd(("en",))

    def say(self, text: str, voice: str) -> Floats:
        """Samples [S] at 16 kHz. Raises ValueError for text that holds nothing to say or is too long for one piece."""
        stream = self._front_end.open(Controls())
        stream.push(text)
        phones = [phone for segment in stream.take(Take.END) for phone in segment.utterance.phones]
        tokens = [self._vocabulary[letter] for letter in letters_of(phones).strip()]
        if not 0 < len(tokens) < STYLES:
            raise ValueError(f"{text!r} is {len(tokens)} symbols long, not 1 to {STYLES - 1}")
        styles = np.fromfile(self._voices / f"{voice}.bin", np.float32).reshape(STYLES, 1, -1)
        (pcm,) = self._session.run(
            None, {"tokens": np.array([[0, *tokens, 0]]), "style": styles[len(tokens) - 1], "speed": np.ones(1, np.float32)}
        )
        resampled: Floats = soxr.resample(np.ravel(pcm).astype(np.float32), MODEL_RATE_HZ, RATE_HZ)
        return resampled

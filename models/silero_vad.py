"""Voice activity by Silero VAD v6 (github.com/snakers4/silero-vad, MIT) on onnxruntime.

The network hears 16 kHz audio in frames of 512 samples (32 ms), each with the
64 samples before it, and keeps an LSTM state of [2, B, 128].
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.audio import Pcm

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 512
CONTEXT_SAMPLES = 64
STATE_SIZE = 128
WEIGHTS = "data/silero_vad_16k_op15.onnx"
_RATE = np.array(SAMPLE_RATE_HZ, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _State:
    context: Pcm
    """[64], the end of the frame before."""
    lstm: NDArray[np.float32]
    """[2, 128]."""


def find_weights() -> Path:
    """The network's file in the installed silero-vad package, which is not imported (it would load torch).

    Raises FileNotFoundError that says what to install.
    """
    spec = importlib.util.find_spec("silero_vad")
    file = Path(next(iter(spec.submodule_search_locations))) / WEIGHTS if spec and spec.submodule_search_locations else None
    if file is None or not file.is_file():
        raise FileNotFoundError(
            f"voice activity detection needs {WEIGHTS} of the package silero-vad: pip install 'silero-vad>=6.2'"
        )
    return file


class SileroDetector:
    """A `SpeechDetector`. Sessions of onnxruntime are thread-safe; states belong to their streams."""

    sample_rate_hz = SAMPLE_RATE_HZ
    frame_samples = FRAME_SAMPLES

    def __init__(self, weights: Path | None = None) -> None:
        options = onnxruntime.SessionOptions()
        # One frame is 0.1 ms of work: a second thread only adds waiting.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            str(weights or find_weights()), options, providers=["CPUExecutionProvider"]
        )

    def init_state(self) -> object:
        return _State(np.zeros(CONTEXT_SAMPLES, np.float32), np.zeros((2, STATE_SIZE), np.float32))

    def step(self, frame: Pcm, state: object) -> tuple[float, object]:
        """One frame [512]; gives the probability of speech and the new state."""
        return self.step_batch([frame], [state])[0]

    def step_batch(self, frames: Sequence[Pcm], states: Sequence[object]) -> list[tuple[float, object]]:
        """One frame of each of B streams, as one batch."""
        known = [cast(_State, state) for state in states]
        rows = np.stack([np.concatenate([state.context, frame]) for state, frame in zip(known, frames, strict=True)])
        lstm = np.stack([state.lstm for state in known], axis=1)
        probabilities, after = self._session.run(None, {"input": rows, "state": lstm, "sr": _RATE})
        return [
            (float(probabilities[row, 0]), _State(rows[row, -CONTEXT_SAMPLES:], after[:, row])) for row in range(len(frames))
        ]

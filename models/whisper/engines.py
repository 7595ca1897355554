"""Which engine runs a checkpoint on a device."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.whisper.checkpoint import Checkpoint
from models.whisper.ctranslate2_engine import CTranslate2Engine
from models.whisper.decoding import DecodingTask
from models.whisper.engine import Engine
from models.whisper.torch_engine import TorchEngine

ENGINES = ("auto", "torch", "ctranslate2")
PROBE_S = 3
"""Seconds of audio that engines are compared by, and tokens as speech of that length has."""
PROBE_TOKENS = 12


def open_engine(name: str, folder: Path, checkpoint: Checkpoint, device: str) -> Engine[Any]:
    """Load a checkpoint into the engine of this name, or into the faster one for "auto".

    Raises ValueError for an unknown name, and what the engine raises.
    """
    if name not in ENGINES:
        raise ValueError(f"recognition engine {name!r} is not one of {', '.join(ENGINES)}")
    if name == "auto":
        name = min(ENGINES[1:], key=lambda candidate: probe_s(candidate, folder, checkpoint, device))
    return _open(name, folder, checkpoint, device)


def probe_s(name: str, folder: Path, checkpoint: Checkpoint, device: str) -> float:
    """Seconds that an engine takes for a few seconds of noise and a text of a fixed length."""
    rules = checkpoint.rules
    endless = replace(checkpoint, rules=replace(rules, suppressed=(*rules.suppressed, rules.end), stops_loops=False))
    engine = _open(name, folder, endless, device)
    frames = PROBE_S * checkpoint.features.frames_per_second
    mel = np.random.default_rng(0).standard_normal((frames, checkpoint.config.num_mel_bins)).astype(np.float32)
    task = DecodingTask((checkpoint.start, checkpoint.no_timestamps), 0, 0, PROBE_TOKENS)
    took_s = []
    for _ in range(3):  # the first sets things up
        started_s = time.perf_counter()
        engine.generate(engine.encode([mel]), [0], [task], checkpoint.policy.beams)
        took_s.append(time.perf_counter() - started_s)
    return min(took_s)


def _open(name: str, folder: Path, checkpoint: Checkpoint, device: str) -> Engine[Any]:
    if name == "torch":
        return TorchEngine(folder, checkpoint, device)
    return CTranslate2Engine(folder, checkpoint, device, "int8" if device == "cpu" else "float16")

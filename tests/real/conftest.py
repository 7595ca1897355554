"""What the checks with real weights share: the installed checkpoints, and every set read once by all readers."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from benchmarks.real.comparison import PEER, ReadClip, read_all
from benchmarks.real.installed import installed_model
from benchmarks.real.material import material, sha256_of
from benchmarks.real.packages import WHISPERS
from benchmarks.real.readers import PEER_BEAMS, Reader, Streamed, Whole, remembered_peer
from benchmarks.real.speech_sets import DEFAULT_HUMAN_FOLDER, SETS
from models.hearing import Recognizer
from models.registry import load_recognizer
from models.silero_vad import SileroDetector

RECORDINGS_VARIABLE = "DESCANT_REAL_RECORDINGS"
MAX_BATCH = 16
STREAMED = ("human", "kokoro", "languages", "twice")
"""Sets that are also read as a socket reads them; in noise and by telephone that takes time and shows no other fault."""
ReadSet = Callable[[str], list[ReadClip]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Ours has one core, faster-whisper the other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def recordings_folder() -> Path:
    return Path(os.environ.get(RECORDINGS_VARIABLE, DEFAULT_HUMAN_FOLDER))


@cache
def recognizer_of(model: str) -> Recognizer:
    """An installed checkpoint in the engine that is faster here."""
    return load_recognizer("whisper", "cpu", MAX_BATCH, installed_model(model))


@pytest.fixture(scope="session")
def whisper_base() -> Recognizer:
    return recognizer_of("whisper-base")


@pytest.fixture(scope="session")
def read_set(recordings_folder: Path) -> ReadSet:
    """Gives a set, by its name, as whisper-base read it. Skips the test where there are no recordings."""
    return cache(lambda name: read_with("whisper-base", name, recordings_folder))


def read_with(model: str, name: str, recordings_folder: Path) -> list[ReadClip]:
    """A set as a checkpoint read it in our engine, whole and perhaps streamed, and in faster-whisper."""
    try:
        clips = SETS[name](None, recordings_folder)
    except FileNotFoundError as error:
        pytest.skip(f"{error}; {RECORDINGS_VARIABLE} names another folder")
    published, recognizer, detector = material(WHISPERS[model]), recognizer_of(model), SileroDetector()
    weights = sha256_of(published / "model.bin")
    readers: dict[str, Reader] = {
        "whole": Whole(recognizer, detector),
        PEER: remembered_peer(published, weights, PEER_BEAMS, threads=1, detect=False, fresh=False),
    }
    if name in STREAMED:
        readers["streamed"] = Streamed(recognizer, detector, piece_s=0.1)
    return read_all(clips, readers)

"""The embedded checkpoint in other engines: CTranslate2 by its own converter, faster-whisper unmodified."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.whisper.decoding import DecodingTask, decode
from models.whisper.features import log_mel
from models.whisper.incremental import IncrementalDecoder
from models.whisper.model import EMBEDDED, WhisperRecognizer, load
from models.whisper.tokenizer import WhisperTokenizer
from tests.speech import say

SENTENCES = ("The shop was closed in the morning.", "How are you today, my friend?", "Nothing will be lost.")


@pytest.fixture(scope="module")
def speech() -> list[NDArray[np.float32]]:
    return say(SENTENCES)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Any:
    converters = pytest.importorskip("ctranslate2.converters")
    faster_whisper = pytest.importorskip("faster_whisper")
    folder: Path = tmp_path_factory.mktemp("ct2") / "model"
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converters.TransformersConverter(str(EMBEDDED), copy_files=copied).convert(str(folder))
    return faster_whisper.WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)


def padded(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features as faster-whisper gives them to a model: 60 s, log-mel 0.0 after the audio."""
    mel = np.zeros((3000, 80), np.float32)
    rows = log_mel(pcm)
    mel[: len(rows)] = rows
    return mel


def tokens_of(ears: WhisperRecognizer, tokenizer: WhisperTokenizer, mel: NDArray[np.float32], beams: int) -> list[int]:
    decoder = IncrementalDecoder(ears.reference().network.decoder)  # no watched heads: the other engine has no such guard
    start = (tokenizer.start, tokenizer.no_timestamps)
    states = ears.reference().network.encoder(torch.from_numpy(mel)[None])
    return decode(decoder, states, torch.tensor([1500]), [DecodingTask(start, 0, 0, 62)], ears.checkpoint.rules, beams)[
        0
    ].tokens


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("beams", [1, 4])
def test_tokens_are_the_same(beams: int, other: Any, speech: list[NDArray[np.float32]]) -> None:
    torch.set_num_threads(1)
    tokenizer = WhisperTokenizer(EMBEDDED / "tokenizer.json")
    ears = load("cpu", 4, engine="torch")
    start = [tokenizer.start, tokenizer.no_timestamps]
    lengths = []
    for pcm in speech:
        mel = padded(pcm)
        encoded = other.encode(mel.T.copy())
        power = ears.checkpoint.policy.length_power
        result = other.model.generate(
            encoded,
            [start],
            beam_size=beams,
            length_penalty=power,
            max_length=64,
            suppress_blank=False,
        )[0]
        states = ears.reference().network.encoder(torch.from_numpy(mel)[None])
        assert np.abs(np.array(encoded)[0] - states[0].numpy()).max() < 1e-3
        ours = tokens_of(ears, tokenizer, mel, beams)
        assert ours == [token for token in result.sequences_ids[0] if token != tokenizer.end]
        lengths.append(len(ours))
    assert min(lengths) > 0
    assert sum(lengths) > 12


@pytest.mark.filterwarnings("ignore")
def test_faster_whisper_transcribes(other: Any, speech: list[NDArray[np.float32]]) -> None:
    """Its whole path, with its own features, padding and loop, says what our decoder says of the same features.

    It pads the audio a little before, and leaves the last frame out: its windows end a frame or so away from ours.
    """
    tokenizer, ears = WhisperTokenizer(EMBEDDED / "tokenizer.json"), load("cpu", 4, engine="torch")
    for pcm in speech:
        segments, info = other.transcribe(pcm, beam_size=1, temperature=0.0, without_timestamps=True)
        theirs = " ".join(segment.text.strip() for segment in segments)
        mel = np.zeros((3000, 80), np.float32)
        rows = other.feature_extractor(pcm).T[:-1]
        mel[: len(rows)] = rows
        shared = min(len(rows), len(log_mel(pcm)))
        assert np.abs(rows[:shared] - log_mel(pcm)[:shared]).max() < 1e-2
        assert info.language == "en"
        assert len(theirs.split()) >= 3
        assert theirs == tokenizer.decode(tokens_of(ears, tokenizer, mel, 1)).strip()

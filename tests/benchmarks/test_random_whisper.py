"""The checkpoint without trained weights that shows what the ears' work costs."""

import numpy as np
import pytest
import torch

from benchmarks.random_whisper import SHAPES, write
from models.hearing import RecognitionWindow, Recognizer
from models.whisper.model import load
from models.whisper.network import Whisper

TOKENS = 9


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder = tmp_path_factory.mktemp("random") / "tiny"
    write(folder, "tiny", TOKENS)
    return load("cpu", 4, folder)


@pytest.mark.parametrize("seconds", [1, 4, 11])
def test_every_window_has_as_many_tokens_in_the_order_of_time(ears: Recognizer, seconds: int) -> None:
    """Whatever is heard, and without a guard that cuts it off or decodes it a second time."""
    pcm = 0.1 * np.random.default_rng(seconds).standard_normal(16_000 * seconds).astype(np.float32)
    heard = ears.step([RecognitionWindow(pcm, want_words=True)])[0]
    assert len(heard.words) == TOKENS
    assert not heard.truncated
    assert not heard.retried
    starts_s = [word.start_s for word in heard.words]
    assert starts_s == sorted(starts_s)
    said_s = [min(0.4 * place, seconds) for place in range(TOKENS)]
    assert np.abs(np.array(starts_s) - said_s).max() < 0.5
    prefix = "".join(word.word for word in heard.words[:4])
    assert ears.step([RecognitionWindow(pcm, prefix=prefix)])[0].text == heard.text


@pytest.mark.parametrize(("name", "millions"), [("large-v3-turbo", 809), ("tiny", 37.8)])
def test_shapes_are_as_large_as_those_that_were_published(name: str, millions: float) -> None:
    with torch.device("meta"):
        network = Whisper(SHAPES[name])
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.005)

"""Our Kokoro against the published package's own network on random weights of the published size."""

import importlib
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from benchmarks.peers_voice import KOKORO
from benchmarks.real.material import material
from benchmarks.real.packages import KOKORO_REFERENCE
from models.kokoro.config import KokoroConfig
from models.kokoro.conversion.names import misfits, ours
from models.kokoro.network import Kokoro, noise_shape
from models.kokoro.rows import Rows
from models.kokoro.vocoder import HARMONICS
from tests.models.kokoro_networks import liven, tokens_of

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
LENGTHS = (23, 9, 14)
SPEED = 8.0
"""Random weights make all phones 25 frames long; so much is not needed."""
CLOSE = 1e-4
Spoken = list[dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    """The package without what it imports for text."""
    package = types.ModuleType("kokoro")
    package.__path__ = [str(material(KOKORO_REFERENCE) / "kokoro")]
    sys.modules["kokoro"] = package
    try:
        network = importlib.import_module("kokoro.model")
        torch.manual_seed(3)
        with tempfile.NamedTemporaryFile(suffix=".pth") as file, warnings.catch_warnings(action="ignore"):
            torch.save({}, file.name)  # no weights: what the constructors drew stays
            model = network.KModel(repo_id="random", config=KOKORO, model=file.name).eval()
        liven(model.state_dict())
        decide_start(model.decoder.generator.stft)
        yield model
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "kokoro"]:
            del sys.modules[name]


def decide_start(stft: Any) -> None:
    """At the start of an utterance the spectrum is real, and rounding decides whether a phase is pi or -pi: take pi."""
    transform = stft.transform

    def decided(pcm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        magnitudes, phases = transform(pcm)
        phases[:, :, 0] = torch.pi * (phases[:, :, 0].abs() > 1)
        return magnitudes, phases

    stft.transform = decided


@pytest.fixture(scope="module")
def network(reference: Any) -> Kokoro:
    """With the same weights, by way of the importer's own table of names."""
    config = KokoroConfig.of(KOKORO)
    mine = Kokoro(config).eval()
    tensors = ours(reference.state_dict(), len(config.istftnet.resblock_kernel_sizes))
    assert misfits(mine.state_dict(), tensors) == ""
    mine.load_state_dict(tensors)
    return mine


@pytest.fixture(scope="module")
def spoken(reference: Any) -> Spoken:
    """What the reference says, one row after the other, with what it drew and found on the way."""
    tokens, styles = tokens_of(LENGTHS), torch.randn(len(LENGTHS), 256)
    rows = []
    for number, length in enumerate(LENGTHS):
        row = {"tokens": tokens[number, :length], "style": styles[number]}
        handles = [
            reference.decoder.register_forward_pre_hook(lambda module, given, row=row: row.update(pitch=given[1][0])),
            reference.bert.register_forward_hook(lambda module, given, out, row=row: row.update(read=out[0])),
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "randn_like", noting(row))
            heard = reference.forward_with_tokens(tokens[number, None, :length], styles[number][None], SPEED)
        row["pcm"], row["frames"] = heard
        for handle in handles:
            handle.remove()
        rows.append(row)
    return rows


def noting(row: dict[str, torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """`torch.randn_like` that remembers the source's noise."""
    drawn = torch.randn_like

    def noise(like: torch.Tensor) -> torch.Tensor:
        numbers = drawn(like)
        if like.shape[-1] == HARMONICS:
            row["noise"] = numbers[0]
        return numbers

    return noise


@pytest.mark.parametrize("order", [(0,), (1,), (2,), (0, 1, 2), (2, 0, 1), (1, 1)])
@torch.inference_mode()
def test_every_stage_equals_the_reference(network: Kokoro, spoken: Spoken, order: tuple[int, ...]) -> None:
    rows = [spoken[number] for number in order]
    lengths = tuple(len(row["tokens"]) for row in rows)
    tokens = torch.nn.utils.rnn.pad_sequence([row["tokens"] for row in rows], batch_first=True)
    style = torch.stack([row["style"] for row in rows])
    read = network.reader(tokens, Rows.of(lengths, "cpu"))
    encoding = network.encode(tokens, lengths, style)
    frames = tuple(tuple(row["frames"].tolist()) for row in rows)
    found = (encoding.durations_frames / SPEED).round().clamp_min(1).long()
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        torch.testing.assert_close(read[number, :length], row["read"], atol=CLOSE, rtol=0)
        assert tuple(found[number, :length].tolist()) == frames[number]
    melody = network.melody(encoding, frames, style)
    for number, row in enumerate(rows):
        pitch_hz = melody.pitch_hz[number, : len(row["pitch"])]
        assert float(row["pitch"].std()) > 1.0
        torch.testing.assert_close(pitch_hz, row["pitch"], atol=1e-2, rtol=0)
    noise = torch.zeros(len(rows), *noise_shape(melody.rows.longest))
    for number, row in enumerate(rows):
        noise[number, : len(row["noise"])] = row["noise"]
        # An ulp of pitch moves phases, so the waveform is compared with the reference's pitch.
        melody.pitch_hz[number, : len(row["pitch"])] = row["pitch"]
    pcm = network.sound(melody, style, noise)
    for number, row in enumerate(rows):
        assert float(row["pcm"].abs().max()) > 0.1
        torch.testing.assert_close(pcm[number, : len(row["pcm"])], row["pcm"], atol=CLOSE, rtol=0)

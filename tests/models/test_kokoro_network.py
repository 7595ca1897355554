"""The network by itself: rows that do not feel each other, and parts against independent ones. Equality with the published
network is tests/real/test_kokoro_reference.py."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from models.importing import UnusableSource
from models.kokoro.albert import Albert
from models.kokoro.config import AlbertConfig, KokoroConfig, VocoderConfig
from models.kokoro.conversion.names import folded, misfits, ours, renamed
from models.kokoro.network import Kokoro, noise_shape
from models.kokoro.rows import BothWays, Rows, StyledNorm
from models.kokoro.vocoder import HARMONICS, Source, Spectra
from tests.models.kokoro_networks import TINY, speak, tiny_network, tokens_of

LENGTHS = (9, 4, 17, 3)


@dataclass(frozen=True)
class Alone:
    """Each row as the network says it by itself."""

    network: Kokoro
    tokens: Tensor
    style: Tensor
    noises: list[Tensor]
    pcm: list[Tensor]
    pitches: list[Tensor]


@pytest.fixture(scope="module")
def alone() -> Alone:
    network = tiny_network()
    tokens, style = tokens_of(LENGTHS), torch.randn(len(LENGTHS), 2 * TINY.style_dim)
    noises = [torch.randn(noise_shape(17 * TINY.max_dur)) for _ in LENGTHS]
    spoken = [
        speak(network, tokens[row, None, :length], (length,), style[row, None], [noises[row]])
        for row, length in enumerate(LENGTHS)
    ]
    return Alone(network, tokens, style, noises, [pcm[0] for pcm, _ in spoken], [pitches[0] for _, pitches in spoken])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (1, 1, 1), (2, 3)])
def test_a_row_does_not_feel_its_neighbours(alone: Alone, order: tuple[int, ...]) -> None:
    lengths, rows = tuple(LENGTHS[row] for row in order), list(order)
    given = alone.tokens[rows, : max(lengths)], lengths, alone.style[rows]
    noises, pitches = [alone.noises[row] for row in rows], [alone.pitches[row] for row in rows]
    together, found = speak(alone.network, *given, noises, pitches)
    for row, pcm, pitch_hz in zip(rows, together, found, strict=True):
        torch.testing.assert_close(pitch_hz, alone.pitches[row], atol=1e-3, rtol=0)
        torch.testing.assert_close(pcm, alone.pcm[row], atol=1e-3 * float(alone.pcm[row].std()), rtol=0)


def test_speech_is_voiced_and_finite(alone: Alone) -> None:
    for pcm, pitch_hz in zip(alone.pcm, alone.pitches, strict=True):
        assert torch.isfinite(pcm).all()
        assert pcm.std() > 1e-3
        assert 50 < pitch_hz.mean() < 300


def test_style_and_noise_are_heard(alone: Alone) -> None:
    given = alone.tokens[:1, : LENGTHS[0]], LENGTHS[:1]
    assert torch.equal(speak(alone.network, *given, alone.style[:1], alone.noises[:1])[0][0], alone.pcm[0])
    half = TINY.style_dim
    for part in (slice(0, half), slice(half, None)):
        changed = alone.style[:1].clone()
        changed[:, part] += 1.0
        other = speak(alone.network, *given, changed, alone.noises[:1])[0][0]
        assert other.shape != alone.pcm[0].shape or not torch.allclose(other, alone.pcm[0], atol=1e-3)
    assert not torch.equal(speak(alone.network, *given, alone.style[:1], alone.noises[1:2])[0][0], alone.pcm[0])


def test_the_reader_equals_albert() -> None:
    from transformers import AlbertConfig as TheirConfig
    from transformers import AlbertModel

    config = AlbertConfig(32, 12, 4, 40, 64, 3)
    torch.manual_seed(0)
    sizes = {name: getattr(config, name) for name in AlbertConfig.__dataclass_fields__}
    theirs: Any = AlbertModel(TheirConfig(vocab_size=30, **sizes))
    theirs.train(False)
    mine = Albert(30, config).eval()
    state = ours({f"bert.{name}": tensor for name, tensor in theirs.state_dict().items()}, branches=1)
    mine.load_state_dict({name.removeprefix("reader."): tensor for name, tensor in state.items()})
    tokens, lengths = tokens_of((11, 6), 30), (11, 6)
    mask = torch.tensor([[1] * 11, [1] * 6 + [0] * 5])
    with torch.inference_mode():
        wanted = theirs(tokens, attention_mask=mask).last_hidden_state
        found = mine(tokens, Rows.of(lengths, "cpu"))
    for row, length in enumerate(lengths):
        torch.testing.assert_close(found[row, :length], wanted[row, :length], atol=1e-5, rtol=0)


def test_masked_norms_count_real_frames_only() -> None:
    norm, style = StyledNorm(3, 5), torch.randn(2, 3)
    x = torch.randn(2, 5, 9)
    padded = norm(x, style, Rows.of((9, 4), "cpu"))
    for row, length in enumerate((9, 4)):
        alone = norm(x[row : row + 1, :, :length], style[row : row + 1], Rows.of((length,), "cpu"))
        torch.testing.assert_close(padded[row : row + 1, :, :length], alone, atol=1e-5, rtol=0)


def test_recurrences_begin_backwards_at_the_end_of_the_row() -> None:
    recurrence, x = BothWays(4, 6), torch.randn(3, 8, 4)
    padded = recurrence.over(x, Rows.of((3, 8, 1), "cpu"))
    for row, length in enumerate((3, 8, 1)):
        alone = recurrence.over(x[row : row + 1, :length], Rows.of((length,), "cpu"))
        torch.testing.assert_close(padded[row : row + 1, :length], alone)
        assert not padded[row, length:].any()


def test_spectra_are_those_of_torch() -> None:
    spectra, pcm = Spectra(VocoderConfig()), torch.randn(2, 600)
    wanted = torch.stft(pcm, 20, 5, 20, torch.hann_window(20), return_complex=True)
    found, rows = spectra.analyse(pcm, Rows.of((600, 600), "cpu"))
    assert rows.lengths == (121, 121)
    torch.testing.assert_close(found[:, :11], wanted.abs())
    torch.testing.assert_close(found[:, 11:, 1:], wanted.angle()[:, :, 1:])
    torch.testing.assert_close(found[:, 11:, 0], torch.pi * (wanted.real[:, :, 0] < 0))
    torch.testing.assert_close(wanted.imag[:, :, 0], torch.zeros(2, 11), atol=1e-5, rtol=0)
    magnitudes, phases = torch.rand(2, 11, 121), torch.randn(2, 11, 121)
    back = torch.istft(magnitudes * torch.exp(1j * phases), 20, 5, 20, torch.hann_window(20))
    torch.testing.assert_close(spectra.synthesise(magnitudes, phases, rows), back, atol=1e-5, rtol=0)


def test_the_source_hums_at_its_pitch() -> None:
    source = Source(VocoderConfig())
    with torch.no_grad():
        source.mix.weight.copy_(F.one_hot(torch.tensor([0]), HARMONICS))
        source.mix.bias.zero_()
    pitch_hz = torch.full((1, 80), 200.0)
    pcm = source(pitch_hz, torch.zeros(1, 24_000, HARMONICS), Rows.of((80,), "cpu"))[0]
    spectrum = torch.fft.rfft(pcm).abs()
    assert int(spectrum.argmax()) == 200
    silent = source(torch.zeros(1, 80), torch.zeros(1, 24_000, HARMONICS), Rows.of((80,), "cpu"))
    assert not silent.any()


def test_weight_norm_is_folded_as_torch_does() -> None:
    conv = torch.nn.Conv1d(3, 4, 5)
    with torch.no_grad():
        weight_norm(conv).parametrizations.weight.original0.mul_(1.5)
        wanted = conv.weight.clone()
        new = {f"c.{name}": tensor for name, tensor in conv.state_dict().items()}
        names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        old = {f"c.{names.get(name, name)}": tensor for name, tensor in conv.state_dict().items()}
        for state in (new, old):
            torch.testing.assert_close(folded(state)["c.weight"], wanted)
    with pytest.raises(UnusableSource, match=r"c\.weight_v has no weight_g"):
        folded({"c.weight_v": wanted})
    with pytest.raises(UnusableSource, match=r"c\.weight_g has no weight_v"):
        folded({"c.weight_g": wanted})


def test_published_names() -> None:
    assert renamed("decoder.generator.resblocks.4.adain2.1.fc.weight", 3) == "vocoder.blocks.1.1.norms2.1.fc.weight"
    assert renamed("predictor.text_encoder.lstms.3.fc.bias", 3) == "predictor.encoder.norms.1.fc.bias"
    assert renamed("predictor.text_encoder.lstms.4.weight_hh_l0", 3) == "predictor.encoder.recurrences.2.weight_hh_l0"
    assert renamed("predictor.F0.1.conv1x1.weight", 3) == "predictor.pitch.blocks.1.shortcut.weight"
    assert renamed("decoder.decode.3.pool.bias", 3) == "decoder.decode.3.pool.bias"


def test_a_scaled_norm_is_another_network() -> None:
    plain = {"decoder.encode.norm1.norm.weight": torch.ones(4), "decoder.encode.norm1.norm.bias": torch.zeros(4)}
    assert ours(plain, 3) == {}
    with pytest.raises(UnusableSource, match=r"norm1\.norm\.weight scales a norm"):
        ours({"decoder.encode.norm1.norm.weight": torch.full((4,), 2.0)}, 3)


def test_what_does_not_fit_is_named() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(3)}
    assert misfits(wanted, {"a": torch.ones(2), "b": torch.ones(3)}) == ""
    assert misfits(wanted, {"a": torch.ones(1), "c": torch.ones(1)}) == (
        "missing b, unknown c, a has the shape [1] instead of [2]"
    )


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = Kokoro(KokoroConfig())
    assert 81_000_000 < sum(tensor.numel() for tensor in network.parameters()) < 81_300_000
    read = KokoroConfig.of({"n_token": 178, "istftnet": {"upsample_rates": [10, 6]}, "plbert": {"num_hidden_layers": 12}})
    assert read == KokoroConfig()
    with pytest.raises(ValueError, match="150 samples of a step"):
        KokoroConfig.of({"istftnet": {"upsample_rates": [10, 3]}})

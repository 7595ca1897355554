import numpy as np
import pytest
import torch

from models.whisper.config import WhisperConfig, read_config
from models.whisper.incremental import IncrementalDecoder
from models.whisper.network import source_mask
from models.whisper.word_times import attention_weights
from tests.models.whisper_checkpoints import random_network, small_config, write_random_checkpoint

TOKENS = torch.tensor([[801, 808, 5, 300, 44, 17], [801, 808, 9, 9, 250, 3]])


@pytest.fixture
def mel() -> torch.Tensor:
    return torch.randn(2, 200, 80, generator=torch.Generator().manual_seed(3))


def test_logits_equal_those_of_transformers(mel: torch.Tensor, tmp_path) -> None:  # type: ignore[no-untyped-def]
    transformers = pytest.importorskip("transformers")
    network = random_network()
    write_random_checkpoint(tmp_path)
    reference = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path, attn_implementation="eager")
    reference.eval()
    padded = torch.zeros(2, 80, 3000)
    padded[:, :, :200] = mel.transpose(1, 2)
    with torch.inference_mode():
        expected = reference(input_features=padded, decoder_input_ids=TOKENS).logits
        states = network.encoder(padded.transpose(1, 2))
        logits = network.decoder(TOKENS, states)
    assert torch.allclose(logits, expected, atol=1e-4)


def test_steps_equal_all_positions_at_once(mel: torch.Tensor) -> None:
    network = random_network()
    states = network.encoder(mel)
    expected = network.decoder(TOKENS, states)
    decoder = IncrementalDecoder(network.decoder)
    state = decoder.init_state(states, None)
    parts = [decoder.step(part, state) for part in torch.split(TOKENS, [3, 1, 2], dim=1)]
    assert torch.allclose(decoder.logits(torch.cat(parts, dim=1)), expected, atol=1e-4)
    assert torch.allclose(network.decoder(TOKENS, states), expected, atol=1e-6), "joined weights are still the network's"


def test_rows_of_other_lengths_and_several_texts_of_a_window_step_together(mel: torch.Tensor) -> None:
    """A start that is padded on the left, then two texts for the second window alone: as if each were by itself."""
    network = random_network()
    frames = torch.tensor([100, 200])
    states, mask = network.encoder(mel, frames), source_mask(frames // 2, 100)
    decoder = IncrementalDecoder(network.decoder, [(1, 0)])
    state = decoder.init_state(states, mask, pads=torch.tensor([0, 2]))
    start = torch.cat([torch.tensor([[1, 1]]), TOKENS[1:, :4]], dim=1)
    both = decoder.logits(decoder.step(torch.cat([TOKENS[:1], start]), state))
    alone = [network.decoder(TOKENS[:1], states[:1], mask[:1]), network.decoder(TOKENS[1:, :4], states[1:], mask[1:])]
    assert torch.allclose(both[0], alone[0][0], atol=1e-4)
    assert torch.allclose(both[1, 2:], alone[1][0], atol=1e-4)
    state.select([1, 1], windows=[1])
    following = decoder.logits(decoder.step(torch.tensor([[44], [71]]), state))[:, -1]
    texts = torch.cat([TOKENS[1:, :4].expand(2, -1), torch.tensor([[44], [71]])], dim=1)
    expected = network.decoder(texts, states[1:].expand(2, -1, -1), mask[1:])[:, -1]
    assert torch.allclose(following, expected, atol=1e-4)
    looks = attention_weights(network.decoder, texts, states[1:].expand(2, -1, -1), frames[1:].expand(2) // 2, [(1, 0)])
    assert state.looked_at == looks[:, 0, -1].argmax(-1).tolist()


def test_a_row_of_the_encoder_does_not_depend_on_its_neighbours(mel: torch.Tensor) -> None:
    network = random_network()
    alone = network.encoder(mel[:1, :100], torch.tensor([100]))
    disturbed = mel.clone()
    disturbed[0, 100:] = 7.0
    batched = network.encoder(disturbed, torch.tensor([100, 200]))
    assert torch.allclose(batched[0, :50], alone[0], atol=1e-5)
    assert not torch.allclose(network.encoder(disturbed)[0, :50], alone[0], atol=1e-2), "the mask changes nothing"


def test_attention_weights_are_those_the_decoder_uses(mel: torch.Tensor) -> None:
    network = random_network()
    frames = torch.tensor([100, 200])
    states = network.encoder(mel, frames)
    weights = attention_weights(network.decoder, TOKENS, states, frames // 2, [(1, 0), (0, 3)])
    assert weights.shape == (2, 2, 6, 100)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 6), atol=1e-5)
    assert float(weights[0, :, :, 50:].abs().max()) == 0.0


def test_source_mask_counts_positions() -> None:
    assert source_mask(torch.tensor([1, 3]), 3)[:, 0, 0].tolist() == [[True, False, False], [True, True, True]]


def test_config_refuses_what_does_not_divide() -> None:
    values = {name: getattr(small_config(), name) for name in WhisperConfig.__slots__}
    with pytest.raises(ValueError, match="do not divide d_model"):
        WhisperConfig(**{**values, "encoder_attention_heads": 3})
    with pytest.raises(ValueError, match="vocab_size must be positive"):
        WhisperConfig(**{**values, "vocab_size": 0})


def test_config_file_names_the_wrong_field(tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_random_checkpoint(tmp_path)
    assert read_config(tmp_path) == small_config()
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"d_model": 64', '"d_model": "64"'))
    with pytest.raises(ValueError, match="d_model"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(text.replace('"whisper"', '"bert"'))
    with pytest.raises(ValueError, match="model_type"):
        read_config(tmp_path)
    assert np.isfinite(small_config().max_mel_frames)

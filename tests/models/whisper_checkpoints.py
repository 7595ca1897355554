"""Whisper checkpoints with random weights for the tests."""

from pathlib import Path

import torch

from models.whisper.config import WhisperConfig
from models.whisper.model import EMBEDDED
from models.whisper.network import Whisper
from models.whisper.tokenizer import WhisperTokenizer
from training.ears.export import write_checkpoint

TOKENIZER_PATH = EMBEDDED / "tokenizer.json"


def small_config() -> WhisperConfig:
    end = WhisperTokenizer(TOKENIZER_PATH).end
    return WhisperConfig(
        vocab_size=end + 9 + 1501, num_mel_bins=80, d_model=64,
        encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=128,
        decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=128,
        max_source_positions=1500, max_target_positions=448,
    )  # fmt: skip


def random_network(seed: int = 0, sharpness: float = 1.0) -> Whisper:
    """``sharpness`` above 1 makes choices depend on the audio, as in a trained network."""
    torch.manual_seed(seed)
    network = Whisper(small_config()).eval().requires_grad_(False)
    for parameter in network.decoder.parameters():
        if parameter.ndim > 1:
            parameter.mul_(sharpness)
    return network


def write_random_checkpoint(folder: Path, seed: int = 0, sharpness: float = 1.0) -> Path:
    network = random_network(seed, sharpness)
    heads = [[1, 0], [1, 1]]
    write_checkpoint(network.state_dict(), network.config, TOKENIZER_PATH, folder, heads, torch.float32)
    return folder

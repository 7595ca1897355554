"""What is trained: the network with a head for phones, and its losses."""

import math

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from models.whisper.config import WhisperConfig
from models.whisper.network import Attention, DecoderLayer, EncoderLayer, Whisper
from training.ears.batches import ALL_PHONES, FLITE_PHONES, IGNORED, Batch
from training.ears.tokenizer import TIMESTAMPS

LABEL_SMOOTHING = 0.05


def make_config(tokenizer: Tokenizer, channels: int, encoder_layers: int, decoder_layers: int) -> WhisperConfig:
    return WhisperConfig(
        vocab_size=tokenizer.get_vocab_size() + TIMESTAMPS,
        num_mel_bins=80,
        d_model=channels,
        encoder_layers=encoder_layers,
        encoder_attention_heads=channels // 64,
        encoder_ffn_dim=4 * channels,
        decoder_layers=decoder_layers,
        decoder_attention_heads=channels // 64,
        decoder_ffn_dim=4 * channels,
        max_source_positions=1500,
        max_target_positions=448,
    )


def init_weights(network: Whisper) -> None:
    """Fan-in scaled linear layers; what is added to the residual stream starts smaller with depth."""
    depth = 2 * network.config.encoder_layers
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.8 / math.sqrt(module.in_features))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, (EncoderLayer, DecoderLayer)):
            module.fc2.weight.data /= math.sqrt(depth)
        elif isinstance(module, Attention):
            module.out_proj.weight.data /= math.sqrt(depth)
    nn.init.normal_(network.decoder.embed_tokens.weight, std=0.05)
    nn.init.normal_(network.decoder.embed_positions.weight, std=0.02)


def plain_attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
    """Two products and a softmax: the backward pass of torch's fused attention takes 27 % of a step on CPUs, this 12 %."""
    assert mask is None
    scores = query @ keys.transpose(2, 3) * query.shape[-1] ** -0.5
    if is_causal:
        length = scores.shape[-1]
        scores = scores + torch.full((length, length), -1e4, dtype=scores.dtype).triu(1)
    result: Tensor = scores.softmax(-1) @ values
    return result


class Learner(nn.Module):
    """The network and the phone classifier that only training has."""

    def __init__(self, config: WhisperConfig, device: str = "cpu") -> None:
        super().__init__()
        self.network = Whisper(config)
        if device == "cpu":
            for module in self.network.modules():
                if isinstance(module, Attention):
                    module.product = plain_attention
        init_weights(self.network)
        self.phone_head = nn.Linear(config.d_model, ALL_PHONES)
        self.to(device)

    def forward(self, batch: Batch, text_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
        """Text loss, phone loss and the share of text tokens that are right."""
        device = self.phone_head.weight.device
        arrays = (batch.mel, batch.inputs, batch.targets, batch.phones)
        mel, inputs, targets, phones = (torch.from_numpy(array).to(device, non_blocking=True) for array in arrays)
        states = self.network.encoder(mel)
        logits = self.network.decoder(inputs, states)
        targets = targets.flatten()
        chosen = targets != IGNORED
        log_probabilities = logits.flatten(0, 1)[chosen].float().log_softmax(-1)
        targets = targets[chosen]
        nll = -log_probabilities.gather(1, targets[:, None]).mean()
        smooth = -log_probabilities[:, :text_tokens].mean()
        text_loss = (1 - LABEL_SMOOTHING) * nll + LABEL_SMOOTHING * smooth
        accuracy = (log_probabilities.argmax(-1) == targets).float().mean()
        return text_loss, self._phone_loss(states, phones.flatten()), accuracy

    def _phone_loss(self, states: Tensor, labels: Tensor) -> Tensor:
        """Each engine's frames compete among that engine's phones only."""
        logits = self.phone_head(states).flatten(0, 1).float()
        total = logits.new_zeros(())
        frames = max(int((labels >= 0).sum()), 1)
        for low, high in ((0, FLITE_PHONES), (FLITE_PHONES, ALL_PHONES)):
            rows = torch.nonzero((labels >= low) & (labels < high))[:, 0]
            if len(rows):
                total = total + F.cross_entropy(logits[rows, low:high], labels[rows] - low, reduction="sum")
        mean: Tensor = total / frames
        return mean

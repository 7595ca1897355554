"""A small Kokoro network with lively random weights, in our names and in the published ones."""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.kokoro.config import AlbertConfig, KokoroConfig, VocoderConfig
from models.kokoro.network import Kokoro, noise_shape

TINY = KokoroConfig(
    hidden_dim=16,
    style_dim=8,
    n_layer=2,
    max_dur=6,
    decoder_channels=24,
    side_channels=4,
    plbert=AlbertConfig(32, 12, 4, 40, 64, 2),
    istftnet=VocoderConfig(upsample_initial_channel=32, resblock_kernel_sizes=(3, 5), resblock_dilation_sizes=((1, 3), (1, 2))),
)


def tiny_network(seed: int = 0, config: KokoroConfig = TINY) -> Kokoro:
    """In evaluation mode, its pitch around 150 Hz so that its source is voiced."""
    torch.manual_seed(seed)
    network = Kokoro(config).eval()
    liven(network.state_dict())
    return network


def liven(tensors: Mapping[str, Tensor]) -> None:
    """In place: activations that bend, and a pitch that moves around 150 Hz. For either kind of names."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            if ".alpha" in name:
                tensor.uniform_(0.5, 2)
            elif name.endswith(("pitch.out.bias", "F0_proj.bias")):
                tensor.fill_(150.0)
            elif name.endswith(("pitch.out.weight", "F0_proj.weight")):
                tensor.mul_(100.0)


def tokens_of(lengths: tuple[int, ...], vocabulary: int = 178) -> Tensor:
    """[B, P]: random, 0 at both ends of each row and past it."""
    tokens = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    for row, length in enumerate(lengths):
        tokens[row, 1 : length - 1] = torch.randint(1, vocabulary, (length - 2,))
    return tokens


def speak(
    network: Kokoro,
    tokens: Tensor,
    lengths: tuple[int, ...],
    style: Tensor,
    noises: list[Tensor],
    pitches: list[Tensor] | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """The samples [S] and the pitch [2T] of each row, spoken as one batch at the predicted lengths.

    ``noises`` has more than enough for each row. ``pitches`` are taken for the predicted ones: an ulp of pitch moves phases.
    """
    with torch.inference_mode():
        encoding = network.encode(tokens, lengths, style)
        rounded = encoding.durations_frames.round().clamp_min(1).long().tolist()
        frames = tuple(tuple(row[:length]) for row, length in zip(rounded, lengths, strict=True))
        melody = network.melody(encoding, frames, style)
        found = [melody.pitch_hz[row, : 2 * sum(of_row)].clone() for row, of_row in enumerate(frames)]
        noise = torch.zeros(len(lengths), *noise_shape(melody.rows.longest))
        samples = [noise_shape(sum(of_row))[0] for of_row in frames]
        for row, count in enumerate(samples):
            noise[row, :count] = noises[row][:count]
            if pitches is not None:
                melody.pitch_hz[row, : len(found[row])] = pitches[row]
        pcm = network.sound(melody, style, noise)
    for row, count in enumerate(samples):
        assert not pcm[row, count:].any()
    return [pcm[row, :count] for row, count in enumerate(samples)], found

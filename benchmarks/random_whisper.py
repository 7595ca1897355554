"""A Whisper checkpoint of a published size without its weights, to measure what its work costs.

    python -m benchmarks.random_whisper FOLDER [--shape large-v3-turbo] [--tokens 24]

The work of a network per window does not depend on the values in it; how many tokens a text has, and which guards step in,
does. So the weights are random but for this: each position of the decoder names the token that comes next, so many words and
then the end, and looks at the moment where a speaker of 2.5 words per second would say it. Every window then has the same
number of tokens, with times in order. It hears nothing: what is said has no influence on the text.
"""

import argparse
import math
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers import models as tokenizer_models
from torch import Tensor

from models.whisper.config import WhisperConfig
from models.whisper.features import FeatureSettings
from models.whisper.network import Whisper, sinusoids
from training.ears.export import write_checkpoint
from training.ears.tokenizer import SPECIAL_TOKENS, token_id

SHAPES = {
    "large-v3-turbo": WhisperConfig(51866, 128, 1280, 32, 20, 5120, 4, 20, 5120, 1500, 448),
    "tiny": WhisperConfig(51864, 80, 384, 4, 6, 1536, 4, 6, 1536, 1500, 448),
}
"""As their config.json say (MIT, OpenAI)."""
TEXT_TOKENS = 50_257
POSITIONS_PER_S = 50
WORD_S = 0.4
SMALL = 1e-3
"""Of what a layer adds: nothing that changes a choice, but no zeros, which a card multiplies with less power."""
SPREAD = 0.05
SHARPNESS = 800.0
"""Of the head that looks at when words are said."""


def write_tokenizer(path: Path) -> Tokenizer:
    """One token for each word of four letters, " aaaa" to " aaab" and on; special tokens behind them as in the embedded one."""
    words = ("".join(letters) for letters in product(ascii_lowercase, repeat=4))
    tokenizer = Tokenizer(
        tokenizer_models.WordLevel({f"Ġ{word}": i for i, word in enumerate(islice(words, TEXT_TOKENS))}, unk_token="Ġaaaa")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    tokenizer.save(str(path))
    return tokenizer


def make_weights(config: WhisperConfig, end: int, tokens: int, head: tuple[int, int]) -> dict[str, Tensor]:
    """``end`` is the end token; ``head`` (layer, head) of the decoder looks at when words are said."""
    torch.manual_seed(0)
    network = Whisper(config).requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith(("out_proj.weight", "fc2.weight", "conv2.weight")):
            parameter.mul_(SMALL)
    decoder, clock = network.decoder, sinusoids(config.max_source_positions, config.d_model)
    waves, weights = _waves(config)
    meanings = torch.randn(config.vocab_size, config.d_model)
    meanings[:, waves] = 0.0
    decoder.embed_tokens.weight.copy_(SPREAD * meanings)
    places = torch.arange(config.max_target_positions)
    following = torch.where(places <= tokens, places, torch.tensor(end))
    moments = ((places - 1).clamp_min(0) * WORD_S * POSITIONS_PER_S).long().clamp_max(len(clock) - 1)
    decoder.embed_positions.weight.copy_(clock[moments] + meanings[following])
    attention = [*decoder.each_layer()][head[0]].encoder_attn
    for projection in (attention.q_proj, attention.k_proj):
        rows = projection.weight[head[1] * len(waves) : (head[1] + 1) * len(waves)]
        rows.zero_()
        rows[torch.arange(len(waves)), waves] = weights.sqrt()
    return network.state_dict()


def _waves(config: WhisperConfig) -> tuple[Tensor, Tensor]:
    """Channels of `sinusoids` for one head, and their weights: the product of two moments falls all the way with the time
    between them, as periods of 60 to 3000 positions do together that weigh as much as they are long."""
    half, count = config.d_model // 2, config.d_model // config.decoder_attention_heads // 2
    periods = torch.logspace(math.log10(60), math.log10(3000), count)
    chosen = ((periods / (2 * math.pi)).log() / math.log(10_000) * (half - 1)).long()
    weights = SHARPNESS * periods / periods.sum()
    return torch.cat([chosen, chosen + half]), weights.repeat(2)


def write(folder: Path, shape: str, tokens: int) -> None:
    """A folder for `descant models import`."""
    config = SHAPES[shape]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "random-tokenizer.json"
    tokenizer = write_tokenizer(path)
    head = (config.decoder_layers - 1, 0)
    weights = make_weights(config, token_id(tokenizer, "<|endoftext|>"), tokens, head)
    features = FeatureSettings(hop_samples=160, fft_samples=400, mel_bands=config.num_mel_bins)
    write_checkpoint(weights, config, path, folder, [list(head)], features=features)
    path.unlink()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="large-v3-turbo")
    parser.add_argument("--tokens", type=int, default=24, help="of each window's text; of people 10 s have 30 to 40")
    arguments = parser.parse_args(argv)
    write(arguments.folder, arguments.shape, arguments.tokens)
    print(f"{arguments.shape}, {arguments.tokens} tokens a window: {arguments.folder}")


if __name__ == "__main__":
    main()

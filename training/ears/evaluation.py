"""Word error rate on held-out voices and sentences, for the training curve."""

import copy
from pathlib import Path

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from models.whisper.features import log_mel
from models.whisper.incremental import IncrementalDecoder
from models.whisper.network import Encoder, Whisper
from server.bench.words import scored_words
from training.ears import effects
from training.ears.tokenizer import token_id


@torch.inference_mode()
def greedy(
    encoder: Encoder, decoder: IncrementalDecoder, mel: Tensor, start: list[int], end: int, max_tokens: int
) -> list[int]:
    """Text tokens of one window, mel [1, T, M]."""
    states = encoder(mel)
    state = decoder.init_state(states, None)
    x = decoder.step(torch.tensor([start]), state)
    tokens: list[int] = []
    while len(tokens) < max_tokens:
        token = int(decoder.logits(x[0, -1])[: end + 1].argmax())
        if token == end:
            break
        tokens.append(token)
        x = decoder.step(torch.tensor([[token]]), state)
    return tokens


def evaluate(network: Whisper, tokenizer: Tokenizer, path: Path) -> dict[str, float]:
    """Word error rate by kind of voice, and of all but kal16 over the telephone."""
    content = np.load(path)
    waves = np.split(content["waves"], np.cumsum(content["lengths"])[:-1])
    start = [token_id(tokenizer, t) for t in ("<|startoftranscript|>", "<|notimestamps|>")]
    end = token_id(tokenizer, "<|endoftext|>")
    decoder = IncrementalDecoder(copy.deepcopy(network.decoder))
    pairs: dict[str, list[tuple[str, str]]] = {}
    for index, (wave, text, kind) in enumerate(zip(waves, content["texts"], content["kinds"], strict=True)):
        pcm = wave.astype(np.float32) / np.float32(32768)
        versions: dict[str, NDArray[np.float32]] = {str(kind): pcm}
        if "kal16" not in kind and index % 3 == 0:
            versions["telephone"] = effects.telephone(pcm)
        for name, version in versions.items():
            mel = log_mel(version)
            mel = np.pad(mel, ((0, -len(mel) % 50), (0, 0)))
            tokens = greedy(network.encoder, decoder, torch.from_numpy(mel)[None], start, end, 8 + int(len(pcm) / 16000 * 12))
            said = tokenizer.decode(tokens)
            pairs.setdefault(name, []).append((" ".join(scored_words(str(text))), " ".join(scored_words(said))))
    return {kind: jiwer.wer([a for a, _ in p], [b for _, b in p]) for kind, p in pairs.items()}

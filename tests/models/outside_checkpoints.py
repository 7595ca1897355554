"""Small Whisper checkpoints with random weights, written by other people's libraries in the layouts that are published."""

import base64
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import WhisperConfig, WhisperForConditionalGeneration

from models.whisper.conversion.vocabulary import tokenizer_of_ranks

TEXTS = ["Hello there, my friend.", " naïve café", "Привет, мир", "今日は良い天気", "a\n\tb  c", "it's 42%"]
MERGES = 300


def ranks() -> list[bytes]:
    """A small vocabulary of byte-pair ranks: every byte, then merges of what stands most often beside each other."""
    words = [word.encode() for text in TEXTS for word in (text, *(f" {part}" for part in text.split()))]
    tokens = [bytes([byte]) for byte in range(256)]
    split = [[bytes([byte]) for byte in word] for word in words]
    for _ in range(MERGES):
        pairs: dict[tuple[bytes, bytes], int] = {}
        for parts in split:
            for pair in pairwise(parts):
                pairs[pair] = pairs.get(pair, 0) + 1
        pairs = {pair: count for pair, count in pairs.items() if pair[0] + pair[1] not in tokens}
        if not pairs:
            break
        best = max(sorted(pairs), key=lambda pair: pairs[pair])
        tokens.append(best[0] + best[1])
        for parts in split:
            place = 0
            while place < len(parts) - 1:
                if (parts[place], parts[place + 1]) == best:
                    parts[place : place + 2] = [best[0] + best[1]]
                place += 1
    return tokens


def write_tiktoken(path: Path) -> Path:
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(ranks())]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


def tokenizer(languages: int = 99) -> Tokenizer:
    return tokenizer_of_ranks(Path("test"), ranks(), vocab_size(languages))


def vocab_size(languages: int = 99) -> int:
    return len(ranks()) + languages + 8 + 1501


def small_whisper(
    languages: int = 99, mel_bands: int = 80, decoder_layers: int = 2, seed: int = 0
) -> WhisperForConditionalGeneration:
    """Everything random, embedding and biases too."""
    torch.manual_seed(seed)
    end = len(ranks())
    config = WhisperConfig(
        vocab_size=vocab_size(languages), num_mel_bins=mel_bands, d_model=32, encoder_layers=2, encoder_attention_heads=4,
        encoder_ffn_dim=128, decoder_layers=decoder_layers, decoder_attention_heads=2, decoder_ffn_dim=128,
        max_source_positions=50, max_target_positions=32, bos_token_id=end, eos_token_id=end, pad_token_id=end,
        decoder_start_token_id=end + 1, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.train(False)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    return model


def write_huggingface(folder: Path, model: WhisperForConditionalGeneration, **how: Any) -> Path:
    """As ``save_pretrained`` writes it, with the tokenizer."""
    model.save_pretrained(folder, **how)
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def write_ctranslate2(folder: Path, model: WhisperForConditionalGeneration, quantization: str = "float32") -> Path:
    """As CTranslate2's own converter writes it, but for the tokenizer, which it takes from a hub."""
    import ctranslate2
    from ctranslate2.converters.transformers import WhisperLoader

    spec = WhisperLoader().get_model_spec(model)
    text = tokenizer()
    tokens = [text.id_to_token(number) for number in range(text.get_vocab_size())]
    tokens += [f"<|{number * 0.02:.2f}|>" for number in range(model.config.vocab_size - len(tokens))]
    spec.register_vocabulary(tokens)
    first = len(ranks()) + 2
    spec.config.lang_ids = list(range(first, first + 99))
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [1, 2], [text.token_to_id("<|endoftext|>")]
    spec.config.alignment_heads = [[1, 0], [1, 1]]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True)
    spec.save(str(folder))
    text.save(str(folder / "tokenizer.json"))
    assert ctranslate2.contains_model(str(folder))
    return folder


OPENAI_NAMES = (
    ("model.", ""), (".layers.", ".blocks."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."), (".encoder_attn.", ".cross_attn."),
    (".self_attn_layer_norm.", ".attn_ln."), (".self_attn.", ".attn."),
    ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"),
    (".final_layer_norm.", ".mlp_ln."), (".fc1.", ".mlp.0."), (".fc2.", ".mlp.2."),
    ("encoder.layer_norm.", "encoder.ln_post."), ("decoder.layer_norm.", "decoder.ln."),
    ("embed_positions.weight", "positional_embedding"), ("embed_tokens", "token_embedding"),
)  # fmt: skip


def write_openai(path: Path, model: WhisperForConditionalGeneration) -> Path:
    """The dictionary that OpenAI's package saves and loads (whisper/__init__.py, load_model)."""
    state = {}
    for name, tensor in model.model.state_dict().items():
        renamed = f"model.{name}"
        for ours, theirs in OPENAI_NAMES:
            renamed = renamed.replace(ours, theirs)
        state[renamed] = tensor.half()
    c = model.config
    dims = {
        "n_mels": c.num_mel_bins, "n_vocab": c.vocab_size, "n_audio_ctx": c.max_source_positions, "n_audio_state": c.d_model,
        "n_audio_head": c.encoder_attention_heads, "n_audio_layer": c.encoder_layers, "n_text_ctx": c.max_target_positions,
        "n_text_state": c.d_model, "n_text_head": c.decoder_attention_heads, "n_text_layer": c.decoder_layers,
    }  # fmt: skip
    torch.save({"dims": dims, "model_state_dict": state}, path)
    return path


def copy_without(folder: Path, target: Path, *names: str) -> Path:
    shutil.copytree(folder, target)
    for name in names:
        (target / name).unlink()
    return target


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")

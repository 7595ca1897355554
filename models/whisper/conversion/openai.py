"""OpenAI's own files: a ``.pt`` with the network's dimensions and its weights, and a vocabulary of ranks beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.importing import UnusableSource
from models.whisper.config import WhisperConfig
from models.whisper.conversion.huggingface import read_pickle

DIMENSIONS = {
    "n_mels": "num_mel_bins",
    "n_vocab": "vocab_size",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_text_ctx": "max_target_positions",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}
_RENAME = (
    (r"\.blocks\.", ".layers."),
    (r"\.positional_embedding$", ".embed_positions.weight"),
    (r"\.token_embedding\.", ".embed_tokens."),
    (r"\.cross_attn_ln\.", ".encoder_attn_layer_norm."),
    (r"\.cross_attn\.", ".encoder_attn."),
    (r"\.attn_ln\.", ".self_attn_layer_norm."),
    (r"\.attn\.", ".self_attn."),
    (r"_attn\.query\.", "_attn.q_proj."),
    (r"_attn\.key\.", "_attn.k_proj."),
    (r"_attn\.value\.", "_attn.v_proj."),
    (r"_attn\.out\.", "_attn.out_proj."),
    (r"\.mlp_ln\.", ".final_layer_norm."),
    (r"\.mlp\.0\.", ".fc1."),
    (r"\.mlp\.2\.", ".fc2."),
    (r"\.(ln_post|ln)\.", ".layer_norm."),
    (r"^", "model."),
)
_BUFFERS = ("decoder.mask", "alignment_heads")
"""Saved by some tools, not weights."""


def read_pt(path: Path) -> tuple[dict[str, Tensor], WhisperConfig]:
    """Weights under Hugging Face's names, and the network's shape. Raises UnusableSource."""
    content = read_pickle(path)
    dims, weights = content.get("dims"), content.get("model_state_dict")
    if not isinstance(dims, Mapping) or not isinstance(weights, Mapping):
        raise UnusableSource(f"{path} has no 'dims' and 'model_state_dict', so it is not one of OpenAI's Whisper files")
    missing = [name for name in DIMENSIONS if not isinstance(dims.get(name), int)]
    if missing:
        raise UnusableSource(f"{path}: dims lack {', '.join(missing)}")
    if dims.get("n_text_state", dims["n_audio_state"]) != dims["n_audio_state"]:
        raise UnusableSource(f"{path}: encoder and decoder have different widths, which no Whisper has")
    tensors = {_renamed(name): tensor for name, tensor in weights.items() if name not in _BUFFERS}
    return tensors, _config(path, dims)


def _config(path: Path, dims: Mapping[str, Any]) -> WhisperConfig:
    shape = {ours: dims[theirs] for theirs, ours in DIMENSIONS.items()}
    hidden = 4 * dims["n_audio_state"]
    try:
        return WhisperConfig(**shape, encoder_ffn_dim=hidden, decoder_ffn_dim=hidden)
    except ValueError as error:
        raise UnusableSource(f"{path}: {error}") from None


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAME:
        name = re.sub(pattern, replacement, name)
    return name

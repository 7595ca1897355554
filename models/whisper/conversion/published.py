"""What OpenAI publishes of its checkpoints beside their weights; published.json holds it (facts of openai/whisper, MIT).

Each checkpoint by name: sha256 of its ``.pt`` file, shape (mel bands, vocabulary, channels, encoder layers and heads, decoder
layers and heads), and alignment heads, those of the decoder that follow what is being said, as [layer, head]. ``not_speech``:
tokens of the two vocabularies that hold no spoken text, such as brackets and notes of music.
"""

import json
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from models.whisper.config import WhisperConfig

MULTILINGUAL_END = 50_257
"""Id of <|endoftext|>, the number of text tokens, in the vocabulary of many languages; …"""
ENGLISH_END = 50_256
"""… in the English one."""
SEEN_AS_MULTILINGUAL = 51_865
"""A vocabulary of at least so many tokens has languages."""


@cache
def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
    return facts


def checkpoint_name(config: WhisperConfig, sha256: str | None, file_stem: str) -> str | None:
    """Which published checkpoint this is, or is a tuned copy of: by hash, then by file name and shape, then by a shape that
    only one has. None if that leaves several, or none."""
    shape = [
        config.num_mel_bins,
        config.vocab_size,
        config.d_model,
        config.encoder_layers,
        config.encoder_attention_heads,
        config.decoder_layers,
        config.decoder_attention_heads,
    ]
    checkpoints: dict[str, dict[str, Any]] = _facts()["checkpoints"]
    same_shape = [name for name, facts in checkpoints.items() if facts["shape"] == shape]
    by_hash = [name for name, facts in checkpoints.items() if facts["sha256"] == sha256]
    by_name = [name for name in same_shape if file_stem in (name, f"whisper-{name}")]
    for found in (by_hash, by_name, same_shape):
        if len(found) == 1:
            return found[0]
    return None


def alignment_heads(name: str) -> list[list[int]]:
    """Of a checkpoint by its published name: [layer, head] of the decoder."""
    heads: list[list[int]] = _facts()["checkpoints"][name]["alignment_heads"]
    return heads


def not_speech(end: int) -> Collection[int]:
    """Text tokens that are never spoken, by the vocabulary's <|endoftext|>; none for a vocabulary that is not published."""
    names = {MULTILINGUAL_END: "multilingual", ENGLISH_END: "english"}
    tokens: list[int] = _facts()["not_speech"][names[end]] if end in names else []
    return tokens

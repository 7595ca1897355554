"""The small files of a checkpoint at rest: what the network is, what it was trained on, how it wants to be decoded."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.hearing import WindowPolicy
from models.whisper.config import WhisperConfig, read_config
from models.whisper.decoding import DecodingRules
from models.whisper.decoding_policy import DecodingPolicy, decoding_policy
from models.whisper.features import FeatureSettings
from models.whisper.tokenizer import WhisperTokenizer
from models.whisper.window_policy import window_policy

DEFAULT_MAX_WINDOW_S = 30.0
DEFAULT_LATEST_START = 50
"""Timestamps that the first one may not go beyond: one second, as OpenAI has it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The small files beside the weights."""

    config: WhisperConfig
    features: FeatureSettings
    rules: DecodingRules
    policy: DecodingPolicy
    language_tokens: dict[str, int]
    """By ISO code; empty for an English-only model."""
    start: int
    no_timestamps: int
    previous: int | None
    transcribe: int | None
    alignment_heads: tuple[tuple[int, int], ...]
    max_window_s: float
    windows: WindowPolicy


def read_checkpoint(folder: Path, tokenizer: WhisperTokenizer) -> Checkpoint:
    """Raises ValueError naming the file and field that is wrong, FileNotFoundError for one that is missing."""
    config, features = read_config(folder), read_features(folder)
    if features.mel_bands != config.num_mel_bins:
        raise ValueError(f"{folder}: feature_size {features.mel_bands} is not num_mel_bins {config.num_mel_bins}")
    generation, content = _read_json(folder / "generation_config.json"), _read_json(folder / "config.json")
    policy = decoding_policy(content, folder / "config.json")
    languages = generation.get("lang_to_id") or {}
    longest_s = config.max_mel_frames / features.frames_per_second
    return Checkpoint(
        config=config,
        features=features,
        rules=_rules(generation, policy, tokenizer, config.vocab_size, features.position_s),
        policy=policy,
        language_tokens={name.strip("<|>"): int(token) for name, token in languages.items()},
        start=tokenizer.start,
        no_timestamps=tokenizer.no_timestamps,
        previous=tokenizer.previous,
        transcribe=tokenizer.special("<|transcribe|>"),
        alignment_heads=_alignment_heads(generation, config),
        max_window_s=min(float(content.get("descant_max_window_s", DEFAULT_MAX_WINDOW_S)), longest_s),
        windows=window_policy(content, folder / "config.json"),
    )


def read_features(folder: Path) -> FeatureSettings:
    """preprocessor_config.json; raises ValueError if the features are not Whisper's."""
    content = _read_json(folder / "preprocessor_config.json")
    names = ("sampling_rate", "hop_length", "n_fft", "feature_size")
    missing = [name for name in names if not isinstance(content.get(name), int)]
    if missing:
        raise ValueError(f"{folder}/preprocessor_config.json: missing or not an integer: {', '.join(missing)}")
    return FeatureSettings(*(int(content[name]) for name in names))


def _rules(
    generation: dict[str, Any], policy: DecodingPolicy, tokenizer: WhisperTokenizer, vocabulary: int, position_s: float
) -> DecodingRules:
    latest = generation.get("max_initial_timestamp_index")
    suppressed = {*_integers(generation.get("suppress_tokens")), *range(tokenizer.end + 1, tokenizer.no_timestamps + 1)}
    return DecodingRules(
        end=tokenizer.end,
        no_speech=tokenizer.no_speech,
        suppressed=tuple(sorted(suppressed - {tokenizer.end})),
        suppressed_first=_integers(generation.get("begin_suppress_tokens")),
        back_positions=round((policy.start_over_s or 0.0) / position_s),
        length_power=policy.length_power,
        stops_loops=policy.stops_loops,
        timestamps=range(tokenizer.no_timestamps + 1, vocabulary) if policy.timestamps else None,
        latest_start=latest if isinstance(latest, int) else DEFAULT_LATEST_START,
    )


def _alignment_heads(generation: dict[str, Any], config: WhisperConfig) -> tuple[tuple[int, int], ...]:
    heads = generation.get("alignment_heads")
    if isinstance(heads, list) and heads:
        return tuple((int(layer), int(head)) for layer, head in heads)
    # Like other implementations: every head of the upper half.
    layers = range(config.decoder_layers // 2, config.decoder_layers)
    return tuple((layer, head) for layer in layers for head in range(config.decoder_attention_heads))


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not an object")
    return content


def _integers(value: object) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, list) else ()

"""The one layout a Whisper model rests in: a folder as Hugging Face has it, in safetensors and JSON, with nothing left out.

What a source does not say is completed from its tokenizer and from what OpenAI publishes of its checkpoints, and said in a
note; what cannot be known is left out.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing import ModelFacts, UnusableSource, read_json
from models.weights import WeightsError, read_tensors, save_weights
from models.whisper.checkpoint import read_checkpoint
from models.whisper.config import WhisperConfig
from models.whisper.conversion import published
from models.whisper.network import Whisper
from models.whisper.tokenizer import WhisperTokenizer

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
GENERATION = "generation_config.json"
TOKENIZER = "tokenizer.json"
FEATURES = "preprocessor_config.json"
_SAMPLE_RATE_HZ = 16_000
_CHUNK_S = 30
_SHOWN = 8
_NEVER_EMPTY = ("alignment_heads", "lang_to_id")


def write_weights(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    save_weights(folder / WEIGHTS, tensors, {"format": "pt"})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def whisper_config(config: WhisperConfig, tokenizer: WhisperTokenizer, dtype: torch.dtype) -> dict[str, Any]:
    """config.json for a source that has only the network's shape."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        **asdict(config),
        "num_hidden_layers": config.encoder_layers,
        "activation_function": "gelu",
        "scale_embedding": False,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.end,
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.end,
        "decoder_start_token_id": tokenizer.start,
        "dtype": str(dtype).removeprefix("torch."),
    }


def features(config: WhisperConfig) -> dict[str, Any]:
    """preprocessor_config.json of every Whisper that OpenAI made; only the number of mel bands differs."""
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config.num_mel_bins,
        "sampling_rate": _SAMPLE_RATE_HZ,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": _CHUNK_S,
        "n_samples": _CHUNK_S * _SAMPLE_RATE_HZ,
        "nb_max_frames": 100 * _CHUNK_S,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def complete_generation(
    folder: Path, stated: Mapping[str, Any], config: WhisperConfig, tokenizer: WhisperTokenizer, checkpoint: str | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """generation_config.json: what the source states, and behind it what it leaves out. And notes for the user.

    ``checkpoint`` is the published one that this is, or was tuned from (`published.checkpoint_name`).
    """
    known: dict[str, Any] = {
        "bos_token_id": tokenizer.end,
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.end,
        "decoder_start_token_id": tokenizer.start,
        "no_timestamps_token_id": tokenizer.no_timestamps,
        "max_initial_timestamp_index": 50,
        "max_length": config.max_target_positions,
        "return_timestamps": False,
    }
    if tokenizer.previous is not None:
        known["prev_sot_token_id"] = tokenizer.previous
    languages = _language_tokens(folder / TOKENIZER, tokenizer)
    if _has_languages(stated, config, tokenizer, languages):
        tasks = {task: tokenizer.special(f"<|{task}|>") for task in ("transcribe", "translate")}
        known |= {
            "is_multilingual": True,
            "lang_to_id": languages,
            "task_to_id": {task: number for task, number in tasks.items() if number is not None},
        }
    else:
        known["is_multilingual"] = False
    known["suppress_tokens"] = sorted({*published.not_speech(tokenizer.end), *_not_written(tokenizer)})
    space = tokenizer.special("Ġ")
    known["begin_suppress_tokens"] = [number for number in (space, tokenizer.end) if number is not None]
    notes = []
    if not stated.get("alignment_heads"):
        if checkpoint is not None:
            known["alignment_heads"] = published.alignment_heads(checkpoint)
        else:
            notes.append("its alignment heads are not known: word times come from all heads of the decoder's upper half")
    # An empty list of heads or languages says nothing; an empty list of tokens says that all may be written.
    said = {key: value for key, value in stated.items() if value or (value is not None and key not in _NEVER_EMPTY)}
    completed = {**known, **said}
    missing = [key for key in (*_NEVER_EMPTY, "suppress_tokens") if key in known and key not in said]
    if missing:
        origin = f"; alignment heads are those of {checkpoint}" if "alignment_heads" in missing else ""
        notes.append(f"{GENERATION}: completed {', '.join(missing)}{origin}")
    return completed, tuple(notes)


def _has_languages(
    stated: Mapping[str, Any], config: WhisperConfig, tokenizer: WhisperTokenizer, languages: Mapping[str, int]
) -> bool:
    if isinstance(stated.get("is_multilingual"), bool):
        return bool(stated["is_multilingual"])
    if tokenizer.end in (published.MULTILINGUAL_END, published.ENGLISH_END):  # OpenAI's own rule
        return config.vocab_size >= published.SEEN_AS_MULTILINGUAL
    return bool(languages)


def _language_tokens(path: Path, tokenizer: WhisperTokenizer) -> dict[str, int]:
    """Language tokens by name: those between <|startoftranscript|> and the task tokens."""
    tasks = [number for task in ("translate", "transcribe") if (number := tokenizer.special(f"<|{task}|>")) is not None]
    added = {token["content"]: int(token["id"]) for token in read_json(path).get("added_tokens", [])}
    return {token: number for token, number in added.items() if tokenizer.start < number < min(tasks, default=0)}


def _not_written(tokenizer: WhisperTokenizer) -> set[int]:
    """Special tokens that are no part of a transcript."""
    names = ("startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech", "nocaptions")
    return {number for name in names if (number := tokenizer.special(f"<|{name}|>")) is not None}


def check(folder: Path) -> ModelFacts:
    """Whether `models.whisper` can load this folder, without reading its weights into memory: the small files by the loader's
    own reader, names and shapes of all tensors.

    Raises UnusableSource naming the file.
    """
    try:
        tokenizer = WhisperTokenizer(folder / TOKENIZER)
        checkpoint = read_checkpoint(folder, tokenizer)
    except (ValueError, OSError) as error:
        raise UnusableSource(str(error)) from None
    config = checkpoint.config
    if tokenizer.end >= config.vocab_size or tokenizer.no_timestamps >= config.vocab_size:
        raise UnusableSource(f"{folder / TOKENIZER}: its tokens go beyond the vocabulary of {config.vocab_size}")
    wrong = [
        [layer, head]
        for layer, head in checkpoint.alignment_heads
        if layer >= config.decoder_layers or head >= config.decoder_attention_heads
    ]
    if wrong:
        raise UnusableSource(f"{folder / GENERATION}: alignment_heads {wrong} do not exist in this decoder")
    parameters = _check_tensors(folder / WEIGHTS, config)
    return ModelFacts(tuple(sorted(checkpoint.language_tokens)) or ("en",), parameters, checkpoint.features.sample_rate_hz)


def _check_tensors(path: Path, config: WhisperConfig) -> int:
    """The number of parameters. Raises UnusableSource."""
    try:
        found = read_tensors(path)  # mapped, not read
    except (WeightsError, OSError) as error:
        raise UnusableSource(str(error)) from None
    with torch.device("meta"):
        wanted = Whisper(config).state_dict()
    faults = [f"missing {name}" for name in wanted if name not in found]
    faults += [f"unknown {name}" for name in found if name not in wanted]
    faults += [
        f"{name} has the shape {list(found[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults += [f"{name} holds {tensor.dtype}" for name, tensor in found.items() if not tensor.is_floating_point()]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise UnusableSource(f"{path} does not fit {path.parent / CONFIG}: {', '.join(faults[:_SHOWN])}{more}")
    return sum(tensor.numel() for tensor in found.values())

"""Whisper in Hugging Face's layout: one or several safetensors files, or a pickle of weights, and JSON beside them."""

import json
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing import Conversion, SourceFiles, UnusableSource, read_json
from models.weights import WeightsError, read_tensors
from models.whisper.conversion import at_rest, vocabulary
from models.whisper.conversion.files import weight_files

_EMBEDDING = "model.decoder.embed_tokens.weight"


def convert(source: SourceFiles, folder: Path) -> list[Conversion]:
    """Weights, config.json and tokenizer.json into ``folder``; other files where they exist. Raises UnusableSource."""
    conversions = []
    shutil.copyfile(source["config.json"], folder / at_rest.CONFIG)
    files = weight_files(source)
    tensors, changed = _tied(source[files[0]], _read_weights(source, files))
    if changed or files != (at_rest.WEIGHTS,):
        at_rest.write_weights(folder, tensors)
        conversions.append(Conversion(at_rest.WEIGHTS, files))
    else:
        shutil.copyfile(source[at_rest.WEIGHTS], folder / at_rest.WEIGHTS)
    if at_rest.TOKENIZER in source:
        shutil.copyfile(source[at_rest.TOKENIZER], folder / at_rest.TOKENIZER)
    elif "vocab.json" in source and "merges.txt" in source:
        conversions.append(_write_tokenizer(source, folder, tensors[_EMBEDDING].shape[0]))
    else:
        raise UnusableSource(f"{_place(source)} has neither tokenizer.json nor vocab.json and merges.txt")
    if at_rest.FEATURES in source:
        shutil.copyfile(source[at_rest.FEATURES], folder / at_rest.FEATURES)
    elif "processor_config.json" in source:
        inner = read_json(source["processor_config.json"]).get("feature_extractor")
        if isinstance(inner, dict):
            at_rest.write_json(folder / at_rest.FEATURES, inner)
            conversions.append(Conversion(at_rest.FEATURES, ("processor_config.json",)))
    return conversions


def stated_generation(source: SourceFiles) -> dict[str, Any]:
    """generation_config.json, and what older checkpoints keep of it in config.json."""
    older = read_json(source["config.json"])
    names = ("suppress_tokens", "begin_suppress_tokens", "alignment_heads")
    stated = {name: older[name] for name in names if older.get(name)}
    if at_rest.GENERATION in source:
        stated |= read_json(source[at_rest.GENERATION])
    return stated


def _place(source: SourceFiles) -> Path:
    return source["config.json"].parent


def _read_weights(source: SourceFiles, files: tuple[str, ...]) -> dict[str, Tensor]:
    if not files[0].endswith(".json"):
        return _read_file(source[files[0]])
    tensors: dict[str, Tensor] = {}
    shards = read_json(source[files[0]]).get("weight_map")
    if not isinstance(shards, dict):
        raise UnusableSource(f"{source[files[0]]} has no weight_map")
    missing = sorted({str(shard) for shard in shards.values()} - set(source))
    if missing:
        raise UnusableSource(f"{source[files[0]]} names files that are missing: {', '.join(missing)}")
    for shard in sorted(set(shards.values())):
        tensors |= _read_file(source[shard])
    absent = sorted(set(shards) - set(tensors))
    if absent:
        raise UnusableSource(f"{source[files[0]]} names tensors that its files lack: {', '.join(absent[:5])}")
    return tensors


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".bin":
        content = read_pickle(path)
        if not all(isinstance(value, Tensor) for value in content.values()):
            raise UnusableSource(f"{path} holds more than tensors; it should be a state dict as pytorch_model.bin is")
        return content
    try:
        return read_tensors(path)
    except WeightsError as error:
        raise UnusableSource(str(error)) from None


def read_pickle(path: Path) -> dict[str, Any]:
    """A dict that torch saved, without running anything in it. Raises UnusableSource."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, which are read or refused below
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        # The library's message is long, and advises to switch the check off.
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "it runs code")
        raise UnusableSource(f"{path} is a pickle with more than weights in it and is refused: {reason.strip()}") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UnusableSource(f"{path} is damaged, cut off or no file that torch saved: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise UnusableSource(f"{path} holds a {type(content).__name__}, not weights by name")
    return content


def _tied(path: Path, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """Under our names, without the copy of the embedding that is the output layer; and whether that changed anything."""
    prefixed = {
        f"model.{name}" if name.startswith(("encoder.", "decoder.")) else name: tensor for name, tensor in tensors.items()
    }
    output = prefixed.pop("proj_out.weight", None)
    embedding = prefixed.get(_EMBEDDING)
    if embedding is None:
        raise UnusableSource(f"{path} has no {_EMBEDDING}, so it is no Whisper with both encoder and decoder")
    if output is not None and not torch.equal(output, embedding):
        raise UnusableSource(f"{path}: proj_out.weight differs from {_EMBEDDING}; Whisper's output layer is its embedding")
    return prefixed, prefixed.keys() != tensors.keys()


def _write_tokenizer(source: SourceFiles, folder: Path, vocab_size: int) -> Conversion:
    added: dict[str, int] = {}
    inputs = ["vocab.json", "merges.txt"]
    if "tokenizer_config.json" in source:
        listed = read_json(source["tokenizer_config.json"]).get("added_tokens_decoder")
        if isinstance(listed, Mapping):
            added |= {token["content"]: int(number) for number, token in listed.items()}
            inputs.append("tokenizer_config.json")
    if "added_tokens.json" in source:
        added |= {token: int(number) for token, number in read_json(source["added_tokens.json"]).items()}
        inputs.append("added_tokens.json")
    if added:
        ids = json.loads(source["vocab.json"].read_text(encoding="utf-8"))
        added |= {token: number for token, number in ids.items() if token == "<|endoftext|>"}
    tokenizer = vocabulary.tokenizer_of_merges(source["vocab.json"], source["merges.txt"], added, vocab_size)
    tokenizer.save(str(folder / at_rest.TOKENIZER))
    return Conversion(at_rest.TOKENIZER, tuple(inputs))

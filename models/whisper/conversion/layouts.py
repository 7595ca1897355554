"""From each published layout of Whisper to the one at rest."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from models.importing import Conversion, Converted, SourceFiles, UnusableSource, read_json
from models.whisper.config import WhisperConfig, read_config
from models.whisper.conversion import at_rest, ctranslate2, huggingface, openai, published, vocabulary
from models.whisper.tokenizer import WhisperTokenizer

_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
ENGLISH_SIZE = published.SEEN_AS_MULTILINGUAL - 1
"""Tokens of a checkpoint with the English vocabulary."""


def from_huggingface(source: SourceFiles, folder: Path) -> Converted:
    conversions = huggingface.convert(source, folder)
    config, tokenizer = _opened(folder)
    stated = huggingface.stated_generation(source)
    notes = _complete(
        folder, stated, config, tokenizer, None, source["config.json"].parent.name, source.get(at_rest.GENERATION)
    )
    if at_rest.GENERATION in source and not _same(source[at_rest.GENERATION], folder / at_rest.GENERATION):
        conversions.append(Conversion(at_rest.GENERATION, ("config.json", at_rest.GENERATION)))
    return Converted("Hugging Face", tuple(conversions), notes)


def from_ctranslate2(source: SourceFiles, folder: Path) -> Converted:
    model = ctranslate2.read_model_bin(source["model.bin"])
    conversions = [Conversion(at_rest.WEIGHTS, ("model.bin",)), Conversion(at_rest.CONFIG, ("config.json", "model.bin"))]
    if at_rest.TOKENIZER in source:
        shutil.copyfile(source[at_rest.TOKENIZER], folder / at_rest.TOKENIZER)
    else:
        conversions.append(_tokenizer_of_list(source, folder, model.config.vocab_size))
    _write(folder, model.tensors, model.config)
    config, tokenizer = _opened(folder)
    theirs = read_json(source["config.json"])
    names = {"suppress_ids": "suppress_tokens", "suppress_ids_begin": "begin_suppress_tokens"}
    stated: dict[str, Any] = {ours: theirs[name] for name, ours in names.items() if theirs.get(name)}
    if theirs.get("alignment_heads"):
        stated["alignment_heads"] = theirs["alignment_heads"]
    notes = _complete(folder, stated, config, tokenizer, None, source["model.bin"].parent.name, None)
    conversions.append(Conversion(at_rest.GENERATION, ("config.json",)))
    return Converted("CTranslate2", tuple(conversions), notes)


def from_openai(source: SourceFiles, folder: Path, installed: Sequence[Path]) -> Converted:
    name = next(name for name in source if name.endswith(".pt"))
    path = source[name]
    tensors, config = openai.read_pt(path)
    conversions = [Conversion(at_rest.WEIGHTS, (name,)), Conversion(at_rest.CONFIG, (name,))]
    notes: list[str] = []
    if at_rest.TOKENIZER in source:
        shutil.copyfile(source[at_rest.TOKENIZER], folder / at_rest.TOKENIZER)
    elif tables := sorted(name for name in source if name.endswith(".tiktoken")):
        english = config.vocab_size <= ENGLISH_SIZE
        preferred = "gpt2.tiktoken" if english else "multilingual.tiktoken"
        table = preferred if preferred in tables else tables[0]
        ranks = vocabulary.read_tiktoken(source[table])
        vocabulary.tokenizer_of_ranks(source[table], ranks, config.vocab_size).save(str(folder / at_rest.TOKENIZER))
        conversions.append(Conversion(at_rest.TOKENIZER, (table,)))
    else:
        donor = next((f for f in installed if read_json(f / at_rest.CONFIG)["vocab_size"] == config.vocab_size), None)
        if donor is None:
            wanted = "gpt2.tiktoken" if config.vocab_size <= ENGLISH_SIZE else "multilingual.tiktoken"
            raise UnusableSource(
                f"{path} has no vocabulary beside it: give {wanted} of openai/whisper (whisper/assets) or a tokenizer.json as "
                f"a further file, or install a model with the same {config.vocab_size} tokens first"
            )
        shutil.copyfile(donor / at_rest.TOKENIZER, folder / at_rest.TOKENIZER)
        notes.append(f"{at_rest.TOKENIZER} is that of {donor}")
    _write(folder, tensors, config)
    config, tokenizer = _opened(folder)
    completed = _complete(folder, {}, config, tokenizer, _sha256(path), path.stem, None)
    return Converted("OpenAI", tuple(conversions), (*notes, *completed))


def _tokenizer_of_list(source: SourceFiles, folder: Path, vocab_size: int) -> Conversion:
    name = next((name for name in _VOCABULARIES if name in source), None)
    if name is None:
        raise UnusableSource(f"{source['model.bin'].parent} has no tokenizer.json, vocabulary.json or vocabulary.txt")
    text = source[name].read_text(encoding="utf-8")
    tokens = json.loads(text) if name.endswith(".json") else text.split("\n")
    ranks = vocabulary.tokens_of_letters(source[name], tokens)
    vocabulary.tokenizer_of_ranks(source[name], ranks, vocab_size).save(str(folder / at_rest.TOKENIZER))
    return Conversion(at_rest.TOKENIZER, (name,))


def _write(folder: Path, tensors: Mapping[str, Tensor], config: WhisperConfig) -> None:
    try:
        tokenizer = WhisperTokenizer(folder / at_rest.TOKENIZER)
    except ValueError as error:
        raise UnusableSource(str(error)) from None
    at_rest.write_weights(folder, tensors)
    dtype = tensors["model.decoder.embed_tokens.weight"].dtype
    at_rest.write_json(folder / at_rest.CONFIG, at_rest.whisper_config(config, tokenizer, dtype))


def _opened(folder: Path) -> tuple[WhisperConfig, WhisperTokenizer]:
    try:
        return read_config(folder), WhisperTokenizer(folder / at_rest.TOKENIZER)
    except ValueError as error:
        raise UnusableSource(str(error)) from None


def _complete(
    folder: Path,
    stated: Mapping[str, Any],
    config: WhisperConfig,
    tokenizer: WhisperTokenizer,
    sha256: str | None,
    stem: str,
    original: Path | None,
) -> tuple[str, ...]:
    """generation_config.json and preprocessor_config.json, where the source had none or had gaps; notes for the user."""
    checkpoint = published.checkpoint_name(config, sha256, stem)
    generation, notes = at_rest.complete_generation(folder, stated, config, tokenizer, checkpoint)
    if original is not None and read_json(original) == generation:
        shutil.copyfile(original, folder / at_rest.GENERATION)
    else:
        at_rest.write_json(folder / at_rest.GENERATION, generation)
    if not (folder / at_rest.FEATURES).exists():
        at_rest.write_json(folder / at_rest.FEATURES, at_rest.features(config))
        notes = (*notes, f"{at_rest.FEATURES} is Whisper's usual one")
    return notes


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

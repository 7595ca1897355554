"""Which files of a checkpoint are read, by their names alone; nothing here needs torch."""

import re
from collections.abc import Collection

_INDEX = re.compile(r"(model\.safetensors|pytorch_model\.bin)\.index(\.[\w-]+)?\.json")
_SINGLE = ("model.safetensors", "model.fp16.safetensors", "model.fp32.safetensors", "pytorch_model.bin")
_OPTIONAL = (
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)


def weight_files(names: Collection[str]) -> tuple[str, ...]:
    """The files to read weights from, safetensors before pickles, one file before several; empty if there are none."""
    for kind in ("safetensors", "bin"):
        single = [name for name in _SINGLE if name in names and name.endswith(kind)]
        if single:
            return (single[0],)
        indices = sorted((name for name in names if _INDEX.fullmatch(name) and f".{kind}." in name), key=len)
        if indices:
            variant = indices[0].removesuffix(".json").rpartition(".index")[2]
            shards = [n for n in names if re.fullmatch(rf"(model{variant}|pytorch_model{variant})-\d+-of-\d+\.{kind}", n)]
            return (indices[0], *sorted(shards))
    return ()


def huggingface_files(names: Collection[str]) -> tuple[str, ...]:
    """What `convert` reads of these files; empty if weights are missing."""
    weights = weight_files(names)
    return ("config.json", *weights, *(name for name in _OPTIONAL if name in names)) if weights else ()


def ctranslate2_files(names: Collection[str]) -> tuple[str, ...]:
    """As `huggingface_files`."""
    optional = ("tokenizer.json", "vocabulary.json", "vocabulary.txt")
    return ("config.json", "model.bin", *(name for name in optional if name in names)) if "model.bin" in names else ()


def openai_files(names: Collection[str]) -> tuple[str, ...]:
    """As `huggingface_files`: one ``.pt``, and what holds its vocabulary."""
    weights = [name for name in names if name.endswith(".pt")]
    beside = [name for name in names if name.endswith(".tiktoken") or name == "tokenizer.json"]
    return (weights[0], *sorted(beside)) if len(weights) == 1 else ()

"""Which files of a checkpoint are read, by their names alone; nothing here needs torch."""

import re
from collections.abc import Collection, Mapping
from typing import Any

CONFIG = "config.json"
VOCABULARY = "vocab.json"
PACKS_IN_ONE = re.compile(r"(?:.*/)?voices[\w.-]*\.(?:bin|npz)")
"""kokoro-onnx puts all packs into one file of NumPy's."""
_PACK = re.compile(r"(?:.*/)?voices/[^/]+\.(?:pt|bin)")
_LOOSE_PACK = re.compile(r"[abefhijpz][fm]_[a-z0-9]+\.(?:pt|bin)")
_ONNX_ORDER = ("model.onnx", "fp32", "f32", "fp16", "f16", "int8", "quantized", "uint8", "q8")
_OTHER_ONNX = re.compile(r"q4|q8f16|bnb4")
"""Mixed and four-bit formats, which are not read."""


def is_kokoro(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of Kokoro's: hexgrad's has no model_type."""
    stated = config.get("model_type")
    return stated in ("kokoro", "style_text_to_speech_2") or (stated is None and {"istftnet", "plbert"} <= config.keys())


def weight_file(names: Collection[str]) -> str | None:
    """The file to read weights from: what torch saved before ONNX, many bits before few."""
    saved = sorted(name for name in names if name.endswith(".pth"))
    if saved:
        return saved[0]
    graphs = [name for name in names if name.endswith(".onnx") and not _OTHER_ONNX.search(name)]

    def rank(name: str) -> tuple[int, str]:
        return next((place for place, mark in enumerate(_ONNX_ORDER) if mark in name), 0), name

    return min(graphs, key=rank, default=None)


def pack_files(names: Collection[str]) -> tuple[str, ...]:
    """The files that hold voices."""
    return tuple(
        sorted(name for name in names if _PACK.fullmatch(name) or PACKS_IN_ONE.fullmatch(name) or _LOOSE_PACK.fullmatch(name))
    )


def wanted_files(names: Collection[str], config: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """What an import reads of these files; None if they are not Kokoro's."""
    weights = weight_file(names)
    packs = pack_files(names)
    if weights is None or (not packs and "kokoro" not in weights.lower()):
        return None
    if config is not None and not is_kokoro(config):
        return None
    beside = (name for name in (CONFIG, VOCABULARY) if name in names)
    return (weights, *packs, *beside)

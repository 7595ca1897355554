"""The one layout Kokoro rests in: config.json, model.safetensors under our names, voices.safetensors with a pack by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.importing import ModelFacts, UnusableSource, read_json
from models.kokoro.config import SAMPLE_RATE_HZ, KokoroConfig
from models.kokoro.conversion.names import misfits, shown
from models.kokoro.network import Kokoro
from models.kokoro.record import PACK_NAME, SPOKEN, language_of
from models.weights import WeightsError, read_tensors, tensor_shapes

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
VOICES = "voices.safetensors"


def read_config(folder: Path) -> tuple[KokoroConfig, Mapping[str, int]]:
    """The network's sizes and its vocabulary. Raises UnusableSource naming the file."""
    path = folder / CONFIG
    content = read_json(path)
    try:
        config = KokoroConfig.of(content)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnusableSource(f"{path} does not describe a Kokoro: {error}") from None
    return config, checked_vocabulary(content.get("vocab"), config, path)


def checked_vocabulary(vocabulary: Any, config: KokoroConfig, path: Path) -> Mapping[str, int]:
    """Raises UnusableSource for what is no table of symbols that the network has."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise UnusableSource(f"{path} has no vocabulary: symbols and their numbers, under 'vocab'")
    wrong = [symbol for symbol, number in vocabulary.items() if not isinstance(number, int) or not 0 < number < config.n_token]
    if wrong:
        raise UnusableSource(f"{path}: the network has no rows for these symbols of 'vocab': {shown(map(repr, wrong))}")
    return vocabulary


def check(folder: Path) -> ModelFacts:
    """Whether `models.kokoro` can load this folder, without reading its weights into memory.

    Raises UnusableSource naming the file.
    """
    config, _ = read_config(folder)
    try:
        found = read_tensors(folder / WEIGHTS)  # mapped, not read
        packs = tensor_shapes(folder / VOICES)
    except (WeightsError, OSError) as error:
        raise UnusableSource(str(error)) from None
    with torch.device("meta"):
        wanted = Kokoro(config).state_dict()
    if faults := misfits(wanted, found):
        raise UnusableSource(f"{folder / WEIGHTS} does not fit {folder / CONFIG}: {faults}")
    styles = (config.most_tokens - 2, 2 * config.style_dim)
    wrong = [name for name, shape in packs.items() if shape != styles or PACK_NAME.fullmatch(name) is None]
    if wrong or not packs:
        raise UnusableSource(f"{folder / VOICES} holds no voices of shape {list(styles)}: {shown(wrong) or 'it is empty'}")
    languages = tuple(sorted({language_of(name) for name in packs} & set(SPOKEN)))
    if not languages:
        raise UnusableSource(f"{folder / VOICES} has no voice of a language that is spoken here: {', '.join(SPOKEN)}")
    return ModelFacts(languages, sum(tensor.numel() for tensor in found.values()), SAMPLE_RATE_HZ)

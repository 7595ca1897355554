"""From each published layout of Kokoro to the one at rest."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing import Conversion, Converted, SourceFiles, UnusableSource, read_json
from models.kokoro.config import FAMILY, KokoroConfig
from models.kokoro.conversion import at_rest
from models.kokoro.conversion.files import CONFIG, VOCABULARY, pack_files, weight_file
from models.kokoro.conversion.names import misfits, ours
from models.kokoro.conversion.onnx_weights import read_onnx, without_tables_of_others
from models.kokoro.conversion.saved import read_checkpoint
from models.kokoro.conversion.voice_packs import read_packs
from models.kokoro.network import Kokoro
from models.kokoro.record import LOCALES, SPOKEN, language_of
from models.kokoro.vocabulary import VOCABULARY as PUBLISHED_VOCABULARY
from models.weights import save_weights


def convert(source: SourceFiles, folder: Path) -> Converted:
    """Write the three files at rest. Raises UnusableSource naming the file that cannot be used."""
    name = weight_file(source)
    assert name is not None, "an importer is asked for what it wanted"
    config, vocabulary, described_in = _description(source)
    notes = []
    if not described_in:
        notes.append("no config.json: sizes and symbols are those of Kokoro-82M 1.0")
    is_saved = name.endswith(".pth")
    published = read_checkpoint(source[name]) if is_saved else without_tables_of_others(read_onnx(source[name]))
    tensors = _fitting(source[name], published, config)
    packs = read_packs(source, config)
    silent = sorted({language_of(pack) for pack in packs} - set(SPOKEN))
    if silent:
        count = sum(language_of(pack) in silent for pack in packs)
        names = ", ".join(language for locale, language in LOCALES.values() if locale.partition("-")[0] in silent)
        notes.append(f"{count} voices are kept but not offered: there are no phones for {names} here")
    save_weights(folder / at_rest.WEIGHTS, tensors, {"format": "pt"})
    save_weights(folder / at_rest.VOICES, packs, {"format": "pt"})
    content = {"model_type": FAMILY, **asdict(config), "vocab": dict(vocabulary)}
    (folder / at_rest.CONFIG).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    conversions = (
        Conversion(at_rest.WEIGHTS, (name,)),
        Conversion(at_rest.VOICES, pack_files(source)),
        Conversion(at_rest.CONFIG, described_in),
    )
    return Converted("published checkpoint" if is_saved else "ONNX", conversions, tuple(notes))


def _description(source: SourceFiles) -> tuple[KokoroConfig, Mapping[str, int], tuple[str, ...]]:
    """Sizes and symbols, and the files that they are from; those of Kokoro-82M where no file has them."""
    used = []
    stated: dict[str, Any] = {}
    if CONFIG in source:
        stated = read_json(source[CONFIG])
        if "istftnet" in stated or "vocab" in stated:
            used.append(CONFIG)
    try:
        config = KokoroConfig.of(stated)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnusableSource(f"{source[CONFIG]} describes a network that is not Kokoro's: {error}") from None
    vocabulary, path = stated.get("vocab"), source.get(CONFIG)
    if vocabulary is None and VOCABULARY in source:
        path = source[VOCABULARY]
        table = read_json(path)
        vocabulary = table.get("vocab", table)
        used.append(VOCABULARY)
    if vocabulary is None or path is None:
        return config, PUBLISHED_VOCABULARY, tuple(used)
    return config, at_rest.checked_vocabulary(vocabulary, config, path), tuple(used)


def _fitting(path: Path, published: Mapping[str, Tensor], config: KokoroConfig) -> dict[str, Tensor]:
    """Our tensors. Raises UnusableSource for weights that are missing, unknown or of another shape."""
    try:
        tensors = ours(published, len(config.istftnet.resblock_kernel_sizes))
    except UnusableSource as error:
        raise UnusableSource(f"{path}: {error}") from None
    with torch.device("meta"):
        wanted = Kokoro(config).state_dict()
    if faults := misfits(wanted, tensors):
        raise UnusableSource(
            f"{path} does not hold the weights of this Kokoro (by our names): {faults}. Taken are the published checkpoint and "
            "ONNX files in float32, float16 or int8; formats with four bits or mixed ones are not"
        )
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise UnusableSource(f"{path} holds weights that are not finite: {', '.join(broken[:5])}; fetch it again")
    return tensors

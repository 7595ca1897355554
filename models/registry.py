"""Model families by name. A family is one folder with one line here; its module is imported when it is asked for."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.hearing import Recognizer
from models.importing import ModelImporter
from models.speech import Synthesizer
from models.voices import Voice, VoiceCloner, VoiceMaker

SYNTHESIZERS = {"conv_tts": "models.conv_tts.networks:load", "kokoro": "models.kokoro.loading:load"}
RECOGNIZERS = {"whisper": "models.whisper.model:load"}
VOICE_MAKERS = {
    "conv_tts": "models.conv_tts.voice_maker:ConvTtsVoiceMaker",
    "kokoro": "models.kokoro.voice_maker:KokoroVoiceMaker",
}
CLONERS = {"conv_tts": "models.conv_tts.cloning:load_cloner"}
IMPORTERS = {
    "whisper": "models.whisper.conversion.importer:WhisperImporter",
    "kokoro": "models.kokoro.conversion.importer:KokoroImporter",
}
SPEAKER_ENCODER = "models.speaker_encoder.model:load"


class UnknownFamily(ValueError):
    """No model family has this name; the message lists those that exist."""


def load_synthesizer(
    name: str,
    device: str,
    max_slots: int,
    voice_files: Sequence[Path] = (),
    cuda_graphs: bool = True,
    folder: Path | None = None,
) -> Synthesizer:
    """Load a voice on a device ("cpu", "cuda", "cuda:1") with room for that many sessions at once.

    ``voice_files`` are weights of further voices of the same family, made from recordings. ``cuda_graphs``: whether its
    steps may be recorded on a card (`models.cuda_graphs`); on the CPU it means nothing. ``folder`` holds an installed model
    of the family; None: the one in the package.

    Raises UnknownFamily, and whatever the family raises when its weights are missing or wrong.
    """
    given = {} if folder is None else {"folder": folder}
    model: Synthesizer = _load(SYNTHESIZERS, name)(
        device=device, max_slots=max_slots, voice_files=voice_files, cuda_graphs=cuda_graphs, **given
    )
    return model


def load_recognizer(name: str, device: str, max_batch: int, folder: Path | None = None, engine: str = "auto") -> Recognizer:
    """Load a recognizer on a device; `Recognizer.step` takes up to ``max_batch`` windows. Raises as `load_synthesizer`.

    ``folder`` holds a checkpoint of the family; None: the embedded one. ``engine`` runs its network: one of the family's, or
    "auto" for the one that is faster on this device.
    """
    given = {} if folder is None else {"folder": folder}
    model: Recognizer = _load(RECOGNIZERS, name)(device=device, max_batch=max_batch, engine=engine, **given)
    return model


def load_voice_makers(voices: Sequence[Voice]) -> dict[str, VoiceMaker]:
    """What can be done with voices of the families that these stock voices belong to, in their order. Loads neither weights
    nor torch."""
    families: dict[str, list[Voice]] = {}
    for voice in voices:
        families.setdefault(voice.family, []).append(voice)
    return {name: _import(VOICE_MAKERS[name])(own) if name in VOICE_MAKERS else VoiceMaker() for name, own in families.items()}


def load_cloner(name: str) -> VoiceCloner:
    """Load what makes voices for a family of synthesizers, on the CPU. Raises as `load_synthesizer`."""
    cloner: VoiceCloner = _load(CLONERS, name)(_import(SPEAKER_ENCODER)())
    return cloner


def importers() -> dict[str, ModelImporter]:
    """What takes checkpoints from outside, by family."""
    return {family: _import(path)() for family, path in IMPORTERS.items()}


def _load(table: Mapping[str, str], name: str) -> Any:
    try:
        return _import(table[name])
    except KeyError:
        raise UnknownFamily(f"model family {name!r} is not known; known families: {', '.join(sorted(table))}") from None


def _import(path: str) -> Any:
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)

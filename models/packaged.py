"""The models that come in the package. Families are code (`models.registry`); models have names of their own."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.importing import ModelKind


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """One model whose weights lie in its family's folder."""

    name: str
    kind: ModelKind
    family: str


VOICE = PackagedModel("conv_tts", "speech", "conv_tts")
RECOGNIZER = PackagedModel("whisper-descant", "recognition", "whisper")
PACKAGED: Mapping[str, PackagedModel] = {model.name: model for model in (VOICE, RECOGNIZER)}

"""Whisper's importer: which layout a checkpoint is in. torch is imported when one is converted or checked."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.importing import Converted, ModelFacts, ModelKind, SourceFiles
from models.whisper.conversion.files import ctranslate2_files, huggingface_files, openai_files

_CT2_KEYS = {"suppress_ids", "suppress_ids_begin", "lang_ids"}


class WhisperImporter:
    """Implements `models.importing.ModelImporter`."""

    kind: ModelKind = "recognition"
    layouts = "Whisper as Hugging Face (config.json, model.safetensors), CTranslate2 (model.bin) or OpenAI (.pt) publish it"

    def wanted(self, names: Collection[str], config: Mapping[str, Any] | None) -> tuple[str, ...] | None:
        if config is None:
            return openai_files(names) or None
        if config.get("model_type") == "whisper":
            return huggingface_files(names) or None
        if _CT2_KEYS & config.keys():
            return ctranslate2_files(names) or None
        return None

    def convert(self, source: SourceFiles, folder: Path, installed: Sequence[Path]) -> Converted:
        from models.whisper.conversion import layouts

        if "config.json" not in source:
            return layouts.from_openai(source, folder, installed)
        config = json.loads(source["config.json"].read_text(encoding="utf-8"))
        if config.get("model_type") == "whisper":
            return layouts.from_huggingface(source, folder)
        return layouts.from_ctranslate2(source, folder)

    def check(self, folder: Path) -> ModelFacts:
        from models.whisper.conversion import at_rest

        return at_rest.check(folder)

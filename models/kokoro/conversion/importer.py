"""Kokoro's importer: which files are taken. torch is imported when some are converted or checked."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.importing import Converted, ModelFacts, ModelKind, SourceFiles
from models.kokoro.conversion.files import wanted_files


class KokoroImporter:
    """Implements `models.importing.ModelImporter`."""

    kind: ModelKind = "speech"
    layouts = (
        "Kokoro as its makers publish it (kokoro-v1_0.pth, voices/*.pt) or as ONNX (float32, float16 or int8) "
        "with voices/*.bin, voices/*.pt or voices-v1.0.bin"
    )

    def wanted(self, names: Collection[str], config: Mapping[str, Any] | None) -> tuple[str, ...] | None:
        return wanted_files(names, config)

    def convert(self, source: SourceFiles, folder: Path, installed: Sequence[Path]) -> Converted:
        from models.kokoro.conversion import layouts

        return layouts.convert(source, folder)

    def check(self, folder: Path) -> ModelFacts:
        from models.kokoro.conversion import at_rest

        return at_rest.check(folder)

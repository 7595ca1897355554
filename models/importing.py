"""How a model family takes checkpoints from outside: any published layout in, one layout of its own at rest out.

Part of the contract between the model store and the families. A family's importer is one line in `models.registry`; the
store knows files, hashes and names, the importer knows what is in them.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

ModelKind = Literal["speech", "recognition"]
"""What a model does: say text, or write down speech."""

SourceFiles = Mapping[str, Path]
"""Files of a checkpoint by their name in it, folders parted by ``/``, and where each lies on disk."""


class UnusableSource(ValueError):
    """These files are no checkpoint that can be used; the message names the file, what is wrong and what is taken."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One file at rest and the source files it was made from, by their names."""

    output: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a family says of a model in its own layout."""

    languages: tuple[str, ...]
    """Short codes, sorted."""
    parameters: int
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Converted:
    """What an importer wrote."""

    layout: str
    """The layout that the source was in, such as "CTranslate2"."""
    conversions: tuple[Conversion, ...]
    """Files that are not byte for byte those of the source."""
    notes: tuple[str, ...] = ()
    """What was completed or left out, for the user to read."""


class ModelImporter(Protocol):
    """A family's importer. Constructing one is cheap; torch is imported only by `convert` and `check`."""

    kind: ModelKind
    layouts: str
    """What it takes, for messages: "Whisper as …"."""

    def wanted(self, names: Collection[str], config: Mapping[str, Any] | None) -> tuple[str, ...] | None:
        """Which of a checkpoint's files `convert` reads; None: it is not in one of this family's layouts.

        ``config`` is the content of its config.json, None where it has none.
        """
        ...

    def convert(self, source: SourceFiles, folder: Path, installed: Sequence[Path]) -> Converted:
        """Write the checkpoint into the empty ``folder``: safetensors, JSON and licence texts only.

        ``installed`` are folders of models of this family, from which a tokenizer may be taken.

        Raises UnusableSource.
        """
        ...

    def check(self, folder: Path) -> ModelFacts:
        """Whether the model in ``folder`` can be loaded: configuration, names and shapes of tensors, tokenizer.

        Raises UnusableSource.
        """
        ...


def read_json(path: Path) -> dict[str, Any]:
    """Raises UnusableSource for what is no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UnusableSource(f"{path} is no JSON file: {error}") from None
    if not isinstance(content, dict):
        raise UnusableSource(f"{path} is no JSON object")
    return content

"""What is recorded of an installed model: one JSON file for each version."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from models.importing import ModelKind
from models.packaged import PACKAGED
from server.model_store.errors import ModelMissing, ModelStoreError
from server.requests.model_ids import RECOGNITION_IDS, SPEECH_IDS

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VERSION_DIGITS = 12
LICENCE_FILE = "LICENSE"
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_KEPT = (".safetensors", ".json")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def check_name(name: str) -> str:
    """Raises ModelStoreError for what is no name of an installed model."""
    if not NAME.fullmatch(name):
        raise ModelStoreError(
            f"{name!r} is no name for a model: up to 64 small letters, digits, dots, dashes and underscores, "
            "a letter or digit first"
        )
    if name in PACKAGED:
        raise ModelStoreError(f"{name!r} is the name of a model in the package; give another")
    if name in SPEECH_IDS or name in RECOGNITION_IDS:
        raise ModelStoreError(f"{name!r} is an id that the API gives to whichever model is first; give another name")
    return name


def split_reference(reference: str) -> tuple[str, str | None]:
    """``name`` or ``name@version``, the version by its first digits. Raises ModelMissing for anything else."""
    name, at, version = reference.partition("@")
    if not NAME.fullmatch(name) or (at and not re.fullmatch(r"[0-9a-f]{4,12}", version)):
        raise ModelMissing(f"{reference!r} is neither a model's name nor NAME@VERSION; see `descant models list`")
    return name, version or None


def check_file_name(path: str) -> str:
    """The name of a file at rest: relative, plain, and of a kind that nothing can execute. Raises ValueError."""
    parts = path.split("/")
    if not all(_PART.fullmatch(part) for part in parts) or len(parts) > 4:
        raise ValueError(f"{path!r} is no plain relative file name")
    if not path.endswith(_KEPT) and parts[-1] != LICENCE_FILE:
        raise ValueError(f"{path!r} is neither safetensors nor JSON nor {LICENCE_FILE}")
    return path


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Record):
    path: Annotated[str, AfterValidator(check_file_name)]
    bytes: int = Field(ge=0)
    sha256: Sha256


class SourceFile(_Record):
    name: str
    bytes: int = Field(ge=0)
    sha256: Sha256
    url: str | None = None


class ConvertedFile(_Record):
    """One file at rest and what it was made of; both ends with their hashes."""

    output: str
    output_sha256: Sha256
    inputs: dict[str, Sha256]


class Licence(_Record):
    id: str
    """An SPDX id where there is one; "not stated" for what a user brought along without saying."""
    accepted_by: str | None = None
    accepted_at: datetime | None = None


class Source(_Record):
    kind: Literal["catalogue", "hub", "import"]
    reference: str
    """The catalogue's name, hf://owner/name@commit, or the paths that were imported."""
    layout: str
    files: tuple[SourceFile, ...]


class Manifest(_Record):
    format: Literal[1] = 1
    name: str = Field(pattern=f"^{NAME.pattern}$")
    version: str
    """The first digits of `digest`: the same content has the same version anywhere."""
    family: str
    kind: ModelKind
    languages: tuple[str, ...]
    sample_rate_hz: int
    parameters: int
    licence: Licence
    source: Source
    files: tuple[StoredFile, ...] = Field(min_length=1)
    conversions: tuple[ConvertedFile, ...] = ()
    notes: tuple[str, ...] = ()
    installed_at: datetime

    @property
    def digest(self) -> str:
        return content_digest(self.files)

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(file.bytes for file in self.files)

    @property
    def memory_bytes(self) -> dict[str, int]:
        """What the weights take when loaded, by number format; work space comes on top."""
        return {"int8": self.parameters, "float16": 2 * self.parameters, "float32": 4 * self.parameters}

    @model_validator(mode="after")
    def _whole(self) -> "Manifest":
        if len({file.path for file in self.files}) != len(self.files):
            raise ValueError("a file is listed twice")
        if self.version != self.digest[:VERSION_DIGITS]:
            raise ValueError(f"version {self.version} is not that of its files, {self.digest[:VERSION_DIGITS]}")
        return self


def content_digest(files: Iterable[StoredFile]) -> str:
    """sha256 over the names and hashes of all files."""
    lines = sorted(f"{file.path} {file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()

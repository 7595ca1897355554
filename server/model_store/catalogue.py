"""Models that `descant models pull` knows by name: each file pinned by address, size and sha256; see catalogue.json."""

import difflib
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from models.importing import ModelKind
from server.model_store.errors import ModelMissing
from server.model_store.manifest import Sha256
from server.model_store.offer import Offer, RemoteFile

CATALOGUE = Path(__file__).parent / "catalogue.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Licence(_Record):
    id: str
    text: str


class _File(_Record):
    name: str
    url: str
    bytes: int = Field(gt=0)
    sha256: Sha256


class _Model(_Record):
    family: str
    kind: ModelKind
    licence: str
    languages: str
    parameters: int
    files: tuple[_File, ...]


class _Content(_Record):
    licences: dict[str, _Licence]
    language_sets: dict[str, tuple[str, ...]]
    models: dict[str, _Model]


class Catalogue:
    def __init__(self, path: Path | None = None) -> None:
        self._path = path or CATALOGUE

    @cached_property
    def _content(self) -> _Content:
        return _Content.model_validate_json(self._path.read_text(encoding="utf-8"))

    def names(self) -> tuple[str, ...]:
        return tuple(self._content.models)

    def offer(self, name: str) -> Offer:
        """Raises ModelMissing with the names that come near: nothing is guessed."""
        if name not in self._content.models:
            near = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.5) or self.names()
            raise ModelMissing(
                f"{name!r} is not in the catalogue; near it: {', '.join(near)}. Others are pulled as hf://OWNER/NAME@COMMIT"
            )
        model = self._content.models[name]
        licence = self._content.licences[model.licence]
        return Offer(
            name=name,
            kind="catalogue",
            reference=name,
            files=tuple(RemoteFile(file.name, file.url, file.bytes, sha256=file.sha256) for file in model.files),
            licence_id=licence.id,
            licence_text=licence.text,
            languages=self._content.language_sets[model.languages],
            parameters=model.parameters,
        )

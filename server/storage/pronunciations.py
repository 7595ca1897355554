"""Pronunciation dictionaries: one private JSON file per owner in the data directory.

The owner is the API key that made them, or nobody ("") where no key is asked for; an owner sees no others.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from server.errors import InvalidRequest, NotFound
from server.requests.speech import Pronunciations, Replacement
from server.storage.json_file import OwnersFiles
from server.text.phonemes import parse_phonemes

MAX_DICTIONARIES = 100
MAX_ITEMS = 1000
MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 2000
MAX_TEXT_CHARS = 100
MAX_ALIAS_CHARS = 400
_LISTED = 10
_INLINE = re.compile(r"<<([^<>]*)>>")


@dataclass(frozen=True, slots=True)
class PronunciationDictionary:
    id: str
    name: str
    description: str
    owner_id: str
    pinned: bool
    created_at: str
    """RFC 3339, UTC."""
    pronunciations: Pronunciations


_Kept = tuple[PronunciationDictionary, ...]


class PronunciationStore:
    """Dictionaries in ``folder``, which need not exist. Safe to use from several threads; changes wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._files = OwnersFiles(folder, _parse, "pronunciation dictionaries")

    def list(self, owner_id: str) -> _Kept:
        """The owner's dictionaries, newest first."""
        return self._files.read(owner_id)

    def get(self, owner_id: str, dictionary_id: str, field: str = "id") -> PronunciationDictionary:
        """Raises NotFound under ``field``, listing some of the owner's ids."""
        kept = self.list(owner_id)
        found = next((dictionary for dictionary in kept if dictionary.id == dictionary_id), None)
        if found is None:
            listed = ", ".join(f"{dictionary.id} ({dictionary.name})" for dictionary in kept[:_LISTED])
            accepted = f"accepted values: {listed}{', …' if len(kept) > _LISTED else ''}" if kept else "you have none yet"
            message = f"{field}: you have no pronunciation dictionary with the id {dictionary_id[:80]!r}; {accepted}"
            raise NotFound(message, field=field)
        return found

    def create(self, owner_id: str, name: str, items: Sequence[Replacement], description: str = "") -> PronunciationDictionary:
        """Raises InvalidRequest for a name or an item that cannot be used, and when the owner has as many as may be."""
        _check(name, description, items)
        made = PronunciationDictionary(
            id="pdict_" + secrets.token_urlsafe(16),
            name=name,
            description=description,
            owner_id=owner_id,
            pinned=False,
            created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            pronunciations=Pronunciations(tuple(items)),
        )

        def add(kept: _Kept) -> _Kept:
            if len(kept) >= MAX_DICTIONARIES:
                message = f"You have {len(kept)} pronunciation dictionaries, the most there may be; delete one first."
                raise InvalidRequest(message)
            return (made, *kept)

        self._files.change(owner_id, add)
        return made

    def update(
        self,
        owner_id: str,
        dictionary_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        items: Sequence[Replacement] | None = None,
        pinned: bool | None = None,
    ) -> PronunciationDictionary:
        """Change what is given; items are replaced as a whole. Raises NotFound or InvalidRequest."""
        self.get(owner_id, dictionary_id)

        def change(old: PronunciationDictionary) -> PronunciationDictionary:
            if old.id != dictionary_id:
                return old
            changed = replace(
                old,
                name=old.name if name is None else name,
                description=old.description if description is None else description,
                pinned=old.pinned if pinned is None else pinned,
                pronunciations=old.pronunciations if items is None else Pronunciations(tuple(items)),
            )
            _check(changed.name, changed.description, changed.pronunciations.entries)
            return changed

        self._files.change(owner_id, lambda kept: tuple(change(dictionary) for dictionary in kept))
        return self.get(owner_id, dictionary_id)

    def delete(self, owner_id: str, dictionary_id: str) -> None:
        """Raises NotFound."""
        self.get(owner_id, dictionary_id)
        self._files.change(owner_id, lambda kept: tuple(other for other in kept if other.id != dictionary_id))


def _parse(row: Any) -> PronunciationDictionary:
    return PronunciationDictionary(**{**row, "pronunciations": _entries(row)})


def _entries(row: Any) -> Pronunciations:
    return Pronunciations(tuple(Replacement(**entry) for entry in row["pronunciations"]["entries"]))


def _check(name: str, description: str, items: Sequence[Replacement]) -> None:
    if not name.strip():
        raise InvalidRequest("name: must not be blank", field="name")
    _check_length("name", name, MAX_NAME_CHARS)
    _check_length("description", description, MAX_DESCRIPTION_CHARS)
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(f"items: {len(items)} were given; at most {MAX_ITEMS} are taken", field="items")
    for place, item in enumerate(items):
        for part, text, most_chars in (("text", item.text, MAX_TEXT_CHARS), ("alias", item.alias, MAX_ALIAS_CHARS)):
            field = f"items.{place}.{part}"
            if not any(char.isalnum() for char in text):
                raise InvalidRequest(f"{field}: must hold a letter or a digit", field=field)
            _check_length(field, text, most_chars)
        _check_phones(f"items.{place}.alias", item.alias)


def _check_length(field: str, text: str, most_chars: int) -> None:
    if len(text) > most_chars:
        raise InvalidRequest(f"{field}: has {len(text)} characters; at most {most_chars} are taken", field=field)


def _check_phones(field: str, alias: str) -> None:
    for inline in _INLINE.findall(alias):
        parsed = parse_phonemes(inline)
        if parsed.unknown or not parsed.phones:
            what = f"holds {', '.join(map(repr, parsed.unknown))}, which" if parsed.unknown else "holds nothing that"
            raise InvalidRequest(f"{field}: <<{inline}>> {what} is no phone in IPA or in MFA or ARPABET symbols", field=field)

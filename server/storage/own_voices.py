"""Voices that users made, by cloning or mixing: one private JSON file per owner in the data directory.

The owner is the API key that made them. What is made where no key is asked for, or on the command line, belongs to
the server ("") and every key may speak with it.
"""

import time
import uuid
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from models.voices import Voice
from server.errors import InvalidRequest, VoiceNotFound
from server.storage.json_file import OwnersFiles

MAX_VOICES = 200
MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 2000


@dataclass(frozen=True, slots=True)
class OwnVoice:
    voice: Voice
    owner_id: str
    created_at: str
    """RFC 3339, UTC."""


_Kept = tuple[OwnVoice, ...]
_SHOWN = frozenset(field.name for field in fields(Voice)) - {"family", "record"}


class OwnVoices:
    """Voices of all families in ``folder``, which need not exist. Thread-safe; changes wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._files = OwnersFiles(folder, _parse, "voices")

    def list(self, owner_id: str) -> _Kept:
        """The owner's voices, newest first; the same object until one changes. Raises JsonFileError."""
        return self._files.read(owner_id)

    def create(self, owner_id: str, voice: Voice) -> OwnVoice:
        """Keep a voice under a new id. Raises InvalidRequest for its name and when the owner has as many as may be."""
        check_words(voice.name, voice.description)
        created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        made = OwnVoice(replace(voice, id=str(uuid.uuid4())), owner_id, created_at)

        def add(kept: _Kept) -> _Kept:
            if len(kept) >= MAX_VOICES:
                raise InvalidRequest(f"You have {len(kept)} voices of your own, the most there may be; delete one first.")
            return (made, *kept)

        self._files.change(owner_id, add)
        return made

    def update(self, owner_id: str, voice_id: str, **changes: str) -> OwnVoice:
        """Change name, description or gender. Raises VoiceNotFound or InvalidRequest."""
        self._find(owner_id, voice_id)

        def change(own: OwnVoice) -> OwnVoice:
            if own.voice.id != voice_id:
                return own
            voice = replace(own.voice, **changes)  # type: ignore[arg-type]
            check_words(voice.name, voice.description)
            return replace(own, voice=voice)

        self._files.change(owner_id, lambda kept: tuple(change(own) for own in kept))
        return self._find(owner_id, voice_id)

    def delete(self, owner_id: str, voice_id: str) -> None:
        """Raises VoiceNotFound."""
        self._find(owner_id, voice_id)
        self._files.change(owner_id, lambda kept: tuple(own for own in kept if own.voice.id != voice_id))

    def _find(self, owner_id: str, voice_id: str) -> OwnVoice:
        found = next((own for own in self.list(owner_id) if own.voice.id == voice_id), None)
        if found is None:
            message = f"id: you own no voice with the id {voice_id[:80]!r}; only voices that you made can be changed"
            raise VoiceNotFound(message, field="id")
        return found


def _parse(row: Any) -> OwnVoice:
    voice = row["voice"]
    if "record" not in voice:
        # Until 0.1 the family stood beside the voice, and the fields of its record among the others.
        record = {name: value for name, value in voice.items() if name not in _SHOWN}
        voice = {name: value for name, value in voice.items() if name in _SHOWN} | {"family": row["family"], "record": record}
    return OwnVoice(Voice(**voice), row["owner_id"], row["created_at"])


def check_words(name: str, description: str) -> None:
    """Raises InvalidRequest for words that no voice may be kept under."""
    if not name.strip():
        raise InvalidRequest("name: is required", field="name")
    for field, text, most in (("name", name, MAX_NAME_CHARS), ("description", description, MAX_DESCRIPTION_CHARS)):
        if len(text) > most:
            raise InvalidRequest(f"{field}: has {len(text)} characters; at most {most} are taken", field=field)

"""The key store: only hashes on disk, private file, changes seen at once, damage reported."""

import json
import stat
from pathlib import Path

import pytest

from server.storage.json_file import JsonFileError
from server.storage.keys import KeyStore


def test_key_is_known_by_its_hash_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    store = KeyStore(path)
    assert store.list() == ()
    plain = store.create("agents")
    (key,) = store.list()
    assert store.verify(plain) == key.id
    assert (key.name, key.created_at[-1]) == ("agents", "Z")
    assert plain.startswith(key.hint)
    assert plain not in path.read_text()
    assert len(plain) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("wrong", ["", "sk_descant_", "x" * 100, "schlüssel", "\udcff"])
def test_wrong_keys_are_nobody(tmp_path: Path, wrong: str) -> None:
    store = KeyStore(tmp_path / "keys.json")
    plain = store.create("one")
    assert store.verify(wrong) is None
    assert store.verify(plain + " ") is None
    assert store.verify(plain[:-1]) is None


def test_another_process_sees_changes_at_once(tmp_path: Path) -> None:
    server, command_line = KeyStore(tmp_path / "keys.json"), KeyStore(tmp_path / "keys.json")
    assert server.verify("x") is None
    first, second = command_line.create("first"), command_line.create("second")
    first_id = server.verify(first)
    assert first_id is not None
    assert server.verify(second) not in (None, first_id)
    assert command_line.revoke(first_id)
    assert not command_line.revoke(first_id)
    assert server.verify(first) is None
    assert server.verify(second) is not None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"keys": [{"id": 1}]}', "\x00\xff"])
def test_damaged_file_lets_nobody_in_and_says_so(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "keys.json"
    store = KeyStore(path)
    plain = store.create("one")
    path.write_text(damage)
    with pytest.raises(JsonFileError, match="restore it or delete it"):
        store.verify(plain)
    with pytest.raises(JsonFileError):
        store.create("two")
    assert path.read_text() == damage


def test_file_is_plain_json(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json")
    store.create("ü")
    (row,) = json.loads((tmp_path / "keys.json").read_text())["keys"]
    assert set(row) == {"id", "name", "hint", "created_at", "sha256"}

"""The store of pronunciation dictionaries: kept per owner, private, bounded, the same in every process."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.errors import InvalidRequest, NotFound
from server.requests.speech import Replacement
from server.storage.json_file import JsonFileError
from server.storage.pronunciations import MAX_ALIAS_CHARS, MAX_DICTIONARIES, MAX_ITEMS, MAX_NAME_CHARS, PronunciationStore

GIF = Replacement("GIF", "<<dʒ|ɪ|f>>")
SQL = Replacement("sql", "sequel", case_sensitive=True)


def test_what_is_kept_outlives_the_process_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "pronunciations"
    made = PronunciationStore(folder).create("key_1", "names", [GIF, SQL], "ours")
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "key_1" not in file.name
    kept = PronunciationStore(folder).get("key_1", made.id)
    assert (kept.name, kept.description, kept.pinned, kept.created_at) == ("names", "ours", False, made.created_at)
    assert kept.pronunciations.entries == (GIF, SQL)


def test_owners_see_their_own_only(tmp_path: Path) -> None:
    store = PronunciationStore(tmp_path)
    mine, other = store.create("key_1", "mine", [GIF]), store.create("", "nobody's", [])
    assert [entry.id for entry in store.list("key_1")] == [mine.id]
    for owner, id in (("", mine.id), ("key_1", other.id), ("../key_1", mine.id)):
        with pytest.raises(NotFound):
            store.get(owner, id)
        with pytest.raises(NotFound):
            store.update(owner, id, name="stolen")
        with pytest.raises(NotFound):
            store.delete(owner, id)
    assert store.get("key_1", mine.id).name == "mine"


def test_changes_and_their_order(tmp_path: Path) -> None:
    store = PronunciationStore(tmp_path)
    old, new = store.create("", "old", [GIF]), store.create("", "new", [])
    assert [entry.name for entry in store.list("")] == ["new", "old"]
    changed = store.update("", old.id, items=[SQL], pinned=True)
    assert (changed.name, changed.pinned, changed.pronunciations.entries) == ("old", True, (SQL,))
    assert store.update("", old.id, name="older").pronunciations.entries == (SQL,)
    assert [entry.name for entry in store.list("")] == ["new", "older"]
    store.delete("", new.id)
    with pytest.raises(NotFound, match=old.id):
        store.get("", new.id)


def test_the_same_entries_until_they_change(tmp_path: Path) -> None:
    """What is compiled of a dictionary is found by identity."""
    store = PronunciationStore(tmp_path)
    id = store.create("", "names", [GIF]).id
    entries = store.get("", id).pronunciations
    assert store.get("", id).pronunciations is entries
    store.update("", id, items=[SQL])
    assert store.get("", id).pronunciations is not entries


def test_another_process_sees_changes_at_once(tmp_path: Path) -> None:
    one, other = PronunciationStore(tmp_path), PronunciationStore(tmp_path)
    assert other.list("") == ()
    made = one.create("", "names", [GIF])
    assert other.get("", made.id).pronunciations.entries == (GIF,)


def test_no_change_is_lost_between_threads(tmp_path: Path) -> None:
    store = PronunciationStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: store.create("", f"d{number}", [GIF]), range(40)))
    assert {entry.id for entry in store.list("")} == {entry.id for entry in made}


@pytest.mark.parametrize(
    ("name", "items", "field"),
    [
        ("", [], "name"),
        ("x" * (MAX_NAME_CHARS + 1), [], "name"),
        ("a", [GIF] * (MAX_ITEMS + 1), "items"),
        ("a", [GIF, Replacement(" ", "b")], "items.1.text"),
        ("a", [Replacement("b", "")], "items.0.alias"),
        ("a", [Replacement("b", "c" * (MAX_ALIAS_CHARS + 1))], "items.0.alias"),
        ("a", [Replacement("b", "<<k|5|t>>")], "items.0.alias"),
        ("a", [Replacement("b", "say <<>>")], "items.0.alias"),
    ],
)
def test_unusable_entries_are_refused(tmp_path: Path, name: str, items: list[Replacement], field: str) -> None:
    store = PronunciationStore(tmp_path)
    kept = store.create("", "kept", [SQL])
    with pytest.raises(InvalidRequest) as refusal:
        store.create("", name, items)
    assert refusal.value.field == field
    with pytest.raises(InvalidRequest):
        store.update("", kept.id, name=name, items=items)
    assert store.list("") == (kept,) or store.get("", kept.id).pronunciations.entries == (SQL,)


def test_an_owner_has_a_bounded_number(tmp_path: Path) -> None:
    store = PronunciationStore(tmp_path)
    for number in range(MAX_DICTIONARIES):
        store.create("greedy", str(number), [])
    with pytest.raises(InvalidRequest, match=f"{MAX_DICTIONARIES} pronunciation dictionaries"):
        store.create("greedy", "one more", [])
    store.create("modest", "first", [])


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"items": [{"id": 1}]}'])
def test_a_damaged_file_is_said_and_kept(tmp_path: Path, damage: str) -> None:
    store = PronunciationStore(tmp_path)
    store.create("", "names", [GIF])
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())
    file.write_text(damage)
    with pytest.raises(JsonFileError, match="restore it or delete it"):
        store.create("", "more", [])
    assert file.read_text() == damage

"""The store of voices that users made: kept per owner, private, bounded, the same in every process."""

import json
import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from models.voices import Character, Voice
from server.errors import InvalidRequest, VoiceNotFound
from server.storage.json_file import JsonFileError
from server.storage.own_voices import MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_VOICES, OwnVoices
from server.storage.voices import VoiceStore
from tests.fakes import ANNA, BERT

CLONE = Voice(
    "",
    "Mine",
    "",
    "en",
    "en-US",
    "",
    (("anna", 0.25), ("bert", 0.75)),
    Character(-0.3, 0.1, -0.05, -1.0, 0.1, (0.2, -0.7), (0.1,)),
)


def test_what_is_kept_outlives_the_process_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "voices"
    made = OwnVoices(folder, "fake").create("key_1", CLONE)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "key_1" not in file.name
    (kept,) = OwnVoices(folder, "fake").list("key_1")
    assert kept == made
    assert kept.voice == replace(CLONE, id=made.voice.id)


def test_owners_see_their_own_and_the_servers(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path, "fake")
    store = VoiceStore([ANNA, BERT], own)
    mine, shared = own.create("key_1", CLONE).voice, own.create("", replace(CLONE, name="Everybody's")).voice
    assert store.of("key_1").list() == [ANNA, BERT, mine, shared]
    assert store.of("key_2").list() == store.of("").list() == [ANNA, BERT, shared]
    assert store.of("key_1").find("mine") == mine
    with pytest.raises(VoiceNotFound):
        store.of("key_2").get(mine.id)
    for owner, voice in (("key_2", mine), ("key_1", shared), ("../key_1", mine), ("key_1", ANNA)):
        with pytest.raises(VoiceNotFound, match="only voices that you made"):
            own.update(owner, voice.id, name="stolen")
        with pytest.raises(VoiceNotFound):
            own.delete(owner, voice.id)
    assert store.of("key_1").get(mine.id).name == "Mine"


def test_changes_and_their_order(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path, "fake")
    old, new = own.create("", CLONE).voice, own.create("", replace(CLONE, name="New")).voice
    assert [made.voice.name for made in own.list("")] == ["New", "Mine"]
    changed = own.update("", old.id, name="Older", gender="feminine")
    assert changed.voice == replace(old, name="Older", gender="feminine")
    assert own.update("", old.id, description="Of an old clip.").voice.name == "Older"
    own.delete("", new.id)
    assert [made.voice.name for made in own.list("")] == ["Older"]
    with pytest.raises(VoiceNotFound):
        own.delete("", new.id)


def test_a_stock_voice_keeps_its_name(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path, "fake")
    made = own.create("", replace(CLONE, name="anna")).voice
    voices = VoiceStore([ANNA, BERT], own).of("")
    assert voices.find("Anna") is ANNA
    assert voices.get(made.id) == made


def test_voices_kept_by_an_earlier_version_are_read(tmp_path: Path) -> None:
    """Before a character had any movement."""
    own = OwnVoices(tmp_path, "fake")
    made = own.create("", CLONE)
    (file,) = tmp_path.iterdir()
    data = json.loads(file.read_text())
    del data["items"][0]["voice"]["character"]["cepstrum_movement"]
    file.write_text(json.dumps(data))
    (read,) = OwnVoices(tmp_path, "fake").list("")
    assert read.voice.character == replace(made.voice.character, cepstrum_movement=())


def test_another_process_sees_changes_at_once(tmp_path: Path) -> None:
    store = VoiceStore([ANNA], OwnVoices(tmp_path, "fake"))
    assert store.of("").list() == [ANNA]
    assert store.of("") is store.of("")
    made = OwnVoices(tmp_path, "fake").create("", replace(CLONE, speakers=(("anna", 1.0),)))
    assert store.of("").list() == [ANNA, made.voice]


def test_no_change_is_lost_between_threads(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path, "fake")
    one = own.create("", CLONE).voice
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: own.create("", replace(CLONE, name=f"v{number}")), range(30)))
        list(pool.map(lambda change: own.update("", one.id, **change), ({"name": "N"}, {"description": "D"}) * 5))
    assert {entry.voice.id for entry in own.list("")} == {one.id, *(entry.voice.id for entry in made)}
    (changed,) = (entry.voice for entry in own.list("") if entry.voice.id == one.id)
    assert (changed.name, changed.description) == ("N", "D")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * (MAX_NAME_CHARS + 1)}, "name"),
        ({"description": "x" * (MAX_DESCRIPTION_CHARS + 1)}, "description"),
    ],
)
def test_unusable_words_are_refused(tmp_path: Path, changes: dict[str, str], field: str) -> None:
    own = OwnVoices(tmp_path, "fake")
    kept = own.create("", CLONE)
    with pytest.raises(InvalidRequest) as refusal:
        own.create("", replace(CLONE, **changes))  # type: ignore[arg-type]
    assert refusal.value.field == field
    with pytest.raises(InvalidRequest):
        own.update("", kept.voice.id, **changes)
    assert own.list("") == (kept,)


def test_an_owner_has_a_bounded_number(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path, "fake")
    for _ in range(MAX_VOICES):
        own.create("greedy", CLONE)
    with pytest.raises(InvalidRequest, match=f"{MAX_VOICES} voices"):
        own.create("greedy", CLONE)
    own.create("modest", CLONE)


def test_voices_of_another_model_are_kept_and_not_offered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = OwnVoices(tmp_path, "other").create("", CLONE)
    lost = OwnVoices(tmp_path, "fake").create("", replace(CLONE, name="Lost", speakers=(("carla", 1.0),)))
    apart = OwnVoices(tmp_path, "fake").create("", replace(CLONE, name="Apart", network="not-installed"))
    good = OwnVoices(tmp_path, "fake").create("", CLONE)
    with caplog.at_level(logging.WARNING, "descant.voices"):
        assert VoiceStore([ANNA, BERT], OwnVoices(tmp_path, "fake")).of("").list() == [ANNA, BERT, good.voice]
    assert lost.voice.id in caplog.text
    assert apart.voice.id in caplog.text
    (file,) = tmp_path.iterdir()
    assert [row["voice"]["id"] for row in json.loads(file.read_text())["items"]] == [
        made.voice.id for made in (good, apart, lost, other)
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"items": [{"voice": 1}]}'])
def test_a_damaged_file_is_said_and_kept(tmp_path: Path, damage: str) -> None:
    own = OwnVoices(tmp_path, "fake")
    own.create("", CLONE)
    (file,) = tmp_path.iterdir()
    file.write_text(damage)
    with pytest.raises(JsonFileError, match="restore it or delete it"):
        own.create("", CLONE)
    assert file.read_text() == damage

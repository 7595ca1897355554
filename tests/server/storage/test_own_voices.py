"""The store of voices that users made: kept per owner, private, bounded, the same in every process."""

import json
import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from models.conv_tts.record import Character, Timbre
from models.voices import Voice
from server.errors import InvalidRequest, VoiceNotFound
from server.storage.json_file import JsonFileError
from server.storage.own_voices import MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_VOICES, OwnVoices
from server.storage.voices import VoiceStore
from tests.fakes import ANNA, BERT, MAKERS

CLONE = Voice(
    "",
    "Mine",
    "",
    "en",
    "en-US",
    "",
    "fake",
    {"anna": 0.25, "bert": 0.75, "pitch": -0.3},
)


def test_what_is_kept_outlives_the_process_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "voices"
    made = OwnVoices(folder).create("key_1", CLONE)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "key_1" not in file.name
    (kept,) = OwnVoices(folder).list("key_1")
    assert kept == made
    assert kept.voice == replace(CLONE, id=made.voice.id)


def test_owners_see_their_own_and_the_servers(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path)
    store = VoiceStore({"fake": [ANNA, BERT]}, own, MAKERS)
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
    own = OwnVoices(tmp_path)
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
    own = OwnVoices(tmp_path)
    made = own.create("", replace(CLONE, name="anna")).voice
    voices = VoiceStore({"fake": [ANNA, BERT]}, own, MAKERS).of("")
    assert voices.find("Anna") is ANNA
    assert voices.get(made.id) == made


EARLIER = {
    "items": [
        {
            "voice": {
                "id": "008fef0c-b484-40f9-aa24-cfa0f9b10d24", "name": "Mixed", "description": "", "language": "de",
                "locale": "de-DE", "gender": "", "speakers": [["de-m", 0.5], ["de-f", 0.5]],
                "character": {
                    "log_f0": 0.0, "log_pitch_spread": 0.0, "log_formants": 0.0, "voicing_logit": 0.0, "log_rate": 0.0,
                    "cepstrum": [], "cepstrum_movement": [],
                },
                "network": "voice-multi", "pronunciation": "",
            },
            "owner_id": "", "family": "conv_tts", "created_at": "2026-11-29T02:18:33Z",
        },
        {
            "voice": {
                "id": "8bdd3866-be53-4e2b-be2f-2534c3a3cbfc", "name": "Ada", "description": "From a clip.", "language": "en",
                "locale": "en-US", "gender": "feminine", "speakers": [["rms", 0.25], ["slt", 0.75]],
                "character": {
                    "log_f0": -0.3, "log_pitch_spread": 0.1, "log_formants": -0.05, "voicing_logit": -1.0, "log_rate": 0.1,
                    "cepstrum": [0.2, -0.7],
                },
                "network": "", "pronunciation": "en-GB",
            },
            "owner_id": "", "family": "conv_tts", "created_at": "2026-11-29T02:18:33Z",
        },
    ]
}  # fmt: skip
"""As versions up to 0.1.0 wrote it, the second one from before a character had any movement."""


def test_voices_kept_by_an_earlier_version_are_read_and_written_anew(tmp_path: Path) -> None:
    (tmp_path / "e3b0c44298fc1c149afbf4c8996fb924.json").write_text(json.dumps(EARLIER))
    own = OwnVoices(tmp_path)
    mixed, ada = own.list("")
    assert ada.voice == replace(ada.voice, name="Ada", language="en", family="conv_tts", pronunciation="en-GB")
    assert ada.created_at == "2026-11-29T02:18:33Z"
    assert Timbre.of(ada.voice.record) == Timbre(
        (("rms", 0.25), ("slt", 0.75)), Character(-0.3, 0.1, -0.05, -1.0, 0.1, (0.2, -0.7))
    )
    assert Timbre.of(mixed.voice.record) == Timbre((("de-m", 0.5), ("de-f", 0.5)), network="voice-multi")
    own.update("", mixed.voice.id, name="Between")
    assert OwnVoices(tmp_path).list("") == (replace(mixed, voice=replace(mixed.voice, name="Between")), ada)
    assert "record" in (tmp_path / "e3b0c44298fc1c149afbf4c8996fb924.json").read_text()


def test_another_process_sees_changes_at_once(tmp_path: Path) -> None:
    store = VoiceStore({"fake": [ANNA]}, OwnVoices(tmp_path), MAKERS)
    assert store.of("").list() == [ANNA]
    assert store.of("") is store.of("")
    made = OwnVoices(tmp_path).create("", replace(CLONE, record={"anna": 1.0}))
    assert store.of("").list() == [ANNA, made.voice]


def test_no_change_is_lost_between_threads(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path)
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
    own = OwnVoices(tmp_path)
    kept = own.create("", CLONE)
    with pytest.raises(InvalidRequest) as refusal:
        own.create("", replace(CLONE, **changes))  # type: ignore[arg-type]
    assert refusal.value.field == field
    with pytest.raises(InvalidRequest):
        own.update("", kept.voice.id, **changes)
    assert own.list("") == (kept,)


def test_an_owner_has_a_bounded_number(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path)
    for _ in range(MAX_VOICES):
        own.create("greedy", CLONE)
    with pytest.raises(InvalidRequest, match=f"{MAX_VOICES} voices"):
        own.create("greedy", CLONE)
    own.create("modest", CLONE)


def test_voices_of_another_model_are_kept_and_not_offered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = OwnVoices(tmp_path).create("", replace(CLONE, name="Other", family="other"))
    lost = OwnVoices(tmp_path).create("", replace(CLONE, name="Lost", record={"carla": 1.0}))
    good = OwnVoices(tmp_path).create("", CLONE)
    with caplog.at_level(logging.WARNING, "descant.voices"):
        assert VoiceStore({"fake": [ANNA, BERT]}, OwnVoices(tmp_path), MAKERS).of("").list() == [ANNA, BERT, good.voice]
    assert lost.voice.id in caplog.text
    assert other.voice.id not in caplog.text
    (file,) = tmp_path.iterdir()
    assert [row["voice"]["id"] for row in json.loads(file.read_text())["items"]] == [
        made.voice.id for made in (good, lost, other)
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"items": [{"voice": 1}]}'])
def test_a_damaged_file_is_said_and_kept(tmp_path: Path, damage: str) -> None:
    own = OwnVoices(tmp_path)
    own.create("", CLONE)
    (file,) = tmp_path.iterdir()
    file.write_text(damage)
    with pytest.raises(JsonFileError, match="restore it or delete it"):
        own.create("", CLONE)
    assert file.read_text() == damage

"""The voice store: ids, names, stand-ins, mixtures."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.voices import Voice
from server.errors import InvalidRequest, VoiceNotFound
from server.storage.own_voices import OwnVoices
from server.storage.voices import STAND_INS, Voices, VoiceStore
from tests.fakes import ANNA, BERT, CLEO, DAI, MAKERS


def voices_of(*stock: Voice) -> Voices:
    return VoiceStore({"fake": stock}, OwnVoices(Path("nowhere")), MAKERS).of("")


@pytest.fixture
def store() -> Voices:
    return voices_of(ANNA, BERT)


def test_ids_in_any_case_and_names_where_people_type_them(store: Voices) -> None:
    assert store.get(ANNA.id) is store.get(f" {ANNA.id.upper()} ") is ANNA
    assert store.find("BERT") is BERT
    assert store.find(BERT.id) is BERT
    with pytest.raises(VoiceNotFound):
        store.get("bert")
    assert store.languages() == ("en",)


@pytest.mark.parametrize("unknown", ["", "nobody", "../../etc/passwd", "00000000-0000-4000-8000-ffffffffffff"])
def test_unknown_ids_are_refused_with_the_list(store: Voices, unknown: str) -> None:
    with pytest.raises(VoiceNotFound) as error:
        store.get(unknown)
    assert error.value.field == "voice"
    assert ANNA.id in error.value.message
    assert BERT.id in error.value.message


def test_every_well_known_id_is_answered_by_a_voice_of_its_gender(store: Voices) -> None:
    for foreign, (_, gender) in STAND_INS.items():
        assert store.get(foreign).gender == gender
    assert voices_of(BERT).get("f786b574-daa5-4673-aa0c-cbe3e8534c02") is BERT


def test_local_voice_keeps_an_id_that_is_also_well_known() -> None:
    katie = replace(BERT, id="f786b574-daa5-4673-aa0c-cbe3e8534c02", name="Katie")
    assert voices_of(ANNA, katie).get(katie.id) is katie


def test_a_stand_in_speaks_the_language_that_is_asked_for() -> None:
    katie, jameson = "f786b574-daa5-4673-aa0c-cbe3e8534c02", "a5136bf9-224c-4d76-b823-52bd5efcffcc"
    german = replace(BERT, id="v-de", name="Bernd", language="de", locale="de-DE")
    store = voices_of(ANNA, BERT, german)
    assert store.get(jameson) is store.get(jameson, "en") is BERT
    assert store.get(jameson, "de") is store.get(katie, "de") is store.find(katie, "de") is german
    assert store.get(katie, "en") is ANNA
    assert store.get(BERT.id, "de") is BERT


def several(own: OwnVoices) -> Voices:
    return VoiceStore({"fake": [ANNA, BERT], "reader": [CLEO, DAI], "fake-2": [ANNA]}, own, MAKERS).of("")


def test_a_stand_in_is_of_the_model_that_is_asked() -> None:
    katie, jameson = "f786b574-daa5-4673-aa0c-cbe3e8534c02", "a5136bf9-224c-4d76-b823-52bd5efcffcc"
    store = several(OwnVoices(Path("nowhere")))
    fake, reader = store.of_model("fake"), store.of_model("reader")
    assert store.get(katie) is fake.get(katie) is fake.get(katie, "ja") is ANNA
    assert reader.get(katie, "en") is reader.get(jameson) is reader.find(jameson, "en") is CLEO
    assert reader.get(katie, "ja") is reader.get(jameson, "ja") is store.get(jameson, "ja") is DAI


def test_a_voice_that_two_models_have_is_listed_once_and_found_in_both(tmp_path: Path) -> None:
    own = OwnVoices(tmp_path)
    mine = own.create("", replace(BERT, name="Mine")).voice
    store = several(own)
    assert store.list() == [ANNA, BERT, CLEO, DAI, mine]
    assert [store.model_of(voice) for voice in store.list()] == ["fake", "fake", "reader", "reader", "fake"]
    assert store.of_model("fake").list() == [ANNA, BERT, mine]
    assert store.of_model("fake-2").list() == [ANNA, mine]
    assert store.of_model("reader").list() == [CLEO, DAI]
    assert store.of_model("reader").languages() == ("en", "ja")
    assert store.of_model("reader").first() is CLEO


@pytest.mark.parametrize("named", [ANNA.id, ANNA.id.upper(), f"{CLEO.id}+{ANNA.id}"])
def test_a_voice_of_another_model_is_refused_with_the_voices_of_this_one(named: str) -> None:
    reader = several(OwnVoices(Path("nowhere"))).of_model("reader")
    with pytest.raises(InvalidRequest, match=rf"'Anna' is .* 'fake', not of 'reader'; .*: {CLEO.id} \(Cleo\), ") as refused:
        reader.get(named)
    assert refused.value.field == "voice"
    with pytest.raises(InvalidRequest, match="'Bert' is a voice of the model 'fake'"):
        reader.find("bert")
    with pytest.raises(VoiceNotFound):
        reader.get("nobody")


def test_first_voice_of_a_locale_else_of_its_language_else_of_all() -> None:
    german = replace(BERT, id="v-de", name="Bernd", language="de", locale="de-DE")
    store = voices_of(ANNA, BERT, german)
    assert [store.first(tag) for tag in (None, "en", "en_gb", "en-AU", "DE")] == [ANNA, ANNA, BERT, ANNA, german]


def test_mixture_weighs_the_speakers_of_its_voices(store: Voices) -> None:
    mixed = store.get(f"anna:3+{BERT.id}")
    assert mixed.record == {"anna": 0.75, "bert": 0.25}
    assert mixed.gender == "gender_neutral"
    assert store.get(mixed.id) == mixed
    nested = store.mix([(mixed, 1.0), (ANNA, 1.0)])
    assert nested.record == {"anna": 0.875, "bert": 0.125}


@pytest.mark.parametrize(
    "wrong", ["anna+", "anna:x+bert", "anna:-1+bert", "anna:0+bert:0", "+".join(["anna"] * 9), "a:b:c+anna"]
)
def test_wrong_mixtures_are_refused(store: Voices, wrong: str) -> None:
    with pytest.raises((InvalidRequest, VoiceNotFound)):
        store.get(wrong)


def test_mixture_stays_in_one_language() -> None:
    store = voices_of(ANNA, replace(BERT, language="de", locale="de-DE"))
    with pytest.raises(InvalidRequest, match="same language"):
        store.get("anna+bert")


def test_what_does_not_mix() -> None:
    british = replace(BERT, id="v-gb", name="Brit", pronunciation="en-GB")
    with pytest.raises(InvalidRequest, match="one pronunciation does not mix"):
        voices_of(ANNA, british).get("anna+brit")
    with pytest.raises(InvalidRequest, match="one model does not mix"):
        voices_of(ANNA, CLEO).get("anna+cleo")
    twin = replace(CLEO, id="twin", name="Twin")
    with pytest.raises(InvalidRequest, match="voices of the model 'reader' do not mix") as refusal:
        voices_of(ANNA, CLEO, twin).get("cleo+twin")
    assert refusal.value.field == "voice"


def test_store_refuses_to_be_ambiguous() -> None:
    with pytest.raises(ValueError, match="at least one"):
        voices_of()
    with pytest.raises(ValueError, match="unique"):
        voices_of(ANNA, ANNA)

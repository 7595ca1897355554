"""Voice endpoints: pages, filters, and the shape of each version."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.voices import EMBEDDING_SIZE, Voice
from server.api.embeddings import embedding_of, voice_of
from server.storage.own_voices import OwnVoices
from server.storage.voices import VoiceStore
from tests.fakes import ANNA, BERT, CLEO, MAKERS
from tests.server.api.harness import VERSIONS

PAGED = [version for version in VERSIONS if version >= "2024-11-13"]


def voices(http: httpx.Client, query: str = "", version: str = "2026-08-14") -> Any:
    answer = http.get(f"/voices{query}", headers={"Cartesia-Version": version})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("version", PAGED)
@pytest.mark.parametrize("path", ["/voices", "/voices/"])
def test_list_in_pages(http: httpx.Client, path: str, version: str) -> None:
    answer = http.get(path, headers={"Cartesia-Version": version})
    assert answer.history == []
    page = answer.json()
    assert set(page) == {"data", "has_more", "next_page"}
    assert [voice["id"] for voice in page["data"]] == [ANNA.id, BERT.id]
    assert (page["has_more"], page["next_page"]) == (False, None)
    voice = page["data"][1]
    expected = {
        "id": BERT.id, "name": "Bert", "description": "Another fake voice.", "language": "en", "gender": "masculine",
        "country": "GB", "locales": [{"locale": "en-GB", "is_native": True}], "is_owner": False, "is_public": True,
        "access": "public", "visibility": "all", "tagline": "",
    }  # fmt: skip
    assert {name: voice[name] for name in expected} == expected
    assert voice["created_at"].endswith("Z")
    assert "embedding" not in voice


def test_oldest_version_gets_a_bare_array_with_embeddings(http: httpx.Client) -> None:
    rows = voices(http, "?limit=1", "2024-06-10")
    assert [row["id"] for row in rows] == [ANNA.id, BERT.id]
    assert all(len(row["embedding"]) == EMBEDDING_SIZE for row in rows)
    assert all(row["is_public"] for row in rows)


def test_walking_the_pages_ends(http: httpx.Client) -> None:
    """As SDKs do: by the last id, until a page is empty."""
    seen, cursor = [], ""
    for _ in range(5):
        page = voices(http, f"?limit=1{cursor}")
        if not page["data"]:
            break
        seen += [voice["id"] for voice in page["data"]]
        assert page["has_more"] == (len(seen) < 2)
        cursor = f"&starting_after={seen[-1]}"
    assert seen == [ANNA.id, BERT.id]
    assert page == {"data": [], "has_more": False, "next_page": None}


def test_page_before_an_id(http: httpx.Client) -> None:
    page = voices(http, f"?ending_before={BERT.id}&limit=5")
    assert [voice["id"] for voice in page["data"]] == [ANNA.id]
    assert voices(http, f"?ending_before={ANNA.id}")["data"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?q=ann", ["Anna"]),
        ("?q=ANOTHER", ["Bert"]),
        (f"?q={ANNA.id}", ["Anna"]),
        ("?q=zzz", []),
        ("?gender=masculine", ["Bert"]),
        ("?gender=gender_neutral", []),
        ("?language=en", ["Anna", "Bert"]),
        ("?language=en-GB", ["Bert"]),
        ("?language=EN_us", ["Anna"]),
        ("?language=fr", []),
        ("?is_owner=true", []),
        ("?is_owner=false", ["Anna", "Bert"]),
        ("?unknown=1", ["Anna", "Bert"]),
        ("?q=fake&gender=feminine&limit=100", ["Anna"]),
    ],
)
def test_filters(http: httpx.Client, query: str, names: list[str]) -> None:
    assert [voice["name"] for voice in voices(http, query)["data"]] == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=x", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=99999999999999999999", "limit"),
        ("?starting_after=nobody", "starting_after"),
        ("?ending_before=nobody", "ending_before"),
        (f"?starting_after={ANNA.id}&ending_before={BERT.id}", "ending_before"),
        ("?gender=male", "gender"),
        ("?is_owner=maybe", "is_owner"),
    ],
)
def test_wrong_queries_name_the_field(http: httpx.Client, query: str, field: str) -> None:
    answer = http.get(f"/voices{query}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{field}:")


@pytest.mark.parametrize("query", ["?expand[]=embedding&expand[]=is_starred", "?expand%5B%5D=embedding&expand=is_starred"])
def test_expanded_fields(http: httpx.Client, query: str) -> None:
    for voice in (voices(http, query, "2024-11-13")["data"][0], http.get(f"/voices/{ANNA.id}{query}").json()):
        assert voice["is_starred"] is False
        assert len(voice["embedding"]) == EMBEDDING_SIZE


@pytest.mark.parametrize("version", VERSIONS)
def test_one_voice(http: httpx.Client, version: str) -> None:
    for path in (f"/voices/{ANNA.id}", f"/voices/{ANNA.id}/"):
        voice = http.get(path, headers={"Cartesia-Version": version}).json()
        assert voice["name"] == "Anna"
        assert ("embedding" in voice) == (version == "2024-06-10")


def test_well_known_ids_show_who_stands_in(http: httpx.Client) -> None:
    assert http.get("/voices/f786b574-daa5-4673-aa0c-cbe3e8534c02").json()["id"] == ANNA.id
    assert http.get("/voices/a5136bf9-224c-4d76-b823-52bd5efcffcc").json()["id"] == BERT.id


def test_mixture_is_a_voice(http: httpx.Client) -> None:
    voice = http.get("/voices/anna:3%2Bbert").json()
    assert voice["id"] == f"{ANNA.id}:0.75+{BERT.id}:0.25"
    assert voice["gender"] == "gender_neutral"
    assert http.get(f"/voices/{voice['id'].replace('+', '%2B')}").json() == voice


VOICES = VoiceStore({"fake": [ANNA, BERT]}, OwnVoices(Path("nowhere")), MAKERS).of("")
LOW = Voice(
    "",
    "Low",
    "",
    "en",
    "en-US",
    "",
    "fake",
    {"anna": 0.25, "bert": 0.75, "pitch": -0.3},
)


@pytest.mark.parametrize("voice", [ANNA, LOW])
def test_embeddings_are_the_voice(voice: Voice) -> None:
    embedding = embedding_of(voice, VOICES)
    assert len(embedding) == EMBEDDING_SIZE
    for kept in (embedding, [float(np.float32(number)) for number in embedding]):
        found = voice_of(kept, VOICES)
        assert found is not None
        assert found.record == pytest.approx(voice.record)
    assert (voice_of(embedding, VOICES) is ANNA) == (voice is ANNA)


def test_voices_without_numbers_are_known_again() -> None:
    apart = [replace(CLEO, id=name, name=name) for name in ("one", "two")]
    voices = VoiceStore({"fake": [ANNA, BERT, *apart]}, OwnVoices(Path("nowhere")), MAKERS).of("")
    for voice in apart:
        assert voice_of([float(np.float32(number)) for number in embedding_of(voice, voices)], voices) is voice
    mean = [(a + b) / 2 for a, b in zip(*(embedding_of(voice, voices) for voice in apart), strict=True)]
    assert voice_of(mean, voices) is None


def test_mean_of_two_embeddings_is_the_voice_between() -> None:
    mean = [(one + other) / 2 for one, other in zip(embedding_of(ANNA, VOICES), embedding_of(LOW, VOICES), strict=True)]
    between = voice_of(mean, VOICES)
    assert between is not None
    assert between.record == pytest.approx({"anna": 0.625, "bert": 0.375, "pitch": -0.15})


def test_embeddings_of_others_are_refused() -> None:
    good = embedding_of(LOW, VOICES)
    changed = {0: 0.0, 1: 0.9, 30: 9.0, 31: float("nan"), 32: float("inf")}
    wrong: list[list[object]] = [[*good[:at], number, *good[at + 1 :]] for at, number in changed.items()]
    wrong += [[1.0] * 192, [0.0] * 192, [*good[:-1]], [*good[:-1], "x"], [*good[:-1], True]]
    for other in wrong:
        assert voice_of(other, VOICES) is None, other


def test_status_says_which_model_answers_which_id(http: httpx.Client) -> None:
    body = http.get("/").json()
    assert body["ok"] is True
    assert body["version"] == "2026-08-14"
    assert body["models"]["tts"]["sonic-3"] == "fake"
    assert body["models"]["stt"]["ink-whisper"] == "fake_recognizer"

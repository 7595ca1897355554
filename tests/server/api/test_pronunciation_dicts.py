"""``/pronunciation-dicts`` in every version, and dictionaries in speech requests on every route."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.api.harness import VERSIONS, ApiServer, opened, serving, speech_body

ITEMS = [{"text": "hello", "alias": "hi+folks"}]


def make(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post("/pronunciation-dicts/", json={"name": "names", "items": ITEMS, **fields})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_dictionary_from_first_to_last(http: httpx.Client, version: str, slash: str) -> None:
    headers = {"Cartesia-Version": version}
    made = http.post(f"/pronunciation-dicts{slash}", json={"name": "names", "description": None, "items": ITEMS}).json()
    assert made["id"].startswith("pdict_")
    assert {**made, "id": "", "created_at": ""} == {
        "id": "", "name": "names", "description": "", "owner_id": "", "pinned": False, "created_at": "",
        "items": [{"text": "hello", "alias": "hi+folks", "pronunciation": "hi+folks", "case_sensitive": False}],
    }  # fmt: skip
    path = f"/pronunciation-dicts/{made['id']}"
    assert http.get(path + slash, headers=headers).json() == made
    changed = http.patch(path + slash, headers=headers, json={"items": [{"text": "a", "pronunciation": "b"}]}).json()
    assert (changed["name"], changed["items"][0]["alias"]) == ("names", "b")
    assert http.patch(path, headers=headers, json={"name": "new"}).json()["items"] == changed["items"]
    assert http.post(f"{path}/pin{slash}", headers=headers).json()["pinned"] is True
    assert http.post(f"{path}/unpin{slash}", headers=headers).json()["pinned"] is False
    gone = http.delete(path + slash, headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")
    assert http.get(path, headers=headers).status_code == 404
    assert http.delete(path, headers=headers).status_code == 404


def test_pages_end(tmp_path: Path) -> None:
    with serving(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        made = [make(http, name=str(number))["id"] for number in range(7)]
        found: list[str] = []
        after = ""
        while page := http.get(f"/pronunciation-dicts/?limit=3{after}").json()["data"]:
            found += [entry["id"] for entry in page]
            after = f"&starting_after={page[-1]['id']}"
        assert found == made[::-1]
        before = http.get(f"/pronunciation-dicts/?limit=2&ending_before={made[0]}").json()
        assert [entry["id"] for entry in before["data"]] == [made[2], made[1]]
        assert http.get("/pronunciation-dicts/?starting_after=pdict_x").status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a", "items": "x"}, "items"),
        ({"name": "a", "items": [{"alias": "b"}]}, "items.0.text"),
        ({"name": "a", "items": [{"text": "b"}]}, "items.0.alias"),
        ({"name": "a", "items": [{"text": "b", "alias": "c"}, {"text": "b", "alias": "<<9>>"}]}, "items.1.alias"),
        ({"name": "a", "items": [{"text": "b", "alias": "c", "case_sensitive": "so-so"}]}, "items.0.case_sensitive"),
    ],
)
def test_wrong_bodies_name_the_field(http: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = http.post("/pronunciation-dicts/", json=body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"{field}:")


def phonemes(frames: list[dict[str, Any]]) -> str:
    return "".join(one for frame in frames for one in frame.get("phoneme_timestamps", {}).get("phonemes", ()))


def test_every_route_speaks_with_the_dictionary(api: ApiServer, http: httpx.Client) -> None:
    wanted = {"add_phoneme_timestamps": True, "add_timestamps": True}
    named = {"pronunciation_dict_id": make(http)["id"]}

    def frames(transcript: str = "hello there.", **fields: Any) -> list[dict[str, Any]]:
        lines = http.post("/tts/sse", json=speech_body(transcript, **wanted, **fields)).text.splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line]

    plain, replaced = phonemes(frames()), phonemes(frames(**named))
    assert replaced != plain
    assert replaced.endswith(phonemes(frames("there.")))
    words = [word for frame in frames(**named) for word in frame.get("word_timestamps", {}).get("words", ())]
    assert words == ["hello", "there."]
    with opened(api, "/tts/websocket") as socket:
        socket.send(speech_body("hello ", context_id="a", **{"continue": True}, **wanted, **named))
        socket.send(speech_body("there.", context_id="a", **wanted))
        assert phonemes(socket.until("done")) == replaced
    size = len(http.post("/tts/bytes", json=speech_body("hello there.")).content)
    assert len(http.post("/tts/bytes", json=speech_body("hello there.", **named)).content) != size


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_one_is_refused_before_the_first_byte(api: ApiServer, http: httpx.Client, version: str) -> None:
    for path in ("/tts/bytes", "/tts/sse"):
        answer = http.post(path, json=speech_body(pronunciation_dict_id="pdict_x"), headers={"Cartesia-Version": version})
        assert answer.status_code == 404
        assert "pronunciation_dict_id: you have no pronunciation dictionary with the id 'pdict_x'" in answer.text
    with opened(api, "/tts/websocket", version) as socket:
        socket.send(speech_body(pronunciation_dict_id="pdict_x", context_id="a"))
        frame = socket.receive()
        assert (frame["type"], frame["status_code"], frame["context_id"]) == ("error", 404, "a")
        socket.send(speech_body(context_id="a"))
        assert socket.until("done")


def test_keys_do_not_share(tmp_path: Path) -> None:
    with serving(tmp_path, require_keys=True) as server, httpx.Client(base_url=server.url) as http:
        one, other = ({"X-API-Key": server.keys.create(name)} for name in ("one", "other"))
        made = http.post("/pronunciation-dicts/", json={"name": "mine", "items": ITEMS}, headers=one).json()
        assert made["owner_id"] == server.keys.list()[0].id
        assert http.get("/pronunciation-dicts/", headers=other).json()["data"] == []
        body = speech_body(pronunciation_dict_id=made["id"])
        assert http.post("/tts/bytes", json=body, headers=one).status_code == 200
        assert http.post("/tts/bytes", json=body, headers=other).status_code == 404
        assert http.delete(f"/pronunciation-dicts/{made['id']}", headers=other).status_code == 404
        assert http.get("/pronunciation-dicts/").status_code == 401

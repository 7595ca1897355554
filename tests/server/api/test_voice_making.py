"""New voices over HTTP: from clips, embeddings and mixtures, in the shape of every version."""

import io
import json
import wave
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from models.audio import Pcm
from server.api.voice_making import MAX_CLIP_BYTES
from tests.fakes import ANNA, BERT
from tests.server.api.harness import VERSIONS, ApiServer, opened, serving, speech_body
from tests.server.api.test_errors import check_shape

RATE_HZ = 16_000
OLD = ("2024-06-10", "2024-11-13")


def tone(seconds: float, hz: float = 150.0) -> Pcm:
    return np.asarray(0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ), np.float32)


def wav(pcm: Pcm) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes((pcm * 32767).astype("<i2").tobytes())
    return file.getvalue()


def stereo_mp3(pcm: Pcm) -> bytes:
    """Speech on the left, nothing on the right."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=RATE_HZ, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([pcm, 0 * pcm]), format="fltp", layout="stereo")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def clone(http: httpx.Client, clip: bytes | None = None, version: str = VERSIONS[-1], **fields: Any) -> httpx.Response:
    """None takes a field out."""
    path = fields.pop("path", "/voices/clone")
    data = {"name": "Mine", "language": "en", **fields}
    files = {"clip": ("clip.wav", wav(tone(4)) if clip is None else clip, "audio/x-wav")}
    sent = {name: value for name, value in data.items() if value is not None}
    return http.post(path, data=sent, files=files, headers={"Cartesia-Version": version})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_clone_from_first_to_last(http: httpx.Client, version: str, slash: str) -> None:
    headers = {"Cartesia-Version": version}
    answer = clone(http, version=version, path=f"/voices/clone{slash}", description="From a tone.", mode="similarity")
    assert answer.status_code == 200, answer.text
    made = answer.json()
    expected = {
        "name": "Mine", "description": "From a tone.", "language": "en", "is_owner": True, "is_public": False,
        "access": "private", "visibility": "owner", "tagline": "", "gender": None, "country": "US",
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    assert made["created_at"].endswith("Z")
    path = f"/voices/{made['id']}"
    listed = http.get("/voices?limit=100&is_owner=true", headers=headers).json()
    assert made["id"] in [voice["id"] for voice in (listed if version == "2024-06-10" else listed["data"])]
    shown = http.get(path + slash, headers=headers).json()
    assert {name: shown[name] for name in made} == made
    changed = http.patch(path + slash, headers=headers, json={"name": "Ours", "gender": "feminine"}).json()
    assert (changed["name"], changed["gender"], changed["description"]) == ("Ours", "feminine", "From a tone.")
    assert http.patch(path, headers=headers, json={"gender": None}).json()["gender"] is None
    speech = http.post("/tts/bytes", json=speech_body(voice={"mode": "id", "id": made["id"]}), headers=headers)
    assert speech.status_code == 200, speech.text
    assert speech.content == http.post("/tts/bytes", json=speech_body(voice=ANNA.id)).content
    gone = http.delete(path + slash, headers=headers)
    assert (gone.status_code, gone.content) == (204, b"")
    for again in (http.get(path, headers=headers), http.delete(path, headers=headers), http.patch(path, json={"name": "a"})):
        assert again.status_code == 404
    assert http.post("/tts/bytes", json=speech_body(voice=made["id"]), headers=headers).status_code == 404


def test_a_stereo_mp3_and_other_containers_are_heard(api: ApiServer, http: httpx.Client) -> None:
    for clip in (stereo_mp3(tone(4)), wav(tone(4))):
        assert clone(http, clip).status_code == 200
    assert api.cloner.clips[-2].shape[0] / RATE_HZ == pytest.approx(4, abs=0.2)


BAD_CLIPS: list[tuple[bytes, int, str]] = [
    (b"", 400, "clip: is empty"),
    (wav(tone(0.5)), 400, "clip: holds 0.5 s of speech; at least 2 s are needed"),
    (wav(0 * tone(5)), 400, "clip: is silent"),
    (wav(tone(4, 4.0)), 400, "clip: nothing in it is voiced"),
    (b"This is no audio. " * 500, 415, "clip: is not an audio file that can be read; accepted formats: flac, m4a, mp3"),
    (wav(tone(3))[:40], 415, "clip: "),
    (bytes(MAX_CLIP_BYTES + 1), 413, f"body: is larger than {MAX_CLIP_BYTES} bytes"),
]


@pytest.mark.parametrize(("clip", "status", "message"), BAD_CLIPS, ids=[case[2] for case in BAD_CLIPS])
@pytest.mark.parametrize("version", ["2024-06-10", "2025-04-16", "2026-08-14"])
def test_bad_clips_say_why_in_every_shape(http: httpx.Client, clip: bytes, status: int, message: str, version: str) -> None:
    for path in ("/voices/clone", "/voices/clone/clip"):
        check_shape(clone(http, clip, version, path=path), status, version, message)


def test_an_hour_of_audio_is_refused_before_it_is_decoded(http: httpx.Client) -> None:
    quiet = io.BytesIO()
    with av.open(quiet, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="flt", layout="mono")
        frame.sample_rate = 48_000
        for second in range(620):
            frame.pts = second * 48_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert len(quiet.getvalue()) < 2_000_000
    check_shape(clone(http, quiet.getvalue()), 413, VERSIONS[-1], "clip: the audio is longer than 600 s")


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"name": None}, 400, "name: is required"),
        ({"name": " "}, 400, "name: is required"),
        ({"name": "x" * 201}, 400, "name: has 201 characters"),
        ({"language": "xx"}, 400, "language: 'xx' is not supported; accepted values: en"),
        ({"language": "de-DE"}, 400, "language: 'de-DE' is not supported; accepted values: en"),
        ({"enhance": "maybe"}, 400, "enhance:"),
        ({"base_voice_id": "nobody"}, 404, "voice: no voice has the id 'nobody'"),
    ],
)
def test_wrong_fields_are_named(api: ApiServer, http: httpx.Client, fields: dict[str, Any], status: int, message: str) -> None:
    heard = len(api.cloner.clips)
    for version in ("2024-11-13", "2026-08-14"):
        check_shape(clone(http, version=version, **fields), status, version, message)
    assert len(api.cloner.clips) == heard


def test_the_clip_is_a_file_part(http: httpx.Client) -> None:
    for answer in (
        http.post("/voices/clone", data={"name": "a", "language": "en", "clip": "text"}),
        http.post("/voices/clone", json={"name": "a", "language": "en"}),
    ):
        assert answer.status_code == 400, answer.text
    assert clone(http, language="en-GB").json()["locales"] == [{"locale": "en-GB", "is_native": True}]


@pytest.mark.parametrize("version", OLD)
def test_embeddings_of_clips_speak_are_kept_and_mix(api: ApiServer, http: httpx.Client, version: str) -> None:
    headers = {"Cartesia-Version": version}
    embedding = clone(http, version=version, path="/voices/clone/clip").json()["embedding"]
    assert len(embedding) == 192
    made = http.post("/voices", json={"name": "Kept", "description": "d", "embedding": embedding}, headers=headers).json()
    assert made["name"] == "Kept"
    kept = http.get(f"/voices/{made['id']}?expand[]=embedding", headers=headers).json()
    assert kept["embedding"] == embedding
    parts = [{"embedding": embedding, "weight": 0.5}, {"id": BERT.id, "weight": 1.5}]
    mixed = http.post("/voices/mix", json={"voices": parts}, headers=headers).json()["embedding"]
    bert = http.get(f"/voices/{BERT.id}?expand[]=embedding", headers=headers).json()["embedding"]
    assert mixed == pytest.approx([0.25 * one + 0.75 * other for one, other in zip(embedding, bert, strict=True)], abs=1e-6)
    for given in (embedding, mixed):
        voice = {"mode": "embedding", "embedding": given}
        assert http.post("/tts/bytes", json=speech_body(voice=voice), headers=headers).status_code == 200
    http.delete(f"/voices/{made['id']}", headers=headers)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/voices", {"name": "a"}, "embedding"),
        ("/voices", {"name": "a", "embedding": [0.1] * 192}, "embedding"),
        ("/voices", {"embedding": [0.1] * 192}, "name"),
        ("/voices", {"name": "a", "description": 3, "embedding": []}, "description"),
        ("/voices/mix", {}, "voices"),
        ("/voices/mix", {"voices": []}, "voices"),
        ("/voices/mix", {"voices": [1]}, "voices.0"),
        ("/voices/mix", {"voices": [{"id": ANNA.id, "weight": "much"}]}, "voices.0.weight"),
        ("/voices/mix", {"voices": [{"id": ANNA.id}, {"weight": 1}]}, "voices.1.embedding"),
        ("/voices/mix", {"voices": [{"id": ANNA.id, "weight": 0}]}, "voice"),
        ("/voices/mix", {"voices": [{"id": "nobody", "weight": 1}]}, "voice"),
    ],
)
def test_wrong_bodies_name_the_field(http: httpx.Client, path: str, body: dict[str, Any], field: str) -> None:
    answer = http.post(path, json=body, headers={"Cartesia-Version": "2024-11-13"})
    assert answer.status_code in (400, 404)
    assert answer.text.partition(": ")[2].startswith(f"{field}:")


def test_a_clone_speaks_on_every_route_and_in_mixtures(api: ApiServer, http: httpx.Client) -> None:
    id = clone(http).json()["id"]
    plain = http.post("/tts/bytes", json=speech_body(voice=ANNA.id)).content
    for voice in (id, {"id": id}, {"mode": "id", "id": id}, f"{id}:0.5+{ANNA.id}"):
        assert http.post("/tts/bytes", json=speech_body(voice=voice)).content == plain
    lines = http.post("/tts/sse", json=speech_body(voice=id)).text.splitlines()
    assert json.loads(lines[-2 if not lines[-1] else -1].removeprefix("data: "))["type"] == "done"
    with opened(api, "/tts/websocket") as socket:
        socket.send(speech_body(voice={"mode": "id", "id": id}, context_id="a"))
        assert socket.until("done", "error")[-1]["type"] == "done"


def test_keys_do_not_share_clones(tmp_path: Path) -> None:
    with serving(tmp_path, require_keys=True) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        one, other = ({"X-API-Key": server.keys.create(name)} for name in ("one", "other"))
        http.headers.update(one)
        id = clone(http).json()["id"]
        http.headers.update(other)
        assert id not in http.get("/voices?limit=100").text
        for answer in (
            http.get(f"/voices/{id}"),
            http.patch(f"/voices/{id}", json={"name": "stolen"}),
            http.delete(f"/voices/{id}"),
            http.post("/tts/bytes", json=speech_body(voice=id)),
            http.post("/tts/bytes", json=speech_body(voice=f"{id}+{ANNA.id}")),
        ):
            assert answer.status_code == 404
        http.headers.update(one)
        assert http.get(f"/voices/{id}").json()["is_owner"] is True
        assert http.post("/tts/bytes", json=speech_body(voice=id)).status_code == 200


def test_stock_voices_cannot_be_changed(http: httpx.Client) -> None:
    for answer in (http.patch(f"/voices/{ANNA.id}", json={"name": "Hanna"}), http.delete(f"/voices/{ANNA.id}")):
        check_shape(answer, 404, VERSIONS[-1], "id: you own no voice with the id")
    assert http.get(f"/voices/{ANNA.id}").json()["name"] == "Anna"


def test_clones_outlive_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        made = clone(http).json()
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=10) as http:
        assert http.get(f"/voices/{made['id']}").json()["name"] == "Mine"
        assert not server.cloner.clips

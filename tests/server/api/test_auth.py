"""Keys: every carrier, their precedence, when they are required, and 401 before the handshake."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.storage.access_tokens import AccessTokens
from tests.server.api.harness import VERSIONS, ApiServer, opened, serving, speech_body
from tests.server.api.test_errors import check_shape, refusal_of

SOCKETS = ["/tts/websocket", "/stt/websocket", "/stt/turns/websocket"]
GUARDED = [
    ("GET", "/voices"),
    ("GET", "/voices/x"),
    ("POST", "/tts/bytes"),
    ("POST", "/tts/sse"),
    ("POST", "/stt"),
    ("POST", "/audio/transcriptions"),
    ("GET", "/nowhere"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, str]]:
    """A server with one key, and that key."""
    with serving(tmp_path_factory.mktemp("guarded")) as server:
        yield server, server.keys.create("test")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_no_key_and_a_wrong_key_are_401(
    http: httpx.Client, guarded: tuple[ApiServer, str], method: str, path: str, version: str
) -> None:
    server, _ = guarded
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic d3Jvbmc="}):
        answer = http.request(method, server.url + path, headers={"Cartesia-Version": version, **headers})
        check_shape(answer, 401, version)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_header_carriers_and_their_order(http: httpx.Client, guarded: tuple[ApiServer, str]) -> None:
    server, key = guarded
    for headers, status in (
        ({"Authorization": f"Bearer {key}"}, 200),
        ({"authorization": f"bearer  {key}"}, 200),
        ({"X-API-Key": key}, 200),
        ({"Authorization": f"Bearer {key}", "X-API-Key": "wrong"}, 200),
        ({"Authorization": "Bearer wrong", "X-API-Key": key}, 401),
    ):
        assert http.get(server.url + "/voices", headers=headers).status_code == status
    for name in ("api_key", "access_token"):
        assert http.get(server.url + "/voices", params={name: key}).status_code == 401, "keys in addresses end up in logs"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", SOCKETS)
def test_socket_without_a_key_is_401_before_the_handshake(guarded: tuple[ApiServer, str], path: str, version: str) -> None:
    server, _ = guarded
    for query in ("", "?api_key=wrong", "?access_token=wrong"):
        with pytest.raises(InvalidStatus) as refused, opened(server, path + query, version):
            pass
        check_shape(refusal_of(refused.value), 401, version)


def test_socket_carriers(guarded: tuple[ApiServer, str], caplog: pytest.LogCaptureFixture) -> None:
    server, key = guarded
    path = "/tts/websocket"
    caplog.set_level("INFO", logger="uvicorn.error")
    for target, headers in (
        (path, {"X-API-Key": key}),
        (path, {"Authorization": f"Bearer {key}"}),
        (f"{path}?api_key={key}", {}),
        (f"{path}?access_token={key}&cartesia_version=2025-04-16", {}),
        (f"{path}?api_key=wrong", {"Authorization": f"Bearer {key}"}),
        (f"{path}?api_key={key}&access_token=wrong", {}),
    ):
        with opened(server, target, **headers) as socket:
            socket.send(speech_body(context_id="k"))
            assert socket.until("done", "error")[-1]["type"] == "done"
    lines = [record.getMessage() for record in caplog.records]
    assert sum("[accepted]" in line for line in lines) == 6, "uvicorn logs each handshake with its address"
    assert not any(key in line for line in lines)


def test_open_routes_need_no_key(http: httpx.Client, guarded: tuple[ApiServer, str]) -> None:
    server, _ = guarded
    for path in ("/", "/livez", "/readyz"):
        assert http.get(server.url + path, headers={"X-API-Key": "wrong"}).status_code == 200


def test_keys_made_and_revoked_count_at_once(http: httpx.Client, guarded: tuple[ApiServer, str]) -> None:
    server, _ = guarded
    key = server.keys.create("second")
    (key_id,) = [row.id for row in server.keys.list() if row.name == "second"]
    headers = {"X-API-Key": key}
    assert http.get(server.url + "/voices", headers=headers).status_code == 200
    assert server.keys.revoke(key_id)
    assert http.get(server.url + "/voices", headers=headers).status_code == 401


def test_any_key_will_do_where_none_exist(http: httpx.Client) -> None:
    for headers in ({}, {"X-API-Key": "whatever"}, {"Authorization": "Bearer whatever"}):
        assert http.get("/voices", headers=headers).status_code == 200


@pytest.mark.parametrize("settings", [{"require_keys": True}, {"host": "0.0.0.0"}])
def test_keys_are_required_where_the_settings_say_so(
    http: httpx.Client, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> None:
    """Even while no key exists: nobody gets in, rather than everybody."""
    with serving(tmp_path_factory.mktemp("strict"), **settings) as server:
        assert http.get(server.url + "/voices", headers={"X-API-Key": "any"}).status_code == 401
        assert http.get(server.url + "/livez").status_code == 200


def made_token(http: httpx.Client, server: ApiServer, key: str, **body: Any) -> httpx.Response:
    return http.post(server.url + "/access-token", json=body, headers={"X-API-Key": key})


def test_token_stands_for_its_key_where_it_is_granted(http: httpx.Client, guarded: tuple[ApiServer, str]) -> None:
    server, key = guarded
    token = made_token(http, server, key, grants={"tts": True, "agent": True}, expires_in=60).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert http.post(server.url + "/tts/bytes", json=speech_body(), headers=bearer).status_code == 200
    with opened(server, f"/tts/websocket?access_token={token}") as socket:
        socket.send(speech_body(context_id="t"))
        assert socket.until("done", "error")[-1]["type"] == "done"
    for method, path in (("POST", "/stt"), ("POST", "/audio/transcriptions/"), ("GET", "/voices"), ("POST", "/access-token")):
        check_shape(http.request(method, server.url + path, headers=bearer), 403, VERSIONS[-1])
    with pytest.raises(InvalidStatus) as refused, opened(server, f"/stt/websocket?access_token={token}"):
        pass
    check_shape(refusal_of(refused.value), 403, VERSIONS[-1])


def test_token_ends_with_its_time_and_with_its_key(
    http: httpx.Client, guarded: tuple[ApiServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = guarded
    key = server.keys.create("to be revoked")
    token = made_token(http, server, key, grants={"stt": True}, expires_in=3600).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert http.post(server.url + "/stt", headers=bearer).status_code == 400, "let in"
    with monkeypatch.context() as later:
        now_s = time.time()
        later.setattr("server.storage.authentication.time.time", lambda: now_s + 3600)
        message = check_shape(http.post(server.url + "/stt", headers=bearer), 401, VERSIONS[-1])
        assert "expired" in message
    server.keys.revoke(server.keys.list()[-1].id)
    check_shape(http.post(server.url + "/stt", headers=bearer), 401, VERSIONS[-1])


def test_forged_tokens_are_401(http: httpx.Client, guarded: tuple[ApiServer, str], tmp_path: Path) -> None:
    server, key = guarded
    token = made_token(http, server, key, grants={"tts": True}).json()["token"]
    header, claims, signature = token.split(".")
    more = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"tts", b"stt")).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode()
    other = AccessTokens(tmp_path / "secret.json").create(server.keys.list()[0].id, ["tts"], 60)
    for forged in (f"{header}.{more}.{signature}", f"{unsigned}.{claims}.", f"{header}.{claims}", "..", "a.b.c", other):
        answer = http.post(server.url + "/tts/bytes", json=speech_body(), headers={"Authorization": f"Bearer {forged}"})
        check_shape(answer, 401, VERSIONS[-1])


@pytest.mark.parametrize(
    ("body", "start"),
    [
        ({}, "grants:"),
        ({"grants": {"agent": True}}, "grants:"),
        ({"grants": {"tts": True}, "expires_in": 0}, "expires_in:"),
        ({"grants": {"tts": True}, "expires_in": 3601}, "expires_in:"),
    ],
)
def test_refused_tokens(http: httpx.Client, guarded: tuple[ApiServer, str], body: dict[str, Any], start: str) -> None:
    server, key = guarded
    check_shape(made_token(http, server, key, **body), 400, VERSIONS[-1], start)


def test_token_where_no_key_is_needed(http: httpx.Client, api: ApiServer) -> None:
    token = made_token(http, api, "any", grants={"tts": True}).json()["token"]
    with opened(api, f"/tts/websocket?access_token={token}") as socket:
        socket.send(speech_body(context_id="t"))
        assert socket.until("done", "error")[-1]["type"] == "done"


def test_pages_of_named_origins_may_call_from_a_browser(http: httpx.Client, tmp_path: Path) -> None:
    ours, another = "https://app.example.com", "https://example.org"
    with serving(tmp_path, cors_origins=(ours,)) as server:
        key, url = server.keys.create("page"), server.url + "/tts/bytes"
        asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, cartesia-version"}
        before = http.options(url, headers={"Origin": ours, **asking})
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == ours
        assert {"authorization", "cartesia-version"} <= set(before.headers["access-control-allow-headers"].lower().split(", "))
        assert http.options(url, headers={"Origin": another, **asking}).status_code == 400
        for credentials, status in (({"X-API-Key": key}, 200), ({}, 401)):
            answer = http.post(url, json=speech_body(), headers={"Origin": ours, **credentials})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, ours)
            assert "access-control-allow-origin" not in http.post(url, headers={"Origin": another, **credentials}).headers


def test_no_page_may_call_unless_it_is_named(http: httpx.Client, api: ApiServer) -> None:
    answer = http.get(api.url + "/voices", headers={"Origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in answer.headers

"""What only a real server process shows: kernel sockets, clients that misbehave, metrics, audio from end to end."""

import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from server.bench.process import ServerProcess
from server.config import ConfigError, load_settings

RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}


def _body(transcript: str, **fields: Any) -> dict[str, Any]:
    voice = "694f9389-aac1-45b6-b726-9d9369183238"
    return {"model_id": "sonic-turbo", "transcript": transcript, "voice": voice, "output_format": RAW, **fields}


def _tcp(server: ServerProcess) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_an_answer_does_not_wait_for_acknowledgements(descant_server: ServerProcess) -> None:
    """With Nagle's algorithm on, the body of the second answer on a connection came 40 ms after its head."""
    request = b"POST /tts/bytes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    gaps_s = []
    with _tcp(descant_server) as connection:
        for _ in range(8):
            connection.sendall(request)
            received = connection.recv(65536)
            head_s = time.perf_counter()
            while b"is required" not in received:
                received += connection.recv(65536)
            gaps_s.append(time.perf_counter() - head_s)
    assert sorted(gaps_s)[len(gaps_s) // 2] < 0.025


UNSPEAKABLE = ["?!...", "\N{GRINNING FACE}", '<speed ratio="1.5"/>', "你好，世界。"]


def _refusal(text: str) -> str:
    spoken_here = "languages spoken here: de, en, es, fr, it"
    return f"transcript: {text!r} holds nothing that can be spoken in the language 'en'; {spoken_here}"


@pytest.mark.parametrize("text", UNSPEAKABLE)
def test_text_without_anything_to_say_is_refused(descant_server: ServerProcess, text: str) -> None:
    formats = [("/tts/bytes", RAW), ("/tts/bytes", {**RAW, "container": "wav"}), ("/tts/sse", RAW)]
    for path, audio in formats:
        answer = httpx.post(descant_server.url + path, json=_body(text, output_format=audio))
        assert answer.status_code == 400
        assert answer.json()["message"] == _refusal(text)
    old = httpx.post(descant_server.url + "/tts/bytes", json=_body(text), headers={"Cartesia-Version": "2024-11-13"})
    assert (old.status_code, old.text) == (400, "Invalid request: " + _refusal(text))


def _events(server: ServerProcess, *pieces: str) -> list[dict[str, Any]]:
    """What a context of these pieces is answered, without the audio."""
    with connect(server.websocket_url + "/tts/websocket") as socket:
        for place, text in enumerate(pieces, 1):
            socket.send(json.dumps({**_body(text), "context_id": "c", "continue": place < len(pieces)}))
        events = [json.loads(socket.recv(timeout=20))]
        while not events[-1]["done"]:
            events.append(json.loads(socket.recv(timeout=20)))
    return events


@pytest.mark.parametrize("text", UNSPEAKABLE)
def test_a_context_without_anything_to_say_ends_with_an_error(descant_server: ServerProcess, text: str) -> None:
    for pieces in ((text,), (text, "")):
        (error,) = _events(descant_server, *pieces)
        assert (error["type"], error["status_code"], error["context_id"]) == ("error", 400, "c")
        assert error["message"] == _refusal(text)


@pytest.mark.parametrize(
    "pieces", [("Hello. ", "\N{GRINNING FACE}", " And on."), ("\N{GRINNING FACE}", " Hello. "), ("Hello. ", "你好。")]
)
def test_what_cannot_be_said_ends_no_context_that_says_something(
    descant_server: ServerProcess, pieces: tuple[str, ...]
) -> None:
    events = _events(descant_server, *pieces)
    assert {event["type"] for event in events[:-1]} == {"chunk"}
    assert events[-1]["type"] == "done"


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
def test_clients_that_vanish_free_their_slots(descant_server: ServerProcess, path: str) -> None:
    """Connections reset in the middle of the audio, as by a client that was killed."""
    content = json.dumps(_body("The quick brown fox jumps over the lazy dog. " * 40)).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    connections = [_tcp(descant_server) for _ in range(3)]
    for connection in connections:
        connection.sendall(head + content)
    for connection in connections:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    deadline_s = time.perf_counter() + 5
    while _active(descant_server):
        assert time.perf_counter() < deadline_s, "slots stay taken after their clients are gone"
        time.sleep(0.05)


def _active(server: ServerProcess) -> float:
    """Sessions that hold a slot, as the metrics say, which are refreshed every 250 ms."""
    time.sleep(0.3)
    lines = httpx.get(server.metrics).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("descant_active_sessions{"))


def test_a_port_in_use_is_said_in_one_line(descant_server: ServerProcess) -> None:
    addresses = {"--port": descant_server.url, "--grpc-port": descant_server.grpc, "--metrics-port": descant_server.metrics}
    for flag, address in addresses.items():
        port = address.removesuffix("/metrics").rpartition(":")[2]
        ports = [f"{name}={port if name == flag else 0}" for name in ("--port", "--grpc-port", "--metrics-port")]
        ended = subprocess.run([sys.executable, "-m", "server", "serve", *ports], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 2
        last_line = ended.stderr.splitlines()[-1]
        assert last_line.startswith("descant: cannot listen on 127.0.0.1:")
        assert last_line.endswith(f"choose another with {flag}")
        assert "Traceback" not in ended.stderr


def test_a_settings_file_that_is_no_text_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "descant.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_settings(file)

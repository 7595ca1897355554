"""A hub of our own on loopback, which can be told to break off, to lie, to be slow or to refuse."""

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 100_000
"""From here files are kept outside git, under their sha256, on another host."""


@dataclass
class Fault:
    """What is wrong with the next answers for one file; each answer uses one up."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    """Bytes, then the connection is closed."""
    flip: int | None = None
    """The place of a byte that is another."""
    say_bytes: int | None = None
    """A size that is not the file's."""
    longer: bool = False
    """More bytes than the file has, without a length."""
    wait_s: float = 0.0
    ignore_range: bool = False


@dataclass
class Request:
    path: str
    host: str
    range: str | None
    authorization: str | None


@dataclass
class LoopbackHub:
    """One repository, ``team/tiny``, at one commit."""

    files: dict[str, bytes]
    port: int = 0
    commit: str = COMMIT
    licence: str | None = "mit"
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By file name, or "api"."""
    further_entries: list[dict[str, object]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    paths: dict[str, bytes] = field(default_factory=dict)
    """Files at addresses of their own."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def reference(self) -> str:
        return f"hf://team/tiny@{COMMIT}"

    def asked(self, name: str) -> list[Request]:
        """Requests for the content of a file."""
        content = self.files.get(name)
        stored = f"/stored/{hashlib.sha256(content).hexdigest()}" if content is not None else name
        return [request for request in self.requests if request.path.endswith(f"/{name}") or request.path == stored]

    def listing(self) -> dict[str, object]:
        entries: list[dict[str, object]] = []
        for name, content in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": git}
            if len(content) >= LARGE_BYTES:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            entries.append(entry)
        card = {"license": self.licence} if self.licence else {}
        return {"sha": self.commit, "siblings": entries + self.further_entries, "cardData": card, "gated": False}

    def fault(self, name: str) -> Fault:
        waiting = self.faults.get(name)
        return waiting.pop(0) if waiting else Fault()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: LoopbackHub

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server.hub
        path = re.sub(r"^http://[^/]+", "", self.path)  # a proxy is asked with the whole address
        path = path.partition("?")[0]
        host, asked = self.headers.get("Host", ""), self.headers.get("Range")
        hub.requests.append(Request(path, host, asked, self.headers.get("Authorization")))
        stored = {f"/stored/{hashlib.sha256(content).hexdigest()}": name for name, content in hub.files.items()}
        if path == f"/api/models/team/tiny/revision/{COMMIT}":
            self._answer(json.dumps(hub.listing()).encode(), hub.fault("api"))
        elif path.startswith(f"/team/tiny/resolve/{COMMIT}/"):
            name = path.removeprefix(f"/team/tiny/resolve/{COMMIT}/")
            content = hub.files.get(name)
            if content is None:
                self._answer(b"", Fault(404))
            elif len(content) >= LARGE_BYTES:
                place = f"http://localhost:{hub.port}/stored/{hashlib.sha256(content).hexdigest()}"
                self._answer(b"", Fault(302, {"Location": place}))
            else:
                self._answer(content, hub.fault(name))
        elif path in stored:
            self._answer(hub.files[stored[path]], hub.fault(stored[path]))
        elif path in hub.paths:
            self._answer(hub.paths[path], hub.fault(path.rpartition("/")[2]))
        else:
            self._answer(b"", Fault(404))

    def _answer(self, content: bytes, fault: Fault) -> None:
        time.sleep(fault.wait_s)
        start = 0
        status = fault.status
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if status == 200 and asked and not fault.ignore_range:
            start, status = int(asked[1]), 206
        self.send_response(status)
        body = content[start:] if status < 300 else b""
        if fault.flip is not None and fault.flip >= start:
            place = fault.flip - start
            body = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        if status == 206:
            whole = fault.say_bytes or len(content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        if fault.longer:
            self.close_connection = True
            self.send_header("Connection", "close")
            body += b"more"
        else:
            self.send_header("Content-Length", str((fault.say_bytes or len(content)) - start if status < 300 else 0))
        self.end_headers()
        self.wfile.write(body if fault.break_after is None else body[: fault.break_after])
        if fault.break_after is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[LoopbackHub]:
    """The hub, for as long as the context lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = LoopbackHub(files, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}

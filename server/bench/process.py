"""A Descant server as a child process on loopback, for the demo, benchmarks and tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

STOP_AFTER_S = 15.0


@dataclass(slots=True)
class ServerProcess:
    """A running server; leaving the ``with`` block stops it by its own process id."""

    process: "subprocess.Popen[str]"
    url: str
    grpc: str
    metrics: str
    start_s: float
    """Seconds from starting the process to its first line, which it prints when it serves."""

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    @classmethod
    def start(cls, *arguments: str, environment: Mapping[str, str] | None = None) -> Self:
        """Start on free ports and wait until it serves. Raises RuntimeError if it ends before that."""
        begin_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve", "--port=0", "--grpc-port=0", "--metrics-port=0", "--json", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with code {process.wait()} before it served; its output is above")
        where = json.loads(line)
        return cls(process, where["url"], where["grpc"], where["metrics"], time.perf_counter() - begin_s)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_AFTER_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

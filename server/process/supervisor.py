"""`descant serve --gateways N`: one engine process and N gateways before it.

All are `descant serve` with a role. They share one listening socket, which the kernel deals connections from, the data
directory, and a folder of metrics, which the engine shows on its page. A process that ends by itself is started
again; while the engine is away, gateways answer 503. Gateways drain first, the engine ends last. Each process has a
pipe from this one: when this one is killed, the pipes close and they stop by themselves.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from server.config import ConfigError, Settings
from server.process.listen import bind
from server.process.run_folder import run_folder

RESTART_S = 1.0
GRACE_S = 15.0
"""A process may take so much longer than draining to end; then it is killed."""
MAX_LINE_BYTES = 1024 * 1024
"""What a process says of itself names all voices."""
_OWN = {"gateways", "role", "engine_socket", "listen_fd", "parent_fd"}
"""Settings that are not the same in every process."""

log = logging.getLogger("descant.supervisor")


async def supervise(settings: Settings, announce: Callable[[dict[str, Any]], None]) -> None:
    """Run all processes until SIGTERM or SIGINT; a second signal kills them. Raises ConfigError when one does not come up.

    ``announce`` gets what they say about themselves once they serve.
    """
    with run_folder() as (folder, used):
        await _supervise(settings, announce, folder, used)


async def _supervise(settings: Settings, announce: Callable[[dict[str, Any]], None], folder: Path, used: int) -> None:
    listener = bind(settings.host, settings.port, "--port", settings.limits.stall_timeout_s)
    listener.listen(2048)
    environment = {**_environment(settings, folder / "engine.sock"), "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
    (folder / "metrics").mkdir()
    engine = _Child("engine", environment | {"DESCANT_ROLE": "engine"}, settings.limits.drain_s, (used,))
    as_gateway = {"DESCANT_ROLE": "gateway", "DESCANT_LISTEN_FD": str(listener.fileno())}
    gateways = [
        _Child(f"gateway {number}", environment | as_gateway, settings.limits.drain_s, (used, listener.fileno()))
        for number in range(1, settings.gateways + 1)
    ]
    running = asyncio.create_task(_run(engine, gateways, announce))
    _stop_on_signals(running, (engine, *gateways))
    try:
        await running
    except asyncio.CancelledError:
        pass  # by a signal
    finally:
        await asyncio.gather(*(gateway.stop() for gateway in gateways))
        await engine.stop()
        listener.close()


async def _run(engine: "_Child", gateways: Sequence["_Child"], announce: Callable[[dict[str, Any]], None]) -> None:
    where = await engine.start()
    urls = await asyncio.gather(*(gateway.start() for gateway in gateways))
    announce({**where, "url": urls[0]["url"], "gateways": len(gateways)})
    await asyncio.gather(*(child.keep() for child in (engine, *gateways)))


class _Child:
    """One process of the server."""

    def __init__(self, name: str, environment: Mapping[str, str], drain_s: float, inherited: Sequence[int]) -> None:
        """``inherited``: file descriptors."""
        self._name = name
        self._environment = environment
        self._stop_s = drain_s + GRACE_S
        self._inherited = inherited
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Any]:
        """Returns what the process says once it serves. Raises ConfigError when it ends before that."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", "serve", "--json",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE_BYTES, pass_fds=self._inherited,
            env={**os.environ, **self._environment, "DESCANT_PARENT_FD": "0"},
            start_new_session=True,  # Ctrl-C is for us; the processes are then stopped in order.
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise ConfigError(f"the {self._name} ended with code {await self._process.wait()} before it served; see above")
        told: dict[str, Any] = json.loads(line)
        return told

    async def keep(self) -> None:
        """Start the process again whenever it ends by itself."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            log.error("the %s (process %d) ended with code %d; starting it again", self._name, self._process.pid, code)
            await asyncio.sleep(RESTART_S)
            with contextlib.suppress(ConfigError):
                await self.start()
                log.warning("the %s is back as process %d", self._name, self._process.pid)

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), self._stop_s)
        except TimeoutError:
            log.error("the %s does not end; killed", self._name)
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


def _environment(settings: Settings, engine_socket: Path) -> dict[str, str]:
    """All settings as variables, so that every process has the same whatever they came from."""
    values = settings.model_dump(mode="json", exclude=_OWN, exclude_none=True)
    limits = {f"LIMITS__{name}": value for name, value in values.pop("limits").items()}
    variables = {**values, **limits, "engine_socket": str(engine_socket)}
    given = {
        f"DESCANT_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()
    }
    return {**given, "DESCANT_GATEWAYS": "0"}


def _stop_on_signals(running: asyncio.Task[None], children: Sequence[_Child]) -> None:
    signals = 0

    def handle() -> None:
        nonlocal signals
        signals += 1
        running.cancel()
        if signals > 1:
            for child in children:
                child.kill()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handle)

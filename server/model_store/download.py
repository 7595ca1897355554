"""Files from the network: several at once, taken up where they broke off, hashed on the way and again from disk."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import httpx

from server.model_store.errors import ModelCorrupt, ModelMissing, ModelStoreError
from server.model_store.network import Network
from server.model_store.offer import ContentHash, RemoteFile, hash_of

AT_ONCE = 4
LONGEST_PAUSE_S = 60.0
RETRIED = (408, 425, 429, 500, 502, 503, 504)

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here, and all of its bytes."""


class _TryAgain(Exception):
    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _Stopped(Exception):
    """Another file failed."""


def download(files: Sequence[RemoteFile], folder: Path, network: Network, progress: Progress) -> dict[str, str]:
    """Fetch files as ``folder/<hash>.part`` (`RemoteFile.part_name`). Returns the sha256 of each by name.

    What is there already is continued. A part that turns out wrong is deleted; one that broke off stays for the next time.

    Raises:
        ModelCorrupt: content or size differ from what was promised; names both.
        ModelMissing: there is no such file.
        ModelStoreError: the server refuses or cannot be reached.
    """
    stop = threading.Event()
    pace = _Pace(network.max_bytes_per_s, stop)
    with network.client() as client, ThreadPoolExecutor(AT_ONCE) as pool:
        transfers = [_Transfer(file, folder / file.part_name, network, client, progress, pace, stop) for file in files]
        futures = {transfer.file.name: pool.submit(transfer.run) for transfer in transfers}
        try:
            wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:  # an error of one, or Ctrl-C
            stop.set()
    failures = [error for future in futures.values() if (error := future.exception()) is not None]
    for failure in failures:
        if not isinstance(failure, _Stopped):
            raise failure
    return {name: future.result() for name, future in futures.items()}


class _Pace:
    """Keeps all transfers together below a rate."""

    def __init__(self, max_bytes_per_s: float | None, stop: threading.Event) -> None:
        self._rate, self._stop = max_bytes_per_s, stop
        self._lock = threading.Lock()
        self._free_at_s = time.monotonic()

    def wait(self, size_bytes: int) -> None:
        if self._rate is None:
            return
        with self._lock:
            now_s = time.monotonic()
            self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._rate
            pause_s = self._free_at_s - now_s
        self._stop.wait(pause_s)


class _Transfer:
    def __init__(
        self,
        file: RemoteFile,
        part: Path,
        network: Network,
        client: httpx.Client,
        progress: Progress,
        pace: "_Pace",
        stop: threading.Event,
    ) -> None:
        self.file = file
        self._part = part
        self._url = network.address(file.url)
        self._network, self._client = network, client
        self._progress, self._pace, self._stop = progress, pace, stop
        self._received: str | None = None

    def run(self) -> str:
        failures = 0
        while True:
            before = self._here()
            try:
                self._transfer()
                break
            except _TryAgain as error:
                failures = 1 if self._here() > before else failures + 1
                if failures >= self._network.attempts:
                    raise ModelStoreError(
                        f"{self.file.name}: {self._url} {error} ({failures} attempts); what is here stays, and the next pull "
                        "takes it up"
                    ) from None
                pause_s = self._network.first_pause_s * 2 ** (failures - 1)
                if error.pause_s is not None:
                    pause_s = max(pause_s, error.pause_s)
                if self._stop.wait(min(pause_s, LONGEST_PAUSE_S)):
                    raise _Stopped from None
        return self._checked()

    def _here(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _transfer(self) -> None:
        start = self._here()
        if start > self.file.bytes:
            self._part.unlink()
            start = 0
        if start == self.file.bytes:
            return
        headers = self._network.headers(self._url)
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            with self._client.stream("GET", self._url, headers=headers) as response:
                self._refuse(response)
                resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
                self._check_size(response, start if resumed else 0)
                self._write(response, start if resumed else 0)
        except httpx.InvalidURL as error:
            raise ModelStoreError(f"{self._url} is no address: {error}") from None
        except httpx.HTTPError as error:  # of any kind: refused, timed out, broken off
            raise _TryAgain(f"broke off: {error or type(error).__name__}") from None
        if self._here() < self.file.bytes:
            raise _TryAgain(f"broke off after {self._here()} of {self.file.bytes} bytes")

    def _refuse(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            return
        if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._part.unlink(missing_ok=True)
            raise _TryAgain("answered 416 to a range")
        if status in RETRIED:
            seconds = response.headers.get("Retry-After", "")
            raise _TryAgain(f"answered {status}", float(seconds) if seconds.isdecimal() else None)
        raise refusal(self._url, status)

    def _check_size(self, response: httpx.Response, start: int) -> None:
        """Before a byte is written: a size that is not the promised one is no such file."""
        if start:
            match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != start:
                self._part.unlink(missing_ok=True)
                raise _TryAgain("answered another range than was asked for")
            total = None if match[2] == "*" else int(match[2])
        else:
            length = response.headers.get("Content-Length")
            total = int(length) if length is not None else None
        if total is not None and total != self.file.bytes:
            self._part.unlink(missing_ok=True)
            raise ModelCorrupt(f"{self.file.name}: {self._url} has {total} bytes instead of {self.file.bytes}")

    def _write(self, response: httpx.Response, start: int) -> None:
        here = start
        content = hash_of(self._part, self.file.bytes) if start else ContentHash(self.file.bytes)
        with self._part.open("ab" if start else "wb") as out:
            for block in response.iter_raw():  # as it comes: what a broken connection brought is kept
                if self._stop.is_set():
                    raise _Stopped
                here += len(block)
                if here > self.file.bytes:
                    out.close()
                    self._part.unlink()
                    raise ModelCorrupt(f"{self.file.name}: {self._url} sends more than its {self.file.bytes} bytes")
                out.write(block)
                content.update(block)
                self._progress(self.file.name, here, self.file.bytes)
                self._pace.wait(len(block))
        self._received = content.sha256 if here == self.file.bytes else None

    def _checked(self) -> str:
        content = hash_of(self._part, self.file.bytes)
        mismatch = content.mismatch(self.file)
        if mismatch is not None:
            self._part.unlink()
            found, expected = mismatch
            raise ModelCorrupt(f"{self.file.name}: {self._url} has the {found} instead of {expected}; the download was deleted")
        if self._received not in (None, content.sha256):
            self._part.unlink()
            raise ModelCorrupt(
                f"{self._part} has the sha256 {content.sha256}, but {self._received} was written: check the disk"
            )
        return content.sha256


def refusal(url: str, status: int) -> ModelStoreError:
    """What an answer means that trying again does not change."""
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ModelStoreError(
            f"{url} answered {status}: access is refused. Set HF_TOKEN to a token that may read it, and accept the model's "
            "terms on its page if it has any"
        )
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return ModelMissing(f"{url} does not exist (it answered {status})")
    return ModelStoreError(f"{url} answered {status}")

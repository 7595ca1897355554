"""The server under test: any with the Cartesia API, here or elsewhere."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import connect

API_VERSION = "2025-11-04"


@dataclass(frozen=True, slots=True)
class Target:
    """Base URL without a path, key, and the API version to ask for."""

    url: str
    key: str = "none"
    version: str = API_VERSION

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def _headers(self) -> dict[str, str]:
        return {"X-API-Key": self.key, "Cartesia-Version": self.version}

    def connect(self, path: str, query: dict[str, str]) -> connect:
        """A WebSocket to be awaited; raises OSError or InvalidStatus then."""
        query = {"cartesia_version": self.version, **query}
        address = f"{self.url.rstrip('/').replace('http', 'ws', 1)}{path}?{urlencode(query)}"
        # A proxy that the environment names is meant for servers elsewhere.
        proxy: Literal[True] | None = None if self.is_local else True
        return connect(address, additional_headers=self._headers, proxy=proxy, max_size=None, compression=None)

    def first_voice(self) -> str:
        """Id of the first voice that the server lists. Raises OSError."""
        request = urllib.request.Request(f"{self.url.rstrip('/')}/voices?limit=1", headers=self._headers)
        handlers = [urllib.request.ProxyHandler({})] if self.is_local else []
        with urllib.request.build_opener(*handlers).open(request, timeout=10) as response:
            listed = json.load(response)
        voices = listed["data"] if isinstance(listed, dict) else listed
        return str(voices[0]["id"])

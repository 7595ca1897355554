"""How the network is reached: where the hub is, with which token, through which proxy, or not at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx

HUB = "https://huggingface.co"
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class Network:
    """Read from the variables that the hub's own client reads; proxies (HTTPS_PROXY, NO_PROXY) are httpx's."""

    endpoint: str = HUB
    mirror: str | None = None
    """Takes the place of scheme and host in every address."""
    token: str | None = None
    """Sent to the hub, or what stands in for it, alone."""
    offline: bool = False
    cache: Path = Path("~/.cache/huggingface/hub")
    timeout_s: float = 30.0
    """For a connection, and for every next piece of an answer."""
    attempts: int = 6
    """In a row without a new byte."""
    first_pause_s: float = 1.0
    """Doubled with every attempt."""
    max_bytes_per_s: float | None = None
    """Of all files together."""

    @staticmethod
    def from_environment(
        mirror: str | None = None, max_bytes_per_s: float | None = None, environment: Mapping[str, str] = os.environ
    ) -> "Network":
        home = Path(environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
        token = environment.get("HF_TOKEN")
        stored = home.expanduser() / "token"
        if not token and stored.is_file():
            token = stored.read_text(encoding="utf-8").strip()
        return Network(
            endpoint=(mirror or environment.get("HF_ENDPOINT") or HUB).rstrip("/"),
            mirror=mirror.rstrip("/") if mirror else None,
            token=token or None,
            offline=environment.get("HF_HUB_OFFLINE", "").lower() in _TRUE,
            cache=Path(environment.get("HF_HUB_CACHE") or home / "hub").expanduser(),
            max_bytes_per_s=max_bytes_per_s,
        )

    def address(self, url: str) -> str:
        """Where a file of the catalogue is fetched from."""
        if self.mirror is None:
            return url
        return self.mirror + httpx.URL(url).raw_path.decode()

    def headers(self, url: str) -> dict[str, str]:
        headers = {"User-Agent": f"descant/{version('descant')}", "Accept-Encoding": "identity"}
        if self.token and url.startswith(f"{self.endpoint}/"):
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def client(self) -> httpx.Client:
        return httpx.Client(timeout=self.timeout_s, follow_redirects=True)

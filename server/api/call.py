"""What every handler has at hand: the services, and facts about this call."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.services import Services
from server.storage.voices import Voices

_SCOPE_KEY = "descant.call"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request or one WebSocket connection."""

    services: Services
    request_id: str
    version: date
    received_s: float
    """time.perf_counter() when the request reached the application."""
    key_id: str = ""

    @property
    def voices(self) -> Voices:
        """The voices that this caller sees."""
        return self.services.voices.of(self.key_id)


def attach(scope: MutableMapping[str, Any], call: Call) -> None:
    scope[_SCOPE_KEY] = call


def call_of(scope: MutableMapping[str, Any]) -> Call:
    """The call that `server.api.gate` attached to this ASGI scope."""
    call = scope[_SCOPE_KEY]
    assert isinstance(call, Call)
    return call

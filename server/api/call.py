"""What every handler has at hand: the services, and facts about this call."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.services import ClientCall

_SCOPE_KEY = "descant.call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(ClientCall):
    """One HTTP request or one WebSocket connection."""

    version: date


def attach(scope: MutableMapping[str, Any], call: Call) -> None:
    scope[_SCOPE_KEY] = call


def call_of(scope: MutableMapping[str, Any]) -> Call:
    """The call that `server.api.gate` attached to this ASGI scope."""
    call = scope[_SCOPE_KEY]
    assert isinstance(call, Call)
    return call

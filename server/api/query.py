"""Query parameters: what a handler takes is said where it is declared, for `server.api.openapi` to read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from server.errors import InvalidRequest

_Default = TypeVar("_Default", float, None)
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class QueryParameter:
    name: str
    meaning: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class NumberParameter:
    """A number within a range."""

    name: str
    meaning: str
    lowest: float
    highest: float

    def read(self, query: Mapping[str, str], default: _Default) -> float | _Default:
        """The default where it is absent. Raises InvalidRequest for what is no number or out of range."""
        text = query.get(self.name, "").strip()
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        # A comparison with NaN is false, so NaN is refused here too.
        if not self.lowest <= value <= self.highest:
            accepted = f"accepted values: {self.lowest:g} to {self.highest:g}"
            raise InvalidRequest(f"{self.name}: {text[:40]!r} is not supported; {accepted}", field=self.name)
        return value

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "number", "minimum": self.lowest, "maximum": self.highest}

    @property
    def is_required(self) -> bool:
        return False


AnyParameter = QueryParameter | NumberParameter


def required(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, "").strip()
    if not value:
        raise InvalidRequest(f"{name}: is required", field=name)
    return value


def takes_query(*parameters: AnyParameter) -> Callable[[_Handler], _Handler]:
    """Says that the handler reads these parameters."""

    def note(handler: _Handler) -> _Handler:
        _TAKEN[handler] = parameters
        return handler

    return note


_TAKEN: dict[Callable[..., Any], tuple[AnyParameter, ...]] = {}


def query_of(handler: Callable[..., Any]) -> tuple[AnyParameter, ...]:
    """What was declared; nothing for a handler that reads none."""
    return _TAKEN.get(handler, ())

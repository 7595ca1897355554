"""Pages of a list by cursor, as every list of the public API gives them.

SDKs page until a page is empty and ignore ``has_more``, so a cursor is never ignored.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from server.api.query import NumberParameter, QueryParameter
from server.errors import InvalidRequest

MAX_PAGE_ITEMS = 100
DEFAULT_PAGE_ITEMS = 10


PAGE_PARAMETERS = (
    NumberParameter("limit", f"Items on a page; {DEFAULT_PAGE_ITEMS} where it is left out.", 1, MAX_PAGE_ITEMS),
    QueryParameter("starting_after", "The page behind the item with this id."),
    QueryParameter("ending_before", "The page before the item with this id."),
)


class Listed(Protocol):
    """What can be on a page."""

    @property
    def id(self) -> str: ...


_Item = TypeVar("_Item", bound=Listed)


def page_of(items: Sequence[_Item], query: Any) -> tuple[Sequence[_Item], bool]:
    """The items of the page that a request's query asks for, in order, and whether there are more in its direction.

    Raises InvalidRequest for a limit out of range and for a cursor that is not in the list.
    """
    limit = _limit(query.get("limit", ""))
    after, before = query.get("starting_after", ""), query.get("ending_before", "")
    if after and before:
        raise InvalidRequest("ending_before: set starting_after or ending_before, not both", field="ending_before")
    if before:
        end = _position(items, before, "ending_before")
        return items[max(0, end - limit) : end], end > limit
    start = _position(items, after, "starting_after") + 1 if after else 0
    return items[start : start + limit], start + limit < len(items)


def page_body(page: Sequence[_Item], has_more: bool, shown: Sequence[Any]) -> dict[str, Any]:
    """The answer for a page of items that are ``shown`` as JSON."""
    return {"data": list(shown), "has_more": has_more, "next_page": page[-1].id if page and has_more else None}


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_PAGE_ITEMS
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE_ITEMS):
        raise InvalidRequest(f"limit: {text[:40]!r} is not supported; accepted values: 1 to {MAX_PAGE_ITEMS}", field="limit")
    return int(text)


def _position(items: Sequence[Listed], item_id: str, field: str) -> int:
    for position, item in enumerate(items):
        if item.id == item_id:
            return position
    raise InvalidRequest(f"{field}: nothing in this list has the id {item_id[:80]!r}", field=field)

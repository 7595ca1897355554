"""What differs between dated versions of the public API, in one place.

A version is its date. Versions are compared as dates and never tested for
equality, so an unknown newer date behaves like the newest known one.
"""

import re
from datetime import date

from server.errors import InvalidRequest

NEWEST = date(2026, 8, 14)

_PAGED_VOICES = date(2024, 11, 13)
_LATER_BUFFERING = date(2025, 4, 16)
_STRUCTURED_EVENTS = date(2025, 11, 4)
_STRUCTURED_ERRORS = date(2026, 3, 1)


def parse_version(text: str) -> date:
    """Raises InvalidRequest for anything but a calendar date written YYYY-MM-DD."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequest(
        f"Cartesia-Version: {text[:40]!r} is not a date; write it as YYYY-MM-DD, for example {NEWEST}", field="Cartesia-Version"
    )


def has_structured_errors(version: date) -> bool:
    """HTTP errors are JSON objects; before, the text ``Title: Message``."""
    return version >= _STRUCTURED_ERRORS


def has_structured_error_events(version: date) -> bool:
    """Error events carry title and message only; before, also ``error`` with both joined."""
    return version >= _STRUCTURED_EVENTS


def has_paged_voices(version: date) -> bool:
    """``GET /voices`` gives pages; before, a bare array with embeddings."""
    return version >= _PAGED_VOICES


def counts_flushes_from_zero(version: date) -> bool:
    """Clients of these versions use ``flush_id`` as an index that starts at 0 and expect it on every frame."""
    return version < _LATER_BUFFERING


def default_buffer_delay_ms(version: date) -> int:
    """Older clients send whole sentences and do not expect the server to wait for more."""
    return 3000 if version >= _LATER_BUFFERING else 0

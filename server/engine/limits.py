"""How many may come in, in all and per API key; and what the engine needs to know of the server's limits."""

from collections import Counter
from typing import Protocol

from server.errors import Busy


class EngineLimits(Protocol):
    """So that the engine does not depend on the settings library; values and defaults are `server.config.Limits`."""

    @property
    def max_speech_sessions(self) -> int: ...

    @property
    def max_transcription_sessions(self) -> int: ...

    @property
    def max_queued_sessions(self) -> int: ...

    @property
    def max_queue_s(self) -> float: ...

    @property
    def max_sessions_per_key(self) -> int: ...

    @property
    def key_share(self) -> float: ...

    @property
    def context_idle_s(self) -> float: ...

    @property
    def stall_timeout_s(self) -> float: ...


def share_of(places: int, key_share: float) -> int:
    """What one key may take of so many places: rounded down, at least one."""
    return max(1, int(places * key_share))


class Places:
    """Counts open sessions, or what belongs to them, in all and per key. Callers without a key share the whole.

    A key is stopped before the server is full, so that the others always find room.
    """

    def __init__(self, sessions: int, limits: EngineLimits, what: str, per_session: int = 1) -> None:
        """``what`` names the things counted in messages, such as "contexts"; there may be ``per_session`` of them."""
        self._places = places = sessions * per_session
        self._what = what
        self._per_key = share_of(places, limits.key_share)
        self._reason = f"limits.key_share is {limits.key_share:g} of {places} places"
        if 0 < limits.max_sessions_per_key * per_session < self._per_key:
            self._per_key = limits.max_sessions_per_key * per_session
            self._reason = f"limits.max_sessions_per_key is {limits.max_sessions_per_key}"
            if per_session > 1:
                self._reason += f", {per_session} {what} for each"
        self._keys: Counter[str] = Counter()
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    def take(self, key: str) -> None:
        """Count one in. Raises Busy, naming the limit, when the server or the key has as many as it may."""
        if self._taken >= self._places:
            raise Busy(f"all {self._places} places for {self._what} are taken", retry_after_s=1.0)
        if key and self._keys[key] >= self._per_key:
            raise Busy(
                f"this API key has {self._keys[key]} {self._what} open, as many as it may: {self._reason}", retry_after_s=1.0
            )
        self._taken += 1
        self._keys[key] += 1

    def leave(self, key: str) -> None:
        """Count one out that was counted in."""
        self._taken -= 1
        self._keys[key] -= 1
        if not self._keys[key]:
            del self._keys[key]

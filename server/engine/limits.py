"""What the engine needs to know of the server's limits.

A protocol, so that the engine does not depend on the settings library; its
values and defaults are `server.config.Limits`.
"""

from typing import Protocol


class EngineLimits(Protocol):
    @property
    def max_speech_sessions(self) -> int: ...

    @property
    def max_transcription_sessions(self) -> int: ...

    @property
    def max_queued_sessions(self) -> int: ...

    @property
    def context_idle_s(self) -> float: ...

    @property
    def stall_timeout_s(self) -> float: ...

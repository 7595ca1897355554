"""Who gets a slot and who steps now: arithmetic on numbers that others bring.

No model, no thread, no clock: every call takes ``now_s``, so that an hour of
traffic simulates in a second. The owner of the model reports what happens
(`submit`, `add_text`, `observe`, `stepped`, `end`) and asks for a `Plan` before
each step.

Order of steps: sessions without any audio yet come first, because their
listener hears nothing; streams about to run dry join them; streams with a long
lead wait until nobody is new. A session whose listener does not read stops
stepping once ``max_ahead_s`` of audio is piled up, so it delays only itself.
"""

from dataclasses import dataclass
from enum import Enum

DEFAULT_ROW_COST_S = 0.005
COST_SMOOTHING = 0.2


class Expiry(Enum):
    """Why a lease ended."""

    IDLE = "idle"
    STALLED = "stalled"
    QUEUE_TIMEOUT = "queue timeout"


@dataclass(frozen=True, slots=True)
class Policy:
    """Times that shape the schedule, in seconds."""

    idle_s: float
    """An open session without text or audio for this long ends."""
    stall_s: float
    """A session whose audio nobody reads for this long loses its slot."""
    queue_s: float = 60.0
    """A session that has text but no slot for this long is refused."""
    max_ahead_s: float = 20.0
    """Unread audio a session may pile up before it stops stepping."""
    min_lead_s: float = 0.2
    """Streams with less audio ahead of the listener step together with new ones."""
    step_budget_s: float = 0.05
    """Aim for the length of one step: newcomers and cancels wait for at most this."""
    reclaim_s: float = 1.0
    """A silent open session may lose its slot to a waiting one after this long."""


@dataclass(frozen=True, slots=True)
class Admission:
    session: int
    slot: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in this order: expire, reclaim, admit, step."""

    expire: tuple[tuple[int, Expiry], ...]
    reclaim: tuple[Admission, ...]
    """Sessions that give their slot back and wait for the next one."""
    admit: tuple[Admission, ...]
    step: tuple[int, ...]
    wake_s: float | None
    """When to ask again if nothing happens and nobody steps."""


@dataclass(slots=True)
class _Entry:
    session: int
    slot: int | None
    segments: int
    """Given to the session and not yet spoken to the end."""
    text_held: bool
    """Text is buffered before the model, so the session is not idle."""
    ready_s: float
    """Since when it has something to speak."""
    active_s: float
    """Last input or audio out."""
    read_s: float
    """Last time the listener took audio, or the oldest unread audio came."""
    unread_s: float
    audio_s: float
    first_audio_s: float | None

    def lead_s(self, now_s: float) -> float:
        """Audio made beyond what a listener in real time has heard."""
        if self.first_audio_s is None:
            return 0.0
        return self.audio_s - (now_s - self.first_audio_s)


class Scheduler:
    """Keeps ``slots`` slots and the sessions that hold or want them. Not thread-safe: one owner."""

    def __init__(self, slots: int, policy: Policy) -> None:
        self._policy = policy
        self._free = list(range(slots - 1, -1, -1))
        self._entries: dict[int, _Entry] = {}
        self._row_cost_s = DEFAULT_ROW_COST_S

    # --- what happened ----------------------------------------------------------

    def submit(self, session: int, now_s: float) -> None:
        """A session was accepted; it takes a slot when it has text."""
        self._entries[session] = _Entry(session, None, 0, False, now_s, now_s, now_s, 0.0, 0.0, None)

    def touch(self, session: int, now_s: float) -> None:
        """Input arrived."""
        self._entries[session].active_s = now_s

    def add_text(self, session: int, segments: int, now_s: float) -> None:
        entry = self._entries[session]
        if entry.segments == 0 and segments:
            entry.ready_s = now_s
            if entry.lead_s(now_s) < 0.0:
                # All earlier audio has been heard: this is a first audio again.
                entry.first_audio_s, entry.audio_s = None, 0.0
        entry.segments += segments
        entry.active_s = now_s

    def stepped(self, session: int, audio_s: float, segments_ended: int, now_s: float) -> None:
        """A step gave ``audio_s`` of new audio and ended some of the session's segments."""
        entry = self._entries[session]
        entry.segments = max(0, entry.segments - segments_ended)
        if audio_s <= 0.0:
            return
        entry.active_s = now_s
        if entry.first_audio_s is None or entry.lead_s(now_s) < 0.0:
            # A listener who ran dry hears on from here: old debts would put everybody who comes later last.
            entry.first_audio_s, entry.audio_s = now_s, 0.0
        entry.audio_s += audio_s
        if entry.unread_s <= 0.0:
            entry.read_s = now_s
        entry.unread_s += audio_s

    def observe(self, session: int, unread_s: float, last_read_s: float, text_held: bool) -> None:
        """How much audio lies unread, when the listener last took some, and whether text waits before the model."""
        entry = self._entries[session]
        entry.text_held = text_held
        entry.unread_s = unread_s
        entry.read_s = max(entry.read_s, last_read_s)

    def measured(self, rows: int, took_s: float) -> None:
        """A step of that many rows took that long; bounds the rows of the next ones."""
        if rows > 0:
            self._row_cost_s += COST_SMOOTHING * (took_s / rows - self._row_cost_s)

    def end(self, session: int) -> int | None:
        """Forget a session; gives the slot it held, which is free from now on."""
        entry = self._entries.pop(session)
        if entry.slot is not None:
            self._free.append(entry.slot)
        return entry.slot

    # --- what to do -------------------------------------------------------------

    @property
    def active(self) -> int:
        """Sessions that hold a slot."""
        return sum(entry.slot is not None for entry in self._entries.values())

    @property
    def waiting(self) -> int:
        """Sessions that have something to speak and no slot."""
        return sum(entry.slot is None and entry.segments > 0 for entry in self._entries.values())

    def plan(self, now_s: float) -> Plan:
        """Decide for this moment. Admissions and reclaims are in effect when this returns; expiries and steps
        are in effect when the owner reports `end` and `stepped`."""
        expire = tuple((e.session, why) for e in self._entries.values() if (why := self._expiry(e, now_s)) is not None)
        gone = {session for session, _ in expire}
        alive = [entry for entry in self._entries.values() if entry.session not in gone]
        reclaim, admit = self._admissions(alive, now_s)
        step = self._choose(alive, now_s)
        return Plan(expire, reclaim, admit, step, self._wake_s(alive))

    def _expiry(self, entry: _Entry, now_s: float) -> Expiry | None:
        deadline_s, why = self._deadline(entry)
        return why if now_s >= deadline_s else None

    def _deadline(self, entry: _Entry) -> tuple[float, Expiry]:
        if entry.unread_s > 0.0:
            return entry.read_s + self._policy.stall_s, Expiry.STALLED
        if entry.segments == 0 and not entry.text_held:
            return entry.active_s + self._policy.idle_s, Expiry.IDLE
        if entry.segments > 0 and entry.slot is None:
            return entry.ready_s + self._policy.queue_s, Expiry.QUEUE_TIMEOUT
        return float("inf"), Expiry.IDLE

    def _admissions(self, alive: list[_Entry], now_s: float) -> tuple[tuple[Admission, ...], tuple[Admission, ...]]:
        waiting = sorted((e for e in alive if e.slot is None and e.segments), key=lambda e: (e.ready_s, e.session))
        reclaimed = []
        if len(waiting) > len(self._free):
            silent = [e for e in alive if e.slot is not None and self._reclaimable_s(e) <= now_s]
            silent.sort(key=lambda e: (e.active_s, e.session))
            for entry in silent[: len(waiting) - len(self._free)]:
                assert entry.slot is not None
                reclaimed.append(Admission(entry.session, entry.slot))
                self._free.append(entry.slot)
                entry.slot = None
        admitted = []
        for entry in waiting[: len(self._free)]:
            entry.slot = self._free.pop()
            admitted.append(Admission(entry.session, entry.slot))
        return tuple(reclaimed), tuple(admitted)

    def _reclaimable_s(self, entry: _Entry) -> float:
        if entry.segments or entry.slot is None:
            return float("inf")
        return entry.active_s + self._policy.reclaim_s

    def _choose(self, alive: list[_Entry], now_s: float) -> tuple[int, ...]:
        able = [e for e in alive if e.slot is not None and e.segments and e.unread_s < self._policy.max_ahead_s]
        rows = max(1, int(self._policy.step_budget_s / max(self._row_cost_s, 1e-9)))
        new = sorted((e for e in able if e.first_audio_s is None), key=lambda e: (e.ready_s, e.session))
        rest = sorted((e for e in able if e.first_audio_s is not None), key=lambda e: (e.lead_s(now_s), e.session))
        if not new:
            return tuple(e.session for e in rest[:rows])
        urgent = [e for e in rest if e.lead_s(now_s) < self._policy.min_lead_s]
        # First audio comes first, but half of a full batch is kept for streams about to run dry.
        first = new[: max(1, rows - min(len(urgent), rows // 2))]
        return tuple(e.session for e in first + urgent[: rows - len(first)])

    def _wake_s(self, alive: list[_Entry]) -> float | None:
        moments = [self._deadline(entry)[0] for entry in alive]
        if any(e.slot is None and e.segments for e in alive):
            moments += [self._reclaimable_s(entry) for entry in alive]
        soonest = min(moments, default=float("inf"))
        return None if soonest == float("inf") else soonest

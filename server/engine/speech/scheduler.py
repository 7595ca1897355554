"""Who gets a slot and who steps now: arithmetic on numbers that others bring.

No model, no thread, no clock: every call takes ``now_s``, so that an hour of
traffic simulates in a second. The owner of the model reports what happens
(`submit`, `add_text`, `observe`, `stepped`, `end`) and asks for a `Plan` before
each step.

Order of steps: sessions without any audio yet come first, because their
listener hears nothing; streams about to run dry join them where that costs
little, or step in turn with them where it does not; streams with a long lead
wait until nobody is new. A session whose listener does not read stops stepping
once ``max_ahead_s`` of audio is piled up, so it delays only itself.

Steps are kept short (`Policy.step_budget_s`), because whoever comes now waits for
the end of the one that runs. First chunks are short and a batch is padded to
its longest row, so beginners step by themselves: beside rows of 300 ms their
50 ms would cost six times as much.

Keys take turns: for slots, for first audio and for the steps of streams about to
run dry, the first of each key comes before the second of any.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from server.engine.speech.step_cost import StepCost

HOLD_SMOOTHING = 0.1
"""Weight of the session that gave its slot back last in how long slots are held."""
FIRST_STEPS_IN_A_ROW = 2
"""Steps for rows without audio before it is the turn of those that would run dry meanwhile."""
WORTHWHILE_BASES = 2
"""A step may last so many times what an empty one costs; shorter ones would be mostly overhead."""


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
    max_ahead_s: float = 1.0
    """Unread audio a session may pile up before it stops stepping: a reader who comes back gets more within a step or two.
    What is made for clients that never read costs the others: 3 s made it 4.7 s with what the sockets hold, 0.1 s of the
    processor for each; 1 s makes it 2.3 s and 0.07 s."""
    min_lead_s: float = 0.2
    """Streams with less audio ahead of the listener step together with new ones."""
    step_budget_s: float = 0.025
    """Aim for the length of one step: newcomers and cancels wait for about this."""
    full_step_budget_s: float = 0.04
    """The same while streams are dry, or more are new than one step serves: then it matters more to get much done."""
    max_slots_per_key: int = 1 << 30
    """Slots that sessions of one key may hold together. Sessions without a key are not bounded."""
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


@dataclass(frozen=True, slots=True)
class Turnover:
    """How slots come free, for who decides whether to let somebody in."""

    slots: int
    slots_per_key: int
    hold_s: float | None = None
    """How long slots are held lately; unknown until the first came back."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """Slots of each key that something is said in; the others are lent to who comes."""

    def wait_s(self, key: str, waiting: Mapping[str, int]) -> float:
        """In how long one more session of this key would have a slot, those of each key that wait counted in."""
        if self.hold_s is None:
            return 0.0
        busy = self.busy.get(key, 0)
        place = busy + waiting.get(key, 0)
        if key and place >= self.slots_per_key:
            return (place - self.slots_per_key + 1) * self.hold_s / max(1, busy)
        # The key with the fewest slots comes first: of the others those count whose turn is not after this one.
        ahead = sum(min(count, max(0, place - self.busy.get(other, 0) + 1)) for other, count in waiting.items())
        all_busy = sum(self.busy.values())
        return max(0, ahead + 1 - (self.slots - all_busy)) * self.hold_s / max(1, all_busy)


@dataclass(slots=True)
class _Entry:
    session: int
    key: str
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
    chunks: int = 0
    """Steps that gave audio since the slot was taken."""
    slot_s: float = 0.0
    """When the slot was taken."""

    def lead_s(self, now_s: float) -> float:
        """Audio made beyond what a listener in real time has heard."""
        if self.first_audio_s is None:
            return 0.0
        return self.audio_s - (now_s - self.first_audio_s)


class Scheduler:
    """Keeps ``slots`` slots and the sessions that hold or want them. Not thread-safe: one owner."""

    def __init__(self, slots: int, policy: Policy) -> None:
        self._policy = policy
        self._slots = slots
        self._free = list(range(slots - 1, -1, -1))
        self._entries: dict[int, _Entry] = {}
        self._cost = StepCost()
        self._first_steps = 0
        """Steps with rows that had no audio, since the last one without."""
        self._hold_s: float | None = None
        """How long slots are held; unknown until the first came back."""

    # --- what happened ----------------------------------------------------------

    def submit(self, session: int, now_s: float, key: str = "") -> None:
        """A session was accepted; it takes a slot when it has text. ``key`` names who pays for it."""
        self._entries[session] = _Entry(session, key, None, 0, False, now_s, now_s, now_s, 0.0, 0.0, None)

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
        self._cost.saw_chunk(entry.chunks, audio_s)
        entry.chunks += 1
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

    def measured(self, sessions: Sequence[int], took_s: float) -> None:
        """A step of these took that long; bounds the rows of the next ones. To be told before `stepped`."""
        entries = [self._entries[session] for session in sessions]
        first_rows = sum(entry.first_audio_s is None for entry in entries)
        longest_s = max((self._cost.chunk_s(entry.chunks) for entry in entries), default=0.0)
        if entries:
            self._cost.measured(len(entries), first_rows, longest_s, took_s)
            self._first_steps = self._first_steps + 1 if first_rows else 0

    def end(self, session: int, now_s: float) -> int | None:
        """Forget a session; gives the slot it held, which is free from now on."""
        entry = self._entries.pop(session)
        slot = entry.slot
        if slot is not None:
            self._give_back(entry, now_s)
        return slot

    def _give_back(self, entry: _Entry, now_s: float) -> None:
        assert entry.slot is not None
        self._free.append(entry.slot)
        entry.slot = None
        held_s = now_s - entry.slot_s
        self._hold_s = held_s if self._hold_s is None else self._hold_s + HOLD_SMOOTHING * (held_s - self._hold_s)

    # --- what to do -------------------------------------------------------------

    @property
    def active(self) -> int:
        """Sessions that hold a slot."""
        return sum(entry.slot is not None for entry in self._entries.values())

    @property
    def waiting(self) -> int:
        """Sessions that have something to speak and no slot."""
        return sum(entry.slot is None and entry.segments > 0 for entry in self._entries.values())

    def turnover(self) -> Turnover:
        busy = Counter(entry.key for entry in self._entries.values() if entry.slot is not None and entry.segments)
        return Turnover(self._slots, self._policy.max_slots_per_key, self._hold_s, busy)

    def plan(self, now_s: float) -> Plan:
        """Decide for this moment. Admissions and reclaims are in effect when this returns; expiries and steps
        are in effect when the owner reports `end` and `stepped`."""
        expire = tuple((e.session, why) for e in self._entries.values() if (why := self._expiry(e, now_s)) is not None)
        gone = {session for session, _ in expire}
        alive = [entry for entry in self._entries.values() if entry.session not in gone]
        reclaim, admit = self._admissions(alive, now_s)
        step = tuple(entry.session for entry in self._choose(alive, now_s))
        return Plan(expire, reclaim, admit, step, None if step else self._wake_s(alive, now_s))

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
        """Free slots, then those of silent sessions, to the waiting in their order; a full key gets its own ones only."""
        waiting = [e for e in alive if e.slot is None and e.segments]
        if not waiting:
            return (), ()
        silent = [e for e in alive if e.slot is not None and self._reclaimable_s(e) <= now_s]
        silent.sort(key=lambda e: (e.active_s, e.session))
        held = Counter(e.key for e in self._entries.values() if e.slot is not None)
        reclaimed, admitted = [], []
        for entry in self._next_in_line(waiting, held - Counter(e.key for e in silent)):
            is_full = bool(entry.key) and held[entry.key] >= self._policy.max_slots_per_key
            if is_full or not self._free:
                lender = next((e for e in silent if e.key == entry.key or not is_full), None)
                if lender is None:
                    continue
                assert lender.slot is not None
                silent.remove(lender)
                reclaimed.append(Admission(lender.session, lender.slot))
                held[lender.key] -= 1
                self._give_back(lender, now_s)
            entry.slot, entry.slot_s, entry.chunks = self._free.pop(), now_s, 0
            held[entry.key] += 1
            admitted.append(Admission(entry.session, entry.slot))
        return tuple(reclaimed), tuple(admitted)

    def _next_in_line(self, waiting: list[_Entry], busy: Counter[str]) -> list[_Entry]:
        """Who may have a slot, in this order: the key with the fewest busy ones, and of one key who was ready first."""
        places = []
        for entry in sorted(waiting, key=_ready):
            place = busy[entry.key]
            busy[entry.key] += 1
            if not entry.key or place < self._policy.max_slots_per_key:
                places.append((place, _ready(entry), entry))
        places.sort(key=lambda place: place[:2])
        return [entry for _, _, entry in places]

    def _reclaimable_s(self, entry: _Entry) -> float:
        if entry.segments or entry.slot is None:
            return float("inf")
        return entry.active_s + self._policy.reclaim_s

    def _choose(self, alive: list[_Entry], now_s: float) -> list[_Entry]:
        able = [e for e in alive if e.slot is not None and e.segments and e.unread_s < self._policy.max_ahead_s]
        leads = {e.session: e.lead_s(now_s) for e in able}
        new = [e for e in able if e.first_audio_s is None]
        going_on = sorted((e for e in able if e.first_audio_s is not None), key=lambda e: (leads[e.session], e.session))
        urgent = _by_turns([e for e in going_on if leads[e.session] < self._policy.min_lead_s])
        budget_s = self._policy.step_budget_s
        if not new:
            is_dry = bool(going_on) and leads[going_on[0].session] < 0.0
            return self._fill([], urgent + going_on[len(urgent) :], self._policy.full_step_budget_s if is_dry else budget_s)
        new = _by_turns(sorted(new, key=_ready))
        first = self._fill([], new, budget_s)
        if len(first) < len(new):
            # They would wait for each other anyway: longer steps serve more of them in the same time.
            first = self._fill([], new, self._policy.full_step_budget_s)
        is_their_turn = self._first_steps >= FIRST_STEPS_IN_A_ROW
        if urgent and is_their_turn and leads[going_on[0].session] < self._cost.of(len(first), *self._load(first)):
            return self._fill([], urgent, budget_s)
        return self._fill(first, urgent, budget_s)

    def _fill(self, chosen: list[_Entry], candidates: Sequence[_Entry], budget_s: float) -> list[_Entry]:
        """Add the candidates, in their order, as far as the step stays within its budget; at least one row."""
        rows = list(chosen)
        if candidates and not rows:
            budget_s = max(budget_s, WORTHWHILE_BASES * self._cost.base_s(1, int(candidates[0].first_audio_s is None)))
        first_rows, longest_s = self._load(rows)
        for entry in candidates:
            chunk_s = max(longest_s, self._cost.chunk_s(entry.chunks))
            new_rows = first_rows + (entry.first_audio_s is None)
            if rows and self._cost.of(len(rows) + 1, new_rows, chunk_s) > budget_s:
                break
            rows.append(entry)
            first_rows, longest_s = new_rows, chunk_s
        return rows

    def _load(self, rows: Sequence[_Entry]) -> tuple[int, float]:
        """Rows that have no audio yet, and the longest chunk."""
        first_rows = sum(entry.first_audio_s is None for entry in rows)
        return first_rows, max((self._cost.chunk_s(entry.chunks) for entry in rows), default=0.0)

    def _wake_s(self, alive: list[_Entry], now_s: float) -> float | None:
        moments = [self._deadline(entry)[0] for entry in alive]
        if any(e.slot is None and e.segments for e in alive):
            moments += [moment_s for e in alive if (moment_s := self._reclaimable_s(e)) > now_s]
        soonest = min(moments, default=float("inf"))
        return None if soonest == float("inf") else soonest


def _ready(entry: _Entry) -> tuple[float, int]:
    return entry.ready_s, entry.session


def _by_turns(entries: Sequence[_Entry]) -> list[_Entry]:
    """In this order, but the first of each key before the second of any."""
    turns: Counter[str] = Counter()
    places = []
    for index, entry in enumerate(entries):
        places.append((turns[entry.key], index))
        turns[entry.key] += 1
    return [entries[index] for _, index in sorted(places)]

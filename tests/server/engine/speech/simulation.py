"""A simulated server around the real scheduler: clients, a model that takes time, and rules that must hold.

Time jumps from event to event, so hours pass in milliseconds. Whoever acts here
does what the worker of `server.engine.speech.synthesis` does, in its order: commands,
then a plan, then a step.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from server.config import Limits
from server.engine.limits import Places, share_of
from server.engine.speech.scheduler import FIRST_STEPS_IN_A_ROW, Expiry, Plan, Policy, Scheduler
from server.errors import Busy

NEVER_S = float("inf")
CHUNKS_S = (0.05, 0.08, 0.12, 0.2, 0.3)
SEGMENT_S = 1.5


class Reading(Enum):
    """What a client does with its audio."""

    AT_ONCE = "at once"
    AS_IT_PLAYS = "as it plays"
    NEVER = "never"


@dataclass
class Client:
    """What one simulated client does; moments in seconds from its arrival."""

    arrives_s: float
    key: str
    texts: list[tuple[float, int]]
    """When text comes, and how many segments it makes."""
    finishes_s: float
    cancels_s: float
    """Cancels, or dies, which is the same to the server."""
    reading: Reading
    faults_at_step: int
    """The model raises for it in this step; -1 for never."""

    opened: bool = False
    ended: bool = False
    refused: bool = False
    slot: int | None = None
    segments: int = 0
    segment_left_s: float = 0.0
    unread_s: float = 0.0
    last_read_s: float = 0.0
    ready_s: float = 0.0
    steps: int = 0
    chunks: int = 0
    first_audio_s: float | None = None
    plays_until_s: float = 0.0
    """When a listener in real time has heard all that was made."""
    plans_dry: int = 0
    """Plans in a row in which it could have stepped, had nothing left to play, and did not step."""
    wait_s: float | None = None
    """For its very first audio, from the text on."""
    dry_s: float = 0.0
    """Silence inside what a listener heard."""


@dataclass(frozen=True)
class Costs:
    """What a step takes: something always, something per row that begins, the rest per padded second of audio."""

    base_s: float
    first_row_s: float
    audio: float

    def of(self, chunks_s: list[float], first_rows: int) -> float:
        return self.base_s + self.first_row_s * first_rows + self.audio * len(chunks_s) * max(chunks_s)


EMBEDDED_VOICE = Costs(base_s=0.003, first_row_s=0.0045, audio=0.016)
"""As measured on one core of an idle machine: 8 ms to the first audio, 8 ms for a chunk of 0.3 s."""


@dataclass
class World:
    """A model with slots, its clients and the owner's bookkeeping, one plan at a time."""

    slots: int
    clients: dict[int, Client]
    costs: Costs
    queue_places: int = 1000
    key_share: float = 1.0
    until_s: float = NEVER_S
    now_s: float = 0.0
    max_ahead_s: float = 5.0
    open_ids: set[int] = field(default_factory=set)
    steps: int = 0
    plans_without_new: int = 0
    """Steps in a row without a row that waits for its first audio, although there was one."""

    def __post_init__(self) -> None:
        self.max_slots_per_key = share_of(self.slots, self.key_share)
        self.policy = Policy(idle_s=30, stall_s=10, max_ahead_s=self.max_ahead_s, max_slots_per_key=self.max_slots_per_key)
        self.scheduler = Scheduler(self.slots, self.policy)
        limits = Limits(key_share=self.key_share)
        self.places = Places(self.slots + self.queue_places, limits, "contexts")
        self._arrivals = sorted(self.clients, key=lambda id: self.clients[id].arrives_s)
        self._last_event_s = max((self._planned_end_s(client) for client in self.clients.values()), default=0.0)

    def run(self) -> None:
        """Until every session has ended."""
        for _ in itertools.count():
            self._clients_act()
            if self.now_s >= self.until_s or (not self.open_ids and not self._arrivals):
                return
            assert self.now_s < self._last_event_s + 3600.0, "a session never ended"
            plan = self.scheduler.plan(self.now_s)
            self._check(plan)
            self._apply(plan)
            if plan.step:
                self._step(plan)
            elif not plan.expire:
                self._sleep(plan.wake_s)

    # --- clients ----------------------------------------------------------------

    def _clients_act(self) -> None:
        while self._arrivals and self.clients[self._arrivals[0]].arrives_s <= self.now_s:
            self._open(self._arrivals.pop(0))
        for id in sorted(self.open_ids):
            self._act(id, self.clients[id])

    def _open(self, id: int) -> None:
        client = self.clients[id]
        client.opened = True
        try:
            self.places.take(client.key)
        except Busy:
            assert len(self.open_ids) == self.slots + self.queue_places or self.key_share < 1.0
            client.refused = client.ended = True
            return
        assert len(self.open_ids) < self.slots + self.queue_places, "the queue is not bounded"
        self.open_ids.add(id)
        self.scheduler.submit(id, self.now_s, client.key)

    def _act(self, id: int, client: Client) -> None:
        if self.now_s >= client.arrives_s + client.cancels_s:
            self._end(id)
            return
        while client.texts and client.arrives_s + client.texts[0][0] <= self.now_s:
            _, segments = client.texts.pop(0)
            if client.segments == 0:
                client.ready_s = self.now_s
                if client.first_audio_s is not None and self.now_s > client.plays_until_s:
                    client.first_audio_s = None
            client.segments += segments
            self.scheduler.add_text(id, segments, self.now_s)
        if client.reading is Reading.AT_ONCE:
            left_s = 0.0
        elif client.reading is Reading.AS_IT_PLAYS:
            left_s = max(0.0, client.plays_until_s - self.now_s)
        else:
            left_s = client.unread_s
        if left_s < client.unread_s:
            client.unread_s, client.last_read_s = left_s, self.now_s
        self.scheduler.observe(id, client.unread_s, client.last_read_s, text_held=False)
        if self.now_s >= client.arrives_s + client.finishes_s and client.segments == 0 and not client.texts:
            self._end(id)

    def _end(self, id: int) -> None:
        client = self.clients[id]
        assert self.scheduler.end(id, self.now_s) == client.slot
        client.ended, client.slot = True, None
        self.open_ids.remove(id)
        self.places.leave(client.key)

    def _planned_end_s(self, client: Client) -> float:
        return client.arrives_s + max([client.finishes_s, *(at_s for at_s, _ in client.texts)])

    # --- rules ------------------------------------------------------------------

    def _check(self, plan: Plan) -> None:
        expired = {id for id, _ in plan.expire}
        admitted = {one.session for one in plan.admit}
        self._check_slots(plan, expired, admitted)
        able = {
            id: client
            for id in self.open_ids - expired
            if ((client := self.clients[id]).slot is not None or id in admitted)
            and client.segments
            and client.unread_s < self.max_ahead_s
        }
        assert set(plan.step) <= set(able), "a session steps that cannot"
        assert len(plan.step) == len(set(plan.step))
        assert bool(plan.step) == bool(able), "somebody could step and nobody does"
        self._check_first_audio(plan, able)
        self._check_nobody_starves(plan, able)

    def _check_slots(self, plan: Plan, expired: set[int], admitted: set[int]) -> None:
        slots = {id: slot for id in self.open_ids if (slot := self.clients[id].slot) is not None}
        for one in plan.reclaim:
            assert slots.pop(one.session) == one.slot
            assert self.clients[one.session].segments == 0, "a session that speaks lost its slot"
        waiting = {id for id in self.open_ids - expired if self.clients[id].segments and self.clients[id].slot is None}
        before = Counter(self.clients[id].key for id in slots)
        for one in plan.admit:
            assert one.slot not in slots.values(), "a slot was given twice"
            assert 0 <= one.slot < self.slots
            slots[one.session] = one.slot
        held = Counter(self.clients[id].key for id in slots)
        assert all(count <= self.max_slots_per_key for key, count in held.items() if key), "a key has more slots than it may"
        assert self.scheduler.active == len(slots)
        left = waiting - admitted
        for id in left:
            client = self.clients[id]
            is_full = client.key and held[client.key] >= self.max_slots_per_key
            assert is_full or len(slots) == self.slots, "somebody waits although a slot is free"
            for other in (self.clients[one] for one in admitted):
                if other.key == client.key:
                    assert other.ready_s <= client.ready_s, "slots out of order"
                elif not is_full and not plan.reclaim and not self._silent_keys():
                    assert before[other.key] <= held[client.key], "a key that has more slots got another one first"

    def _silent_keys(self) -> set[str]:
        return {
            self.clients[id].key for id in self.open_ids if self.clients[id].slot is not None and not self.clients[id].segments
        }

    def _check_first_audio(self, plan: Plan, able: dict[int, Client]) -> None:
        new = {id: client for id, client in able.items() if client.first_audio_s is None}
        stepping = [client for id, client in new.items() if id in plan.step]
        left = [client for id, client in new.items() if id not in plan.step]
        self.plans_without_new = self.plans_without_new + 1 if new and not stepping else 0
        assert self.plans_without_new <= 1, "first audio waits for more than one step of others"
        for one, other in itertools.product(stepping, left):
            assert one.key != other.key or one.ready_s <= other.ready_s, "first audio out of order"
        if stepping and left:
            keys = {client.key for client in stepping}
            if len(stepping) > len(keys):
                assert {client.key for client in left} <= keys, "a key's second first audio came before another key's first"

    def _check_nobody_starves(self, plan: Plan, able: dict[int, Client]) -> None:
        new = sum(client.first_audio_s is None for client in able.values())
        for id, client in able.items():
            is_dry = client.first_audio_s is not None and client.plays_until_s < self.now_s
            client.plans_dry = client.plans_dry + 1 if is_dry and id not in plan.step else 0
            # Each plan takes at least one row, and at least every third one is not for first audio.
            bound = (FIRST_STEPS_IN_A_ROW + 1) * (len(able) - new + 1) + FIRST_STEPS_IN_A_ROW
            assert client.plans_dry <= bound or self._keys(able) > 1, "a stream without audio left waits for ever"
            assert client.plans_dry <= bound * self._keys(able), "a stream without audio left waits for ever"

    def _keys(self, able: dict[int, Client]) -> int:
        return len({client.key for client in able.values()})

    # --- what the worker does -----------------------------------------------------

    def _apply(self, plan: Plan) -> None:
        for id, why in plan.expire:
            client = self.clients[id]
            if why is Expiry.STALLED:
                assert client.unread_s > 0
            if why is Expiry.IDLE:
                assert client.segments == 0
            if why is Expiry.QUEUE_TIMEOUT:
                assert client.slot is None
            self._end(id)
        for one in plan.reclaim:
            self.clients[one.session].slot = None
        for one in plan.admit:
            client = self.clients[one.session]
            client.slot, client.chunks = one.slot, 0

    def _step(self, plan: Plan) -> None:
        rows = [self.clients[id] for id in plan.step]
        chunks_s = [CHUNKS_S[min(client.chunks, len(CHUNKS_S) - 1)] for client in rows]
        first_rows = sum(client.first_audio_s is None for client in rows)
        took_s = self.costs.of(chunks_s, first_rows)
        self.steps += 1
        for id in self.open_ids:
            # A cancel that comes while a step runs is seen right after it: that is the latency of a cancel.
            cancels_s = self.clients[id].arrives_s + self.clients[id].cancels_s
            assert cancels_s > self.now_s, "a session steps, or others do, before its cancel was heard"
        self.now_s += took_s
        self.scheduler.measured(plan.step, took_s)
        for id, client, chunk_s in zip(plan.step, rows, chunks_s, strict=True):
            if client.steps == client.faults_at_step:
                self._end(id)
                continue
            self._hand_out(id, client, chunk_s)

    def _hand_out(self, id: int, client: Client, chunk_s: float) -> None:
        if client.segment_left_s <= 0.0:
            client.segment_left_s = SEGMENT_S
        audio_s = min(chunk_s, client.segment_left_s)
        client.segment_left_s -= audio_s
        ended = int(client.segment_left_s <= 1e-9)
        client.segments -= ended
        if ended:
            client.segment_left_s = 0.0
        if client.wait_s is None:
            client.wait_s = self.now_s - client.ready_s
        if client.first_audio_s is None:
            client.first_audio_s = client.plays_until_s = self.now_s
        client.dry_s += max(0.0, self.now_s - client.plays_until_s)
        client.plays_until_s = max(client.plays_until_s, self.now_s) + audio_s
        client.steps += 1
        client.chunks += 1
        if client.unread_s <= 0.0:
            client.last_read_s = self.now_s
        client.unread_s += audio_s
        assert client.unread_s <= self.max_ahead_s + max(CHUNKS_S), "output is not bounded"
        self.scheduler.stepped(id, audio_s, ended, self.now_s)

    def _sleep(self, wake_s: float | None) -> None:
        """To the plan's wake-up or the next thing a client does."""
        moments = [wake_s if wake_s is not None else NEVER_S]
        if self._arrivals:
            moments.append(self.clients[self._arrivals[0]].arrives_s)
        for id in self.open_ids:
            client = self.clients[id]
            moments += [client.arrives_s + client.cancels_s, client.arrives_s + client.finishes_s]
            moments += [client.arrives_s + client.texts[0][0]] if client.texts else []
            if client.reading is Reading.AS_IT_PLAYS and client.unread_s > 0.0:
                moments.append(max(client.plays_until_s - self.max_ahead_s, self.now_s) + 0.25)
        later = [moment_s for moment_s in moments if moment_s > self.now_s]
        assert later, "nobody will ever wake the worker"
        wake_at_s = min(later)
        assert wake_at_s < NEVER_S, "nobody will ever wake the worker"
        self.now_s = wake_at_s

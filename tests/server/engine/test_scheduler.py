"""The scheduler alone, on a simulated clock: exact cases, then random traffic against invariants."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.engine.scheduler import Admission, Expiry, Plan, Policy, Scheduler

POLICY = Policy(idle_s=30.0, stall_s=10.0)
CHUNK_S = 0.1


def with_text(scheduler: Scheduler, session: int, now_s: float, segments: int = 1) -> None:
    scheduler.submit(session, now_s)
    scheduler.add_text(session, segments, now_s)


class TestAdmission:
    def test_in_order_of_text_not_of_arrival(self) -> None:
        scheduler = Scheduler(1, POLICY)
        scheduler.submit(1, 0.0)
        with_text(scheduler, 2, 1.0)
        scheduler.add_text(1, 1, 2.0)
        assert scheduler.plan(2.0).admit == (Admission(2, 0),)

    def test_no_text_takes_no_slot(self) -> None:
        scheduler = Scheduler(1, POLICY)
        scheduler.submit(1, 0.0)
        plan = scheduler.plan(0.0)
        assert (plan.admit, plan.step, scheduler.active, scheduler.waiting) == ((), (), 0, 0)

    def test_slot_is_given_on_when_its_holder_ends(self) -> None:
        scheduler = Scheduler(1, POLICY)
        with_text(scheduler, 1, 0.0)
        with_text(scheduler, 2, 0.0)
        assert scheduler.plan(0.0).admit == (Admission(1, 0),)
        assert scheduler.waiting == 1
        assert scheduler.end(1) == 0
        assert scheduler.plan(0.1).admit == (Admission(2, 0),)

    def test_silent_holder_gives_way_after_a_second(self) -> None:
        scheduler = Scheduler(1, POLICY)
        with_text(scheduler, 1, 0.0)
        scheduler.plan(0.0)
        scheduler.stepped(1, CHUNK_S, 1, 0.0)
        with_text(scheduler, 2, 0.5)
        early = scheduler.plan(0.5)
        assert early.reclaim == early.admit == ()
        assert early.wake_s == pytest.approx(1.0)
        late = scheduler.plan(1.0)
        assert late.reclaim == (Admission(1, 0),)
        assert late.admit == (Admission(2, 0),)


class TestSteps:
    def test_first_audio_comes_before_long_leads(self) -> None:
        scheduler = Scheduler(4, POLICY)
        with_text(scheduler, 1, 0.0, segments=9)
        scheduler.plan(0.0)
        scheduler.stepped(1, 2.0, 0, 0.0)
        with_text(scheduler, 2, 0.1)
        assert scheduler.plan(0.1).step == (2,)

    def test_stream_about_to_run_dry_joins_first_audio(self) -> None:
        scheduler = Scheduler(4, POLICY)
        with_text(scheduler, 1, 0.0, segments=9)
        scheduler.plan(0.0)
        scheduler.stepped(1, 0.5, 0, 0.0)
        with_text(scheduler, 2, 0.4)
        assert scheduler.plan(0.4).step == (2, 1)

    def test_a_newcomer_shares_with_streams_that_have_been_late_for_long(self) -> None:
        """Debts of half a minute used to put everybody who came later behind all of them."""
        scheduler = Scheduler(4, POLICY)
        for session in (1, 2):
            with_text(scheduler, session, 0.0, segments=1000)
        scheduler.plan(0.0)
        for session in (1, 2):
            scheduler.stepped(session, CHUNK_S, 0, 0.0)
        for session in (1, 2):
            scheduler.stepped(session, CHUNK_S, 0, 30.0)
        with_text(scheduler, 3, 30.0, segments=9)
        scheduler.plan(30.0)
        scheduler.stepped(3, CHUNK_S, 0, 30.0)
        scheduler.stepped(1, CHUNK_S, 0, 30.2)
        for session in (1, 2, 3):
            scheduler.observe(session, 0.0, 30.2, text_held=False)
        assert set(scheduler.plan(30.2).step[:2]) == {2, 3}

    def test_shortest_lead_first(self) -> None:
        scheduler = Scheduler(4, POLICY)
        for session, lead_s in ((1, 3.0), (2, 1.0), (3, 2.0)):
            with_text(scheduler, session, 0.0, segments=9)
            scheduler.plan(0.0)
            scheduler.stepped(session, lead_s, 0, 0.0)
        assert scheduler.plan(0.0).step == (2, 3, 1)

    def test_slow_models_step_fewer_rows(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session in range(8):
            with_text(scheduler, session, 0.0)
        for _ in range(50):
            scheduler.measured(1, 0.025)
        assert len(scheduler.plan(0.0).step) == 2
        for _ in range(50):
            scheduler.measured(8, 0.008)
        assert len(scheduler.plan(0.0).step) == 8

    def test_first_audio_in_the_order_of_the_text(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session, now_s in ((5, 0.0), (3, 0.1), (4, 0.2)):
            with_text(scheduler, session, now_s)
        for _ in range(50):
            scheduler.measured(1, 0.025)
        assert scheduler.plan(0.3).step == (5, 3)

    def test_half_of_a_full_batch_is_kept_for_streams_about_to_run_dry(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session in range(4):
            with_text(scheduler, session, 0.0, segments=9)
        scheduler.plan(0.0)
        for session in (0, 1):
            scheduler.stepped(session, 0.1, 0, 0.0)
        for _ in range(50):
            scheduler.measured(1, 0.025)
        assert scheduler.plan(0.1).step == (2, 0)

    def test_new_text_after_silence_is_a_first_audio_again(self) -> None:
        scheduler = Scheduler(4, POLICY)
        with_text(scheduler, 1, 0.0)
        with_text(scheduler, 2, 0.0, segments=9)
        scheduler.plan(0.0)
        scheduler.stepped(1, 1.0, 1, 0.0)
        scheduler.stepped(2, 9.0, 0, 0.0)
        scheduler.add_text(1, 1, 5.0)
        assert scheduler.plan(5.0).step == (1,)

    def test_full_output_does_not_step(self) -> None:
        scheduler = Scheduler(1, POLICY)
        with_text(scheduler, 1, 0.0, segments=9)
        scheduler.plan(0.0)
        scheduler.stepped(1, 20.0, 0, 0.0)
        assert scheduler.plan(0.0).step == ()
        scheduler.observe(1, 19.0, 1.0, False)
        assert scheduler.plan(1.0).step == (1,)


class TestLeases:
    def test_idle_context_ends(self) -> None:
        scheduler = Scheduler(1, POLICY)
        scheduler.submit(1, 0.0)
        assert scheduler.plan(29.9).expire == ()
        assert scheduler.plan(29.9).wake_s == pytest.approx(30.0)
        assert scheduler.plan(30.0).expire == ((1, Expiry.IDLE),)

    def test_buffered_text_keeps_a_context(self) -> None:
        scheduler = Scheduler(1, POLICY)
        scheduler.submit(1, 0.0)
        scheduler.observe(1, 0.0, 0.0, True)
        assert scheduler.plan(100.0).expire == ()

    def test_unread_audio_ends_in_a_stall(self) -> None:
        scheduler = Scheduler(1, POLICY)
        with_text(scheduler, 1, 0.0, segments=9)
        scheduler.plan(0.0)
        scheduler.stepped(1, 1.0, 0, 5.0)
        assert scheduler.plan(14.9).expire == ()
        assert scheduler.plan(15.0).expire == ((1, Expiry.STALLED),)

    def test_waiting_has_a_deadline(self) -> None:
        scheduler = Scheduler(1, Policy(idle_s=30, stall_s=10, queue_s=5))
        with_text(scheduler, 1, 0.0, segments=9)
        with_text(scheduler, 2, 0.0)
        scheduler.plan(0.0)
        scheduler.stepped(1, 1.0, 0, 0.0)
        scheduler.observe(1, 0.0, 5.0, False)
        assert scheduler.plan(5.0).expire == ((2, Expiry.QUEUE_TIMEOUT),)


# --- random traffic -----------------------------------------------------------------


@dataclass
class Client:
    """What one simulated listener does, in seconds from its arrival."""

    arrives_s: float
    texts: list[tuple[float, int]]
    finishes_s: float
    cancels_s: float | None
    reads: bool
    faults_at_step: int | None

    opened: bool = False
    ended: bool = False
    finished: bool = False
    slot: int | None = None
    segments: int = 0
    chunks_left: int = 0
    unread_s: float = 0.0
    heard_any: bool = False
    ready_s: float = 0.0
    steps: int = 0
    last_read_s: float = 0.0


clients = st.builds(
    Client,
    arrives_s=st.floats(0, 5),
    texts=st.lists(st.tuples(st.floats(0, 6), st.integers(1, 3)), max_size=4).map(sorted),
    finishes_s=st.floats(0, 45),
    cancels_s=st.one_of(st.none(), st.none(), st.floats(0, 8)),
    reads=st.sampled_from([True, True, True, False]),
    faults_at_step=st.one_of(st.none(), st.none(), st.integers(0, 5)),
)


@dataclass
class World:
    """A model with slots, its clients and the owner's bookkeeping, one plan at a time."""

    slots: int
    clients: dict[int, Client]
    row_cost_s: float
    now_s: float = 0.0
    policy: Policy = field(default_factory=lambda: Policy(idle_s=30, stall_s=10, max_ahead_s=2.0))
    cancelled: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.slots, self.policy)

    def run(self) -> None:
        while not all(client.ended for client in self.clients.values()):
            assert self.now_s < 400, "a session never ended"
            self.clients_act()
            plan = self.scheduler.plan(self.now_s)
            self.check(plan)
            self.apply(plan)
            took_s = self.step(plan)
            # Without a step, sleep until the plan's wake-up or the next thing a client does.
            self.now_s += took_s if plan.step else 0.05

    def clients_act(self) -> None:
        for id, client in self.clients.items():
            if client.ended or self.now_s < client.arrives_s:
                continue
            if not client.opened:
                client.opened = True
                self.scheduler.submit(id, self.now_s)
            age_s = self.now_s - client.arrives_s
            if client.cancels_s is not None and age_s >= client.cancels_s:
                self.end(id)
                self.cancelled.add(id)
                continue
            while client.texts and client.texts[0][0] <= age_s and not client.finished:
                _, segments = client.texts.pop(0)
                if client.segments == 0:
                    client.ready_s = self.now_s
                client.segments += segments
                self.scheduler.add_text(id, segments, self.now_s)
            client.finished = client.finished or age_s >= client.finishes_s
            if client.reads and client.unread_s > 0:
                client.unread_s, client.last_read_s = 0.0, self.now_s
            self.scheduler.observe(id, client.unread_s, client.last_read_s, False)
            if client.finished and client.segments == 0:
                self.end(id)

    def end(self, id: int) -> None:
        client = self.clients[id]
        assert self.scheduler.end(id) == client.slot
        client.ended, client.slot = True, None

    def check(self, plan: Plan) -> None:
        held = {client.slot for client in self.clients.values()} - {None}
        for one in plan.reclaim:
            assert self.clients[one.session].slot == one.slot
            assert self.clients[one.session].segments == 0
            held.discard(one.slot)
        for one in plan.admit:
            assert one.slot not in held, "a slot was given twice"
            assert 0 <= one.slot < self.slots
            held.add(one.slot)
        assert len(plan.step) == len(set(plan.step))
        assert not self.cancelled & set(plan.step), "a cancelled session steps"
        expired = {id for id, _ in plan.expire}
        admitted = {one.session for one in plan.admit}
        able = {
            id
            for id, c in self.clients.items()
            if (c.slot is not None or id in admitted)
            and c.segments
            and c.unread_s < self.policy.max_ahead_s
            and id not in expired
        }
        assert set(plan.step) <= able
        assert bool(plan.step) == bool(able), "somebody could step and nobody does"
        waiting = {id for id, c in self.clients.items() if c.segments and c.slot is None and not c.ended}
        if waiting - expired - admitted:
            assert self.scheduler.active == self.slots, "somebody waits although a slot is free"
        new = [id for id in able if not self.clients[id].heard_any]
        if new:
            # A stream that fell silent and has new text is as urgent as one that never spoke: who was ready first?
            first_s = min(self.clients[id].ready_s for id in new)
            stepping_new = [id for id in plan.step if id in new]
            earlier = all(self.clients[id].ready_s <= first_s for id in plan.step)
            assert stepping_new or earlier, "nobody without audio steps, although somebody could"
            newest_s = max((self.clients[id].ready_s for id in stepping_new), default=first_s)
            left_out = set(new) - set(stepping_new)
            assert all(self.clients[id].ready_s >= newest_s for id in left_out), "first audio out of order"

    def apply(self, plan: Plan) -> None:
        for id, why in plan.expire:
            client = self.clients[id]
            if why is Expiry.STALLED:
                assert client.unread_s > 0
            if why is Expiry.IDLE:
                assert client.segments == 0
            self.end(id)
        for one in plan.reclaim:
            self.clients[one.session].slot = None
        for one in plan.admit:
            self.clients[one.session].slot = one.slot

    def step(self, plan: Plan) -> float:
        took_s = self.row_cost_s * len(plan.step)
        done_s = self.now_s + took_s
        self.scheduler.measured(len(plan.step), took_s)
        for id in plan.step:
            client = self.clients[id]
            client.steps += 1
            if client.faults_at_step is not None and client.steps > client.faults_at_step:
                self.end(id)
                continue
            if client.chunks_left == 0:
                client.chunks_left = 5
            client.chunks_left -= 1
            ended = int(client.chunks_left == 0)
            client.segments -= ended
            client.heard_any = True
            client.unread_s += CHUNK_S
            assert client.unread_s <= self.policy.max_ahead_s + CHUNK_S, "output is not bounded"
            if client.unread_s == CHUNK_S:
                client.last_read_s = done_s
            self.scheduler.stepped(id, CHUNK_S, ended, done_s)
        return took_s


@st.composite
def worlds(draw: st.DrawFn, max_clients: int) -> World:
    found = draw(st.lists(clients, min_size=1, max_size=max_clients))
    return World(
        slots=draw(st.integers(1, 4)),
        clients=dict(enumerate(found)),
        row_cost_s=draw(st.sampled_from([0.001, 0.005, 0.03])),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(max_clients=8))
def test_random_traffic(world: World) -> None:
    world.run()
    assert world.scheduler.active == world.scheduler.waiting == 0
    assert sorted(world.scheduler._free) == list(range(world.slots)), "a slot was lost"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(max_clients=24))
def test_random_traffic_at_length(world: World) -> None:
    world.run()
    assert sorted(world.scheduler._free) == list(range(world.slots)), "a slot was lost"


def test_sixty_streams_in_real_time_never_run_dry() -> None:
    """Two minutes of sixty listeners on a model with a real-time factor of 0.01 per stream."""
    scheduler = Scheduler(64, POLICY)
    now_s = 0.0
    produced: dict[int, float] = dict.fromkeys(range(60), 0.0)
    for session in produced:
        with_text(scheduler, session, 0.0, segments=10**6)
    begun: dict[int, float] = {}
    dry = 0
    while now_s < 120.0:
        for session, audio_s in produced.items():
            if session in begun:
                dry += audio_s < now_s - begun[session]
                scheduler.observe(session, max(0.0, audio_s - (now_s - begun[session])), now_s, True)
        step = scheduler.plan(now_s).step
        took_s = 0.001 * len(step)
        now_s += took_s if step else 0.05
        scheduler.measured(len(step), took_s)
        for session in step:
            begun.setdefault(session, now_s)
            produced[session] += CHUNK_S
            scheduler.stepped(session, CHUNK_S, 0, now_s)
    assert dry == 0
    assert len(begun) == 60

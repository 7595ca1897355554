"""The scheduler alone, on a simulated clock, case by case. Random traffic: `test_simulation`."""

import random
from collections import Counter

import pytest

from server.engine.speech.scheduler import Admission, Expiry, Policy, Scheduler

POLICY = Policy(idle_s=30.0, stall_s=10.0, max_ahead_s=3.0)
CHUNK_S = 0.1
CHUNKS_S = (0.05, 0.08, 0.12, 0.2, 0.3)
"""First, second, ... as the embedded voice gives them."""


def with_text(scheduler: Scheduler, session: int, now_s: float, segments: int = 1, key: str = "") -> None:
    scheduler.submit(session, now_s, key)
    scheduler.add_text(session, segments, now_s)


def teach_first_rows(scheduler: Scheduler, session: int, row_s: float) -> None:
    """Make first audio cost so much per row, and nothing per step. ``session`` has none yet, and there are two of it."""
    for rows in (1, 2) * 50:
        scheduler.measured([session] * rows, row_s * rows)


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
        assert scheduler.end(1, 0.1) == 0
        assert scheduler.plan(0.1).admit == (Admission(2, 0),)

    def test_how_long_who_comes_next_would_wait(self) -> None:
        scheduler = Scheduler(2, POLICY)
        for session in range(5):
            with_text(scheduler, session, 0.0)
        scheduler.plan(0.0)
        assert scheduler.turnover().wait_s("", {"": 3}) == 0.0, "nothing is known before the first slot came back"
        scheduler.end(0, 4.0)
        assert scheduler.turnover().wait_s("", {"": 3}) == 3 * 4.0 / 1, "one slot is free, and three come before"
        scheduler.plan(4.0)
        assert scheduler.turnover().wait_s("", {"": 2}) == 3 * 4.0 / 2
        assert scheduler.turnover().wait_s("", {}) == 1 * 4.0 / 2, "who comes next waits, too, though nobody did before"
        for session in (1, 2, 3):
            scheduler.end(session, 8.0)
        scheduler.plan(8.0)
        assert scheduler.turnover().wait_s("", {}) == 0.0

    def test_slots_of_silent_sessions_are_as_good_as_free(self) -> None:
        scheduler = Scheduler(1, POLICY)
        with_text(scheduler, 1, 0.0)
        scheduler.plan(0.0)
        scheduler.end(1, 4.0)
        with_text(scheduler, 2, 4.0)
        scheduler.plan(4.0)
        assert scheduler.turnover().wait_s("", {}) > 0.0
        scheduler.stepped(2, CHUNK_S, 1, 4.1)
        assert scheduler.turnover().wait_s("", {}) == 0.0

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
        for _ in range(5):
            scheduler.stepped(1, 0.1, 0, 0.0)
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
        for session, lead_s in ((1, 0.03), (2, 0.01), (3, 0.02)):
            with_text(scheduler, session, 0.0, segments=9)
            scheduler.plan(0.0)
            for _ in range(10):
                scheduler.stepped(session, lead_s, 0, 0.0)
        assert scheduler.plan(0.0).step == (2, 3, 1)

    def test_slow_models_step_fewer_rows(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session in range(8):
            with_text(scheduler, session, 0.0)
        teach_first_rows(scheduler, 0, 0.018)
        assert len(scheduler.plan(0.0).step) == 2
        teach_first_rows(scheduler, 0, 0.001)
        assert len(scheduler.plan(0.0).step) == 8

    def test_first_audio_in_the_order_of_the_text(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session, now_s in ((5, 0.0), (3, 0.1), (4, 0.2)):
            with_text(scheduler, session, now_s)
        teach_first_rows(scheduler, 5, 0.018)
        assert scheduler.plan(0.3).step == (5, 3)

    def test_turns_with_streams_that_run_dry(self) -> None:
        """Two new rows fill a step here, and there are eight: every third step is for the others."""
        scheduler = Scheduler(16, POLICY)
        for session in range(10):
            with_text(scheduler, session, 0.0, segments=9)
        scheduler.plan(0.0)
        teach_first_rows(scheduler, 9, 0.018)
        for session in (0, 1):
            scheduler.stepped(session, 0.15, 0, 0.0)
        new = set(range(2, 10))
        is_first = []
        for now_s in (0.3, 0.6, 0.9, 1.2, 1.5, 1.8):
            step = scheduler.plan(now_s).step
            is_first.append(bool(new & set(step)))
            scheduler.measured(step, 0.018 * len(step) if is_first[-1] else 0.0075 * len(step))
            for session in step:
                scheduler.stepped(session, 0.15, 0, now_s)
            new -= set(step)
        assert is_first == [False, True, True, False, True, True]

    def test_one_step_that_was_short_by_chance_does_not_make_a_burst_free(self) -> None:
        """Two rows once took less than one had: taken at its word, 36 more would cost nothing. They took 155 ms."""
        scheduler = Scheduler(40, POLICY)
        for session in range(40):
            with_text(scheduler, session, 0.0)
        scheduler.plan(0.0)
        for _ in range(20):
            scheduler.measured([0], 0.02)
        scheduler.measured([0, 1], 0.015)
        assert len(scheduler.plan(0.0).step) <= 4

    def test_new_rows_do_not_wait_for_streams_that_have_enough(self) -> None:
        scheduler = Scheduler(16, POLICY)
        for session in range(10):
            with_text(scheduler, session, 0.0, segments=9)
        scheduler.plan(0.0)
        teach_first_rows(scheduler, 9, 0.018)
        scheduler.stepped(0, 0.15, 0, 0.0)
        assert [scheduler.plan(0.05 + at_s).step for at_s in (0.0, 0.01)] == [(1, 2), (1, 2)]

    def test_long_rows_do_not_pad_first_chunks(self) -> None:
        """A row of 1 s beside four of 50 ms would make each of them cost as 1 s."""
        scheduler = Scheduler(8, POLICY)
        with_text(scheduler, 9, 0.0, segments=9)
        scheduler.plan(0.0)
        for audio_s in (0.05, 1.0, 1.0):
            scheduler.stepped(9, audio_s, 0, 0.0)
        for session in range(4):
            with_text(scheduler, session, 2.0)
        assert scheduler.plan(2.0).step == (0, 1, 2, 3)

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
        scheduler.stepped(1, POLICY.max_ahead_s, 0, 0.0)
        assert scheduler.plan(0.0).step == ()
        scheduler.observe(1, POLICY.max_ahead_s / 2, 1.0, False)
        assert scheduler.plan(1.0).step == (1,)


class TestKeys:
    def test_slots_go_to_the_key_that_has_the_fewest(self) -> None:
        scheduler = Scheduler(4, POLICY)
        for session in range(4):
            with_text(scheduler, session, 0.0, key="many")
        scheduler.plan(0.0)
        for session in (10, 11):
            with_text(scheduler, session, 1.0, key="many")
        with_text(scheduler, 20, 2.0, key="few")
        scheduler.end(0, 3.0)
        assert scheduler.plan(3.0).admit == (Admission(20, 0),)

    def test_a_key_leaves_slots_for_the_others(self) -> None:
        scheduler = Scheduler(4, Policy(idle_s=30, stall_s=10, max_slots_per_key=3))
        for session in range(6):
            with_text(scheduler, session, 0.0, key="many")
        assert len(scheduler.plan(0.0).admit) == 3
        with_text(scheduler, 20, 0.1, key="few")
        assert [one.session for one in scheduler.plan(0.1).admit] == [20]
        assert scheduler.waiting == 3
        scheduler.end(0, 0.2)
        assert [one.session for one in scheduler.plan(0.2).admit] == [3]

    def test_those_who_wait_for_one_key_are_not_in_the_way_of_another(self) -> None:
        scheduler = Scheduler(4, Policy(idle_s=30, stall_s=10, max_slots_per_key=3))
        for session in range(6):
            with_text(scheduler, session, 0.0, key="many")
        scheduler.plan(0.0)
        scheduler.end(0, 6.0)
        scheduler.plan(6.0)
        turnover = scheduler.turnover()
        assert turnover.wait_s("many", {"many": 2}) == 3 * 6.0 / 3
        assert turnover.wait_s("few", {"many": 2}) == 0.0, "a slot is left for other keys"
        with_text(scheduler, 20, 6.0, key="few")
        scheduler.plan(6.0)
        assert scheduler.turnover().wait_s("third", {"many": 2}) == 1 * 6.0 / 4, "and who has none is next"

    def test_callers_without_a_key_may_take_all(self) -> None:
        scheduler = Scheduler(4, Policy(idle_s=30, stall_s=10, max_slots_per_key=1))
        for session in range(4):
            with_text(scheduler, session, 0.0)
        assert len(scheduler.plan(0.0).admit) == 4

    def test_a_full_key_uses_its_own_silent_slot(self) -> None:
        """Otherwise its next context would wait until the silent one is idle for half a minute, beside free slots."""
        scheduler = Scheduler(4, Policy(idle_s=30, stall_s=10, max_slots_per_key=1))
        with_text(scheduler, 1, 0.0, key="one")
        scheduler.plan(0.0)
        scheduler.stepped(1, CHUNK_S, 1, 0.0)
        scheduler.observe(1, 0.0, 0.0, text_held=False)
        with_text(scheduler, 2, 0.5, key="one")
        early = scheduler.plan(0.5)
        assert early.admit == ()
        assert early.wake_s == pytest.approx(1.0)
        late = scheduler.plan(1.0)
        assert (late.reclaim, late.admit) == ((Admission(1, 0),), (Admission(2, 0),))

    def test_a_full_key_does_not_keep_the_worker_awake(self) -> None:
        """Somebody waits, and another key's slot could be lent, but not to it: there is nothing to wake for."""
        scheduler = Scheduler(2, Policy(idle_s=30, stall_s=10, max_slots_per_key=1))
        for session, key in ((1, "one"), (2, "two")):
            with_text(scheduler, session, 0.0, segments=9 if key == "one" else 1, key=key)
        scheduler.plan(0.0)
        scheduler.stepped(2, CHUNK_S, 1, 0.0)
        scheduler.stepped(1, POLICY.max_ahead_s, 0, 0.0)
        with_text(scheduler, 3, 1.0, key="one")
        plan = scheduler.plan(5.0)
        assert not plan.step
        assert not plan.admit
        assert plan.wake_s is not None
        assert plan.wake_s > 5.0

    def test_first_audio_by_turns(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session in range(5):
            with_text(scheduler, session, 0.0, key="many")
        with_text(scheduler, 7, 0.1, key="few")
        teach_first_rows(scheduler, 0, 0.018)
        assert scheduler.plan(0.2).step == (0, 7)

    def test_streams_about_to_run_dry_by_turns(self) -> None:
        scheduler = Scheduler(8, POLICY)
        for session in range(5):
            with_text(scheduler, session, 0.0, segments=9, key="many")
        with_text(scheduler, 7, 0.0, segments=9, key="few")
        scheduler.plan(0.0)
        for session, lead_s in ((0, 0.1), (1, 0.11), (2, 0.12), (3, 0.13), (4, 0.14), (7, 0.15)):
            scheduler.stepped(session, lead_s, 0, 0.0)
        assert scheduler.plan(0.05).step[:2] == (0, 7)


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
        scheduler.measured(step, took_s)
        for session in step:
            begun.setdefault(session, now_s)
            produced[session] += CHUNK_S
            scheduler.stepped(session, CHUNK_S, 0, now_s)
    assert dry == 0
    assert len(begun) == 60


def test_steps_stay_short_when_everybody_is_dry() -> None:
    """64 listeners who want more than the machine makes, and a newcomer now and then. What a step costs beside its rows is
    small, but noisy, and whatever follows a long step is slow, because all that it gave is sent meanwhile: that must not be
    taken for the price of any step. Once steps grew to 64 rows and 360 ms that way, and stayed there."""
    scheduler, chance = Scheduler(64, POLICY), random.Random(7)
    for session in range(64):
        with_text(scheduler, session, 0.0, segments=10**6)
    spoken, now_s, rows_before, took_s = Counter[int](), 0.0, 0, list[float]()
    for number in range(2000):
        if number % 12 == 11:
            gone = number // 12
            scheduler.end(gone, now_s)
            with_text(scheduler, gone + 64, now_s, segments=10**6)
        step = scheduler.plan(now_s).step
        chunks_s = [CHUNKS_S[min(spoken[session], 4)] for session in step]
        length_s = 0.002 + 0.014 * len(step) * max(chunks_s) + 0.007 * sum(spoken[session] == 0 for session in step)
        length_s = length_s * chance.lognormvariate(0.0, 0.2) + 0.0012 * rows_before
        now_s, rows_before = now_s + length_s, len(step)
        took_s.append(length_s)
        scheduler.measured(step, length_s)
        for session, chunk_s in zip(step, chunks_s, strict=True):
            spoken[session] += 1
            scheduler.stepped(session, chunk_s, 0, now_s)
            scheduler.observe(session, 0.0, now_s, text_held=True)
    later_s = sorted(took_s[300:])
    assert later_s[int(0.95 * len(later_s))] < 2 * POLICY.full_step_budget_s

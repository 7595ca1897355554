"""Random traffic against the rules of `World`, and what listeners hear in known situations."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.engine.speech.simulation import EMBEDDED_VOICE, NEVER_S, Client, Costs, Reading, World

SPANS_S = (0.02, 0.5, 10.0, 3600.0)
"""Within which all clients come: at once, or hardly ever two together."""


@st.composite
def clients(draw: st.DrawFn, span_s: float) -> Client:
    return Client(
        arrives_s=draw(st.floats(0, span_s)),
        key=draw(st.sampled_from(("a", "a", "a", "b", "b", ""))),
        texts=sorted(draw(st.lists(st.tuples(st.sampled_from((0.0, 0.0, 0.1, 1.0, 6.0)), st.integers(1, 4)), max_size=3))),
        finishes_s=draw(st.sampled_from((0.0, 0.0, 3.0, 50.0))),
        cancels_s=draw(st.one_of(st.just(NEVER_S), st.just(NEVER_S), st.floats(0, 3))),
        reading=draw(st.sampled_from((Reading.AT_ONCE, Reading.AT_ONCE, Reading.AS_IT_PLAYS, Reading.NEVER))),
        faults_at_step=draw(st.sampled_from((-1, -1, -1, -1, 0, 3))),
    )


@st.composite
def worlds(draw: st.DrawFn, max_clients: int) -> World:
    found = draw(
        st.lists(
            clients(draw(st.sampled_from(SPANS_S))), min_size=draw(st.sampled_from((1, max_clients // 2))), max_size=max_clients
        )
    )
    costs = draw(st.sampled_from((EMBEDDED_VOICE, Costs(0.0005, 0.0, 0.0005), Costs(0.01, 0.02, 0.1), Costs(0.0, 0.0, 0.4))))
    return World(
        slots=draw(st.sampled_from((1, 2, 4, 8))),
        clients=dict(enumerate(found)),
        costs=costs,
        queue_places=draw(st.sampled_from((0, 2, 8))),
        key_share=draw(st.sampled_from((1.0, 0.875, 0.5))),
    )


def check(world: World) -> None:
    world.run()
    assert all(client.ended for client in world.clients.values())
    assert world.scheduler.active == world.scheduler.waiting == world.places.taken == 0
    assert sorted(world.scheduler._free) == list(range(world.slots)), "a slot was lost"


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(max_clients=10))
def test_random_traffic(world: World) -> None:
    check(world)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(max_clients=16))
def test_random_traffic_at_length(world: World) -> None:
    check(world)

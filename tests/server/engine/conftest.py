"""A running engine on fakes."""

from collections.abc import AsyncIterator

import pytest

from server.engine.engine import Engine
from tests.fakes import FakeSynthesizer
from tests.server.engine.speech.speech_harness import build


@pytest.fixture
def model() -> FakeSynthesizer:
    return FakeSynthesizer()


@pytest.fixture
async def engine(model: FakeSynthesizer) -> AsyncIterator[Engine]:
    engine = build(model)
    await engine.start()
    yield engine
    model.gate.set()
    await engine.stop(0)

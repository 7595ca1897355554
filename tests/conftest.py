"""Fixtures shared by all tests: one real server process for everything that talks to one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from server.bench.process import ServerProcess

# On a busy machine the first example alone may take a second, which says nothing about the code.
settings.register_profile("descant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("descant")

ROOT = Path(__file__).parent.parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only `make test-real` has the packages and the time that tests/real needs."""
    is_real = collection_path == ROOT / "tests" / "real"
    return True if is_real and "real" not in config.option.markexpr.split() else None


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def descant_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`descant serve` with the embedded models, in its own process, on loopback, for the whole test run."""
    data = tmp_path_factory.mktemp("descant-data")
    with ServerProcess.start(environment={"DESCANT_DATA_DIR": str(data)}) as server:
        yield server

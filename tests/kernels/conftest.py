from collections.abc import Iterator

import pytest
import torch

from tests.kernels.workers import Compiler, Interpreter, worker


@pytest.fixture(scope="session")
def interpreter() -> Iterator[Interpreter]:
    pytest.importorskip("triton")
    with worker(interpret=True) as pool:
        yield Interpreter(pool)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compiler]:
    pytest.importorskip("triton")
    with pytest.MonkeyPatch.context() as patch:
        # A cached result of an earlier run must not pass the check.
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        with worker(interpret=False) as pool:
            yield Compiler(pool)


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return torch.device("cuda")

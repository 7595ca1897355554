"""A store, a checkpoint and a hub for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.model_store.store import ModelStore
from tests.server.model_store.checkpoints import write_source
from tests.server.model_store.loopback_hub import LoopbackHub, files_of, serving


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Empty; the command line uses it too."""
    monkeypatch.setenv("DESCANT_MODELS_DIR", str(tmp_path / "models"))
    return ModelStore(tmp_path / "models")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.fixture
def hub(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """Where HF_ENDPOINT points; nothing else of this machine's surroundings is seen."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    with serving(files_of(source)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub

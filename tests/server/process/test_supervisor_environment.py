"""The processes of one server have its settings, whatever they came from."""

from pathlib import Path

import pytest

from server.config import Settings, load_settings
from server.process.supervisor import _environment


def test_settings_arrive_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(
        data_dir=tmp_path,
        gateways=2,
        speech_models=("conv_tts", "kokoro"),
        recognition_models=("whisper-descant", "whisper-base"),
        model_ids={"ink-2": "whisper-base"},
        model_devices={"whisper-base": "cuda:1"},
        model_idle_s=600.0,
    )
    for name, value in _environment(given, tmp_path / "engine.sock").items():
        monkeypatch.setenv(name, value)
    arrived = load_settings()
    assert arrived.engine_socket == tmp_path / "engine.sock"
    same = {"gateways", "engine_socket"}
    assert arrived.model_dump(exclude=same) == given.model_dump(exclude=same)

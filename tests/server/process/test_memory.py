"""Whether a model fits on its card is known before it is loaded; a card that says otherwise later is believed, too."""

import pytest
import torch

from server.config import ConfigError, Settings
from server.metrics import Metrics
from server.process import loading
from server.process.loading import load_models
from server.process.memory import check_fits, give_back, in_use_bytes, trim
from server.process.model_choice import ModelChoice, ModelSource

LARGE = ModelSource("whisper-large-v3", "recognition", "whisper", None, parameters=1_543_000_000)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3_500_000_000, 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)


@pytest.mark.usefixtures("card")
def test_a_model_too_big_for_its_card_is_named_with_need_room_and_remedy() -> None:
    with pytest.raises(
        ConfigError, match=r"whisper-large-v3 does not fit on cuda:0: .* about 3\.70 GB, and 3\.50 GB are free"
    ) as e:
        check_fits(LARGE, "cuda:0")
    assert """DESCANT_MODEL_DEVICES='{"whisper-large-v3": "cpu"}'""" in str(e.value)
    check_fits(LARGE, "cpu")
    check_fits(ModelSource("small", "recognition", "whisper", None, parameters=244_000_000), "cuda:0")
    choice = ModelChoice((), (LARGE,))
    with pytest.raises(ConfigError, match="does not fit on cuda"):
        load_models(Settings(device="cuda"), choice, Metrics())


@pytest.mark.usefixtures("card")
def test_a_card_that_runs_out_while_loading_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(loading, "load_recognizer", full)
    small = ModelSource("mine", "recognition", "whisper", None)
    with pytest.raises(ConfigError, match=r"model mine does not fit on cuda: it needs more than is free \(CUDA out of memory"):
        load_models(Settings(device="cuda"), ModelChoice((), (small,)), Metrics())


def test_what_a_model_took_is_given_back_to_the_system() -> None:
    trim()  # of what earlier tests left, which would be taken first
    before = in_use_bytes("cpu")
    held = [torch.ones(100_000) for _ in range(500)]  # 200 MB in pieces, as weights are
    assert in_use_bytes("cpu") - before > 150_000_000
    del held
    give_back("cpu", True)
    assert in_use_bytes("cpu") - before < 50_000_000

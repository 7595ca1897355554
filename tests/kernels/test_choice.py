import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kernels import choice


@pytest.fixture(autouse=True)
def fresh_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    choice._announce.cache_clear()
    with caplog.at_level(logging.INFO, logger="kernels.choice"):
        yield
    choice._announce.cache_clear()


@pytest.fixture
def triton_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_triton_installed", lambda: True)


def on_card(*, requires_grad: bool = False) -> Any:
    """What the choice looks at in a CUDA tensor, on a machine without a card."""
    return SimpleNamespace(is_cuda=True, requires_grad=requires_grad, device=SimpleNamespace(type="cuda"))


def test_cpu_tensors_take_the_reference() -> None:
    assert not choice.use_triton("op", torch.zeros(1))


@pytest.mark.usefixtures("triton_installed")
def test_cuda_tensors_take_the_kernel(caplog: pytest.LogCaptureFixture) -> None:
    assert choice.use_triton("op", on_card(), None)
    assert caplog.messages == ["op: Triton kernel (CUDA tensors)"]


@pytest.mark.usefixtures("triton_installed")
def test_gradients_take_the_reference() -> None:
    assert not choice.use_triton("op", on_card(), on_card(requires_grad=True))
    with torch.no_grad():
        assert choice.use_triton("op", on_card(), on_card(requires_grad=True))


def test_missing_triton_is_a_warning_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "_triton_installed", lambda: False)
    assert not choice.use_triton("op", on_card())
    assert caplog.records[0].levelno == logging.WARNING
    assert "pip install 'descant[gpu]'" in caplog.text


def test_each_choice_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    for op in ("one", "one", "two"):
        choice.use_triton(op, torch.zeros(1))
    assert caplog.messages == ["one: torch reference (tensors on cpu)", "two: torch reference (tensors on cpu)"]

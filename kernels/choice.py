"""Which implementation of an op runs: the torch reference or the Triton kernel.

The kernels are for inference only, so a call that needs gradients takes the
reference. Each (op, implementation, reason) is logged once per process.
"""

import functools
import importlib.util
import logging

import torch

_log = logging.getLogger(__name__)


@functools.cache
def _announce(op: str, implementation: str, reason: str, level: int) -> None:
    _log.log(level, "%s: %s (%s)", op, implementation, reason)


@functools.cache
def _triton_installed() -> bool:
    return importlib.util.find_spec("triton") is not None


def use_triton(op: str, *tensors: torch.Tensor | None) -> bool:
    """True if ``op`` on these tensors should run its Triton kernel; logs the choice once.

    The first tensor decides the device. A CUDA tensor without Triton installed
    is a warning that says how to mend it, not an error: the result is the same.
    """
    first = tensors[0]
    assert first is not None
    if not first.is_cuda:
        _announce(op, "torch reference", f"tensors on {first.device.type}", logging.INFO)
        return False
    if not _triton_installed():
        _announce(op, "torch reference", "Triton is missing: pip install 'descant[gpu]'", logging.WARNING)
        return False
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        _announce(op, "torch reference", "gradients wanted", logging.INFO)
        return False
    _announce(op, "Triton kernel", "CUDA tensors", logging.INFO)
    return True

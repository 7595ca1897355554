"""What models take of a device's memory: measured around loading, checked before it, given back after it."""

import ctypes
import gc
import logging
import os
from pathlib import Path

import torch

from server.config import ConfigError
from server.model_store.errors import gigabytes
from server.process.model_choice import ModelSource

WORK_SPACE = 1.2
"""Factor on the weights for what steps need beside them."""
_STATM = Path("/proc/self/statm")

log = logging.getLogger("descant")


def in_use_bytes(device: str) -> int:
    """By tensors on a card; by this process on the CPU, as far as the system tells."""
    if device != "cpu":
        return int(torch.cuda.memory_allocated(device))
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if _STATM.exists() else 0


def check_fits(model: ModelSource, device: str) -> None:
    """Raises ConfigError for a model that is too big for what is free on its card."""
    if device == "cpu" or not model.parameters:
        return
    need = int(2 * model.parameters * WORK_SPACE)  # float16
    free, _ = torch.cuda.mem_get_info(device)
    if need > free:
        raise ConfigError(too_big(model, device, f"about {gigabytes(need)}, and {gigabytes(free)} are free"))


def too_big(model: ModelSource, device: str, figures: str) -> str:
    return (
        f"model {model.name} does not fit on {device}: it needs {figures}. Load fewer models there, give this one another "
        f'device (DESCANT_MODEL_DEVICES=\'{{"{model.name}": "cpu"}}\'), or choose a smaller model'
    )


def give_back(device: str, is_freed: bool) -> None:
    """After a model was dropped: return its memory to the system. ``is_freed``: no reference to it was left."""
    if not is_freed:
        # What cycles hold was taken out of garbage collection at the start (`server.process.serve.keep_for_good`).
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    if device != "cpu":
        torch.cuda.empty_cache()
    trim()


def trim() -> None:
    """Return to the system what the C library keeps of freed memory. Loading leaves much of it: the weights as they were
    read, and other engines that were tried. A server with whisper-base took 923 MB instead of 831."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        log.debug("this system's C library gives memory back by itself, or never")

"""What torch saved: the published checkpoint and voice packs, read without running anything in them."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing import UnusableSource

_PARTS = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")


def read_saved(path: Path) -> Any:
    """Tensors, or dictionaries of them. Raises UnusableSource for a file that holds more, or is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, which are read or refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The library's message is long, and advises to switch the check off.
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), "it runs code")
        raise UnusableSource(f"{path} is a pickle with more than weights in it and is refused: {reason.strip()}") from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError) as error:
        raise UnusableSource(f"{path} is damaged, cut off or no file that torch saved: {str(error).splitlines()[0]}") from None


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The five parts of the published checkpoint as one flat table (``bert.…``, ``decoder.…``). Raises UnusableSource."""
    content = read_saved(path)
    if not isinstance(content, Mapping) or not set(_PARTS) <= content.keys():
        raise UnusableSource(f"{path} does not hold Kokoro's five parts: {', '.join(_PARTS)}")
    tensors = {}
    for part in _PARTS:
        if not isinstance(content[part], Mapping):
            raise UnusableSource(f"{path}: {part} holds no weights by name")
        for name, tensor in content[part].items():
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                tensors[f"{part}.{str(name).removeprefix('module.')}"] = tensor
    return tensors

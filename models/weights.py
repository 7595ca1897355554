"""Weights on disk: safetensors only, strict in both directions.

A checkpoint from elsewhere names and cuts its tensors in its own way. Each family
declares the difference as two tables beside its layers: ``RENAME`` (patterns to
replacements) and ``FUSED`` (one of our tensors made of several of theirs). Loading
then fails on every tensor that is missing, left over or of another shape, and
names them all, because a weight that is silently not loaded only sounds bad.
"""

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

_NAMES_SHOWN = 20
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class WeightsError(ValueError):
    """A weight file that cannot be used, with everything that is wrong with it."""


def save_weights(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write tensors and text metadata to a safetensors file, whole or not at all.

    ``dtype`` converts floating-point tensors (integers keep theirs). Tensors may
    be views or share memory; each is stored in full, and only those are copied.
    """
    path = Path(path)
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors.values())
    stored = {}
    for name, tensor in tensors.items():
        wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        whole = tensor.untyped_storage()
        alone = users[whole.data_ptr()] == 1 and whole.nbytes() == tensor.nbytes
        stored[name] = tensor.detach().to("cpu", wanted, copy=not alone).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    # A process that stops halfway leaves the old file, not half of the new one.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        save_file(stored, unfinished, metadata=dict(metadata or {}))
        os.replace(unfinished, path)
    except SafetensorError as error:
        if "os error 28" in str(error):  # the library has its own type for it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text metadata of a safetensors file; reads only its header.

    Raises:
        WeightsError: not a safetensors file.
        FileNotFoundError: no such file.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, by name, on the CPU in the file's dtypes.

    Raises:
        WeightsError: not a safetensors file.
        FileNotFoundError: no such file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)


def tensor_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a safetensors file, by name; reads only its header. Raises as `read_metadata`."""
    with _opened(path) as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no iterator)


def load_weights(
    path: str | Path,
    module: nn.Module,
    *,
    rename: Mapping[str, str] | None = None,
    fused: Mapping[str, Sequence[str]] | None = None,
    ignore: Sequence[str] = (),
) -> dict[str, str]:
    """Fill every parameter and persistent buffer of ``module`` from a safetensors file.

    Values are converted to the dtype and device that ``module`` has already.

    Args:
        path: a ``.safetensors`` file; a pickle is refused, whatever it is called.
        rename: regular expressions and their replacements (`re.sub`), applied in
            order to each name of the file.
        fused: one dotted part of our names to the parts, in the file's (renamed)
            names, whose tensors are joined along dimension 0 to make it:
            ``{"qkv": ("q_proj", "k_proj", "v_proj")}``.
        ignore: regular expressions; a name of the file (before renaming) that one
            of them matches whole may stay unused.

    Returns:
        The metadata of the file.

    Raises:
        WeightsError: names every missing, unused, doubled or differently shaped tensor.
        FileNotFoundError: no such file.
        In both cases ``module`` is as it was.
    """
    available, doubled = _renamed(read_tensors(path), rename or {}, ignore)
    taken: set[str] = set()
    missing: list[str] = []
    misfits: list[str] = []
    fitting: list[tuple[Tensor, list[Tensor]]] = []
    for name, target in module.state_dict().items():
        sources = _sources(name, fused or {})
        absent = [source for source in sources if source not in available]
        taken.update(sources)
        if absent:
            missing += absent
            continue
        parts = [available[source] for source in sources]
        problem = _problem(parts, target)
        if problem:
            misfits.append(f"{name} ({problem})")
        else:
            fitting.append((target, parts))
    unused = sorted(available.keys() - taken)
    faults = {"missing": missing, "unused": unused, "doubled": doubled, "of the wrong shape or kind": misfits}
    if any(faults.values()):
        listed = "; ".join(f"{what}: {_listing(names)}" for what, names in faults.items() if names)
        raise WeightsError(f"{path} does not fit {type(module).__name__}. Tensors {listed}")
    with torch.no_grad():
        for target, parts in fitting:
            target.copy_(parts[0] if len(parts) == 1 else torch.cat(parts))
    return read_metadata(path)


def weight_bytes(*modules: nn.Module) -> int:
    """What the parameters and buffers take where they are, each storage counted once."""
    tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _renamed(
    tensors: Mapping[str, Tensor], rename: Mapping[str, str], ignore: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under their new names, and the names that two of them claim."""
    available: dict[str, Tensor] = {}
    doubled = []
    for name, tensor in tensors.items():
        if any(re.fullmatch(pattern, name) for pattern in ignore):
            continue
        new_name = name
        for pattern, replacement in rename.items():
            new_name = re.sub(pattern, replacement, new_name)
        if new_name in available:
            doubled.append(new_name)
        available[new_name] = tensor
    return available, doubled


def _sources(name: str, fused: Mapping[str, Sequence[str]]) -> list[str]:
    """The names in the file that make up our tensor ``name``."""
    parts = name.split(".")
    for position, part in enumerate(parts):
        if part in fused:
            return [".".join([*parts[:position], piece, *parts[position + 1 :]]) for piece in fused[part]]
    return [name]


def _problem(parts: Sequence[Tensor], target: Tensor) -> str:
    """Why ``parts`` joined cannot become ``target``; empty if they can."""
    for part in parts:
        if part.is_floating_point() != target.is_floating_point():
            return f"{part.dtype} in the file, {target.dtype} wanted"
    first = parts[0].shape
    if len(parts) > 1:
        if any(part.dim() == 0 or part.shape[1:] != first[1:] for part in parts):
            return f"parts {[list(part.shape) for part in parts]} cannot be joined"
        first = torch.Size([sum(part.shape[0] for part in parts), *first[1:]])
    return "" if first == target.shape else f"{list(first)} in the file, {list(target.shape)} wanted"


def _listing(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A safetensors file, its header read. Raises as the readers say."""
    with Path(path).open("rb") as file:
        start = file.read(4)
    if start.startswith(_PICKLE_STARTS):
        raise WeightsError(
            f"{path} is a Python pickle, which can run code when it is read. Only safetensors files are "
            "loaded: convert it on a machine you trust (safetensors.torch.save_file)"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error

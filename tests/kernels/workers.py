"""Triton in child processes: one that interprets kernels on the CPU, one that compiles them.

Whether Triton interprets is fixed for a process when it is imported, and a `gpu`
test in this process wants it compiled. So neither mode is set here.
"""

import importlib
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

Values = tuple[Any, ...]


@contextmanager
def worker(*, interpret: bool) -> Iterator[ProcessPoolExecutor]:
    """A process that imports Triton in the wanted mode."""
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1" if interpret else "0"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            assert pool.submit(_interprets).result() is interpret
        finally:
            if before is None:
                del os.environ["TRITON_INTERPRET"]
            else:
                os.environ["TRITON_INTERPRET"] = before
        yield pool


def _interprets() -> bool:
    import triton

    return bool(triton.knobs.runtime.interpret)


def _to_numpy(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def _launch(op: str, arguments: Values) -> Values:
    module = importlib.import_module(f"kernels.triton.{op}")
    result = module.launch(*(torch.from_numpy(a.copy()) if hasattr(a, "dtype") else a for a in arguments))
    return tuple(_to_numpy(r) for r in (result if isinstance(result, tuple) else (result,)))


def _compile(op: str, kernel: str, signature: dict[str, str], constexprs: dict[str, Any], capability: int) -> dict[str, int]:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(importlib.import_module(f"kernels.triton.{op}"), kernel)
    types = {name: "constexpr" if name in constexprs else signature[name] for name in function.arg_names}
    compiled = triton.compile(
        ASTSource(fn=function, signature=types, constexprs=constexprs),
        target=GPUTarget("cuda", capability, 32),
        options={"enable_fp_fusion": True},
    )
    assert f".target sm_{capability}" in compiled.asm["ptx"]
    return {kind: len(code) for kind, code in compiled.asm.items()}


class Interpreter:
    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def launch(self, op: str, *arguments: Any) -> tuple[torch.Tensor, ...]:
        """``launch(*arguments)`` of the op's device file, run by Triton's interpreter."""
        values = tuple(_to_numpy(a) for a in arguments)
        return tuple(torch.from_numpy(r) for r in self._pool.submit(_launch, op, values).result())


class Compiler:
    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def compile(
        self, op: str, kernel: str, signature: dict[str, str], constexprs: dict[str, Any], capability: int
    ) -> dict[str, int]:
        """Compile for a compute capability (90 is sm_90); gives the size of each stage's code."""
        return self._pool.submit(_compile, op, kernel, signature, constexprs, capability).result()

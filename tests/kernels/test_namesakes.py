"""One name, four places: an op is not finished before all of them exist."""

from pathlib import Path

from benchmarks.op_speed import ROWS

ROOT = Path(__file__).parents[2]
NOT_OPS = {"__init__", "choice"}


def stems(folder: str) -> set[str]:
    return {path.stem for path in (ROOT / folder).glob("*.py")}


def test_every_op_has_device_code_a_test_and_a_benchmark_row() -> None:
    ops = stems("kernels") - NOT_OPS
    assert ops
    assert stems("kernels/triton") - {"__init__"} == ops
    assert {f"test_{op}" for op in ops} <= stems("tests/kernels")
    assert {row.op for row in ROWS} == ops

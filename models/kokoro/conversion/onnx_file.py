"""Reads ONNX files without the onnx package: nodes, their names and their constants, straight from the wire format.

Field numbers are those of onnx.proto (ONNX IR version 10); whatever is not needed is stepped over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.importing import UnusableSource

_DTYPES: Mapping[int, np.dtype[Any]] = {
    1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("i1"), 6: np.dtype("<i4"), 7: np.dtype("<i8"), 9: np.dtype("?"),
    10: np.dtype("<f2"), 11: np.dtype("<f8"),
}  # fmt: skip
_BFLOAT16 = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Node:
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: Mapping[str, int] = field(default_factory=dict)
    """Its attributes that are whole numbers."""


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    """By the name that nodes know them by."""


def read_graph(path: Path) -> Graph:
    """Raises UnusableSource for what is no whole ONNX file, or has its weights in another file."""
    content = memoryview(path.read_bytes())
    try:
        graphs = [value for number, value in _fields(content) if number == 7]
        (graph,) = graphs
        nodes: list[Node] = []
        constants: dict[str, Array] = {}
        for number, value in _fields(_piece(graph)):
            if number == 1:
                node, given = _node(_piece(value))
                nodes.append(node)
                constants |= given
            elif number == 5:
                name, array = _tensor(_piece(value))
                constants[name] = array
    except (IndexError, ValueError, UnicodeDecodeError, OverflowError) as error:
        raise UnusableSource(f"{path} is no whole ONNX file ({error})") from None
    except _Unreadable as error:
        raise UnusableSource(f"{path}: {error}") from None
    return Graph(tuple(nodes), constants)


class _Unreadable(Exception):
    """A tensor that cannot be read from this file."""


def _node(content: memoryview) -> tuple[Node, dict[str, Array]]:
    inputs, outputs, integers, constants = [], [], {}, {}
    name = op = ""
    value: Array | None = None
    for number, given in _fields(content):
        if number == 1:
            inputs.append(_text(given))
        elif number == 2:
            outputs.append(_text(given))
        elif number == 3:
            name = _text(given)
        elif number == 4:
            op = _text(given)
        elif number == 5:
            attribute, integer, tensor = _attribute(_piece(given))
            if integer is not None:
                integers[attribute] = integer
            value = tensor if tensor is not None else value
    if op == "Constant" and value is not None:
        constants[outputs[0]] = value
    return Node(op, name, tuple(inputs), tuple(outputs), integers), constants


def _attribute(content: memoryview) -> tuple[str, int | None, Array | None]:
    name, integer, tensor = "", None, None
    for number, value in _fields(content):
        if number == 1:
            name = _text(value)
        elif number == 3 and isinstance(value, int):
            integer = value
        elif number == 5:
            tensor = _tensor(_piece(value))[1]
    return name, integer, tensor


def _tensor(content: memoryview) -> tuple[str, Array]:
    shape: list[int] = []
    kind, name = 0, ""
    raw: memoryview | None = None
    typed: list[Array] = []
    external = False
    for number, value in _fields(content):
        if number == 1:
            shape += _integers(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 4:
            typed.append(np.frombuffer(_piece(value), "<f4"))
        elif number in (5, 7):
            typed.append(np.array(_integers(value)))
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _piece(value)
        elif number == 14:
            external = bool(value)
    if external:
        raise _Unreadable(f"the weight {name!r} is in another file; give a checkpoint in one file")
    if kind == _BFLOAT16 and raw is not None:
        wide = np.frombuffer(raw, "<u2").astype("<u4") << 16
        return name, wide.view("<f4").reshape(shape)
    if kind not in _DTYPES:
        return name, np.zeros(0)  # a kind that no weight has, such as text
    if raw is not None:
        return name, np.frombuffer(raw, _DTYPES[kind]).reshape(shape)
    numbers = np.concatenate(typed) if typed else np.zeros(0)
    if kind == 10:
        return name, numbers.astype("<u2").view("<f2").reshape(shape)
    return name, numbers.astype(_DTYPES[kind]).reshape(shape)


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and value."""
    at, end = 0, len(content)
    while at < end:
        key, at = _varint(content, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            size, at = _varint(content, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if at + size > end:
            raise ValueError("it is cut off")
        yield key >> 3, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _integers(value: int | memoryview) -> list[int]:
    """One number, or several packed together; as signed ones."""
    if isinstance(value, int):
        return [_signed(value)]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(_signed(number))
    return numbers


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _piece(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_piece(value)).decode("utf-8")

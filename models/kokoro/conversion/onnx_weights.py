"""The weights of Kokoro in an ONNX file as the published checkpoint names them: float32, float16, or int8, which becomes float
again module by module.

Exporters keep the path of the torch module in the name of each node (``/decoder/decoder/generator/ups.0/ConvTranspose``), which
says whose weight a constant is, whatever the constant is called.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.importing import UnusableSource
from models.kokoro.conversion.onnx_file import Array, Graph, Node, read_graph

Floats = NDArray[np.float32]

_LAST = re.compile(r"/(?:Gemm_MatMul|MatMul|Gemm|ConvTranspose|Conv|LSTM)(?:_quant)?$")
_PASS = re.compile(r"(?<=[a-z])_\d+$")
"""Of a module that is gone through several times, all but the first."""
_OF_PREDICTOR = re.compile(r"^(F0|N|F0_proj|N_proj|shared)(?=\.|$)")
"""Modules of the predictor that are called past its own name."""
_STORED = re.compile(r"^(?:encoder|decoder|kmodel|model)\.(.+)$")
_PLACES = {"MatMul": 1, "MatMulInteger": 1, "Gemm": 1, "Conv": 1, "ConvInteger": 1, "ConvTranspose": 1}
_GATES = (0, 2, 3, 1)
"""ONNX has input, output, forget, cell; torch has input, forget, cell, output."""
_STEP_OVER = ("Identity", "Cast", "Gather", "Slice", "Unsqueeze")


def read_onnx(path: Path) -> dict[str, Tensor]:
    """Tensors float32 by published name, flat (``bert.…``, ``decoder.…``). Raises UnusableSource naming the file."""
    source = _Source(read_graph(path), path)
    tensors = dict(source.stored())
    for node in source.graph.nodes:
        module = module_of(node)
        if module is None:
            continue
        if node.op in ("LSTM", "DynamicQuantizeLSTM"):
            tensors |= source.recurrence(node, module)
        elif node.op in _PLACES and f"{module}.weight" not in tensors and f"{module}.weight_v" not in tensors:
            weight = source.weight(node)
            if weight is not None:
                tensors[f"{module}.weight"] = weight
    if not tensors:
        raise UnusableSource(f"{path} holds no weight of Kokoro: the names of its nodes are not those of its modules")
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}


def module_of(node: Node) -> str | None:
    """The published path of the module that a node belongs to; None for a node without one."""
    found = _LAST.search(node.name)
    if found is None:
        return None
    _, *parts = node.name[: found.start()].strip("/").split("/")
    # A layer of a sequence stands below the sequence under its whole name: cnn.0/cnn.0.1.
    kept = [part for part, below in pairwise([*parts, ""]) if not below.startswith(f"{part}.")]
    if not kept:
        return None
    module = ".".join(kept)
    if _PASS.search(module):
        return None
    return _OF_PREDICTOR.sub(lambda match: f"predictor.{match[1]}", module)


class _Source:
    def __init__(self, graph: Graph, path: Path) -> None:
        self.graph = graph
        self._path = path
        self._named = {node.name: node for node in graph.nodes}
        self._readers: dict[str, list[Node]] = {}
        self._writer = {output: node for node in graph.nodes for output in node.outputs}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def stored(self) -> Iterator[tuple[str, Floats]]:
        """Constants whose own names say what they are: biases, norms, tables."""
        for name, array in self.graph.constants.items():
            found = _STORED.match(name)
            if found is None:
                continue
            if array.dtype.kind == "f" and not found[1].endswith(("_scale", "fc.weight")):
                yield found[1], array.astype(np.float32)
            elif found[1].endswith("_quantized") and any(node.op in _STEP_OVER for node in self._readers.get(name, ())):
                yield found[1].removesuffix("_quantized"), self._table(name)

    def weight(self, node: Node) -> Floats | None:
        """Of a layer, as torch has it; None if it multiplies what is no constant."""
        name = node.inputs[_PLACES[node.op]]
        if node.op.endswith("Integer"):
            if name not in self.graph.constants:
                return None
            zero = node.inputs[3] if len(node.inputs) > 3 else ""
            weight = self._dequantised(name, self._scale(node, name), zero)
        else:
            found = self._value(name)
            if found is None:
                return None
            weight = found
        is_turned = node.op.startswith("MatMul") or (node.op == "Gemm" and not node.integers.get("transB"))
        return weight.T if is_turned else weight

    def recurrence(self, node: Node, module: str) -> dict[str, Floats]:
        """A recurrence in both directions, as torch names and orders its parts."""
        if node.op == "LSTM":
            given = [self._value(name) for name in node.inputs[1:4]]
        else:
            inputs, state, bias = node.inputs[1:4]
            scales = node.inputs[8:12]
            # Stored the other way round: inputs before gates.
            given = [
                self._dequantised(inputs, self._array(scales[0]), scales[1], axis=0).transpose(0, 2, 1),
                self._dequantised(state, self._array(scales[2]), scales[3], axis=0).transpose(0, 2, 1),
                self._value(bias),
            ]
        if any(part is None for part in given):
            raise UnusableSource(f"{self._path}: the recurrence {node.name} has weights that are no constants")
        tensors = {}
        for direction, ending in enumerate(("", "_reverse")):
            inputs_of, state_of, biases = (part[direction] for part in given if part is not None)
            input_bias, state_bias = np.split(biases, 2)
            parts = {"weight_ih": inputs_of, "weight_hh": state_of, "bias_ih": input_bias, "bias_hh": state_bias}
            for kind, part in parts.items():
                gates = np.split(part, 4)
                tensors[f"{module}.{kind}_l0{ending}"] = np.concatenate([gates[gate] for gate in _GATES])
        return tensors

    def _scale(self, node: Node, weight: str) -> Array:
        """The factor on a quantised weight: what is multiplied with the factor on the activations."""
        product = self._named.get(f"{node.name}_scales_mul")
        names = [*(product.inputs if product else ()), weight.removesuffix("_quantized") + "_scale"]
        for name in names:
            if name in self.graph.constants:
                return self.graph.constants[name]
        raise UnusableSource(f"{self._path}: {node.name} has no scale for its weight {weight}")

    def _table(self, name: str) -> Floats:
        """A quantised table, from the node that makes numbers of what was looked up in it."""
        places = [name]
        while places:
            for node in self._readers.get(places.pop(), ()):
                if node.op == "DequantizeLinear":
                    zero = node.inputs[2] if len(node.inputs) > 2 else ""
                    return self._dequantised(name, self._array(node.inputs[1]), zero)
                if node.op in _STEP_OVER:
                    places += node.outputs
        raise UnusableSource(f"{self._path}: nothing says what the numbers of {name} stand for")

    def _dequantised(self, name: str, scale: Array, zero: str, axis: int = -1) -> Floats:
        """(q - zero) * scale. Scales by channel belong to the last axis of a matrix and to the first of a convolution."""
        numbers = self._array(name).astype(np.float32)
        shape = [1] * numbers.ndim
        if scale.size > 1:
            at = axis if axis >= 0 else (numbers.ndim - 1 if numbers.ndim == 2 else 0)
            shape[at] = scale.size
        offset = self._array(zero).astype(np.float32) if zero else np.zeros(1, np.float32)
        offset = offset.reshape(shape) if offset.size > 1 else offset.reshape([1] * numbers.ndim)
        dequantised: Floats = (numbers - offset) * scale.astype(np.float32).reshape(shape)
        return dequantised

    def _value(self, name: str) -> Floats | None:
        """A constant, perhaps behind conversions; None if there is none."""
        if name in self.graph.constants:
            return self.graph.constants[name].astype(np.float32)
        node = self._writer.get(name)
        if node is None:
            return None
        if node.op in ("Identity", "Cast"):
            return self._value(node.inputs[0])
        if node.op == "DequantizeLinear" and node.inputs[0] in self.graph.constants:
            zero = node.inputs[2] if len(node.inputs) > 2 else ""
            return self._dequantised(node.inputs[0], self._array(node.inputs[1]), zero, node.integers.get("axis", -1))
        return None

    def _array(self, name: str) -> Array:
        if name not in self.graph.constants:
            raise UnusableSource(f"{self._path}: {name} is no constant")
        return self.graph.constants[name]


def without_tables_of_others(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What an exporter keeps besides weights, taken away: the inverse transform as a convolution."""
    return {name: tensor for name, tensor in tensors.items() if ".stft." not in name and ".istft." not in name}

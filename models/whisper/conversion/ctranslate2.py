"""CTranslate2's Whisper: ``model.bin`` read to tensors under Hugging Face names, and written back for its engine.

``model.bin`` (little endian, version 6): u32 version, name of the specification, u32 revision, u32 number of variables; for
each its name, u8 rank, u32 for each dimension, u8 type, u32 bytes, content; then u32 number of aliases and a pair of names
for each. A string is u16 length with its closing zero, then the bytes. Query, key and value of a layer are stacked along
dimension 0, in that order; keys have no bias in Whisper, so theirs is zero. Quantised weights carry a scale for each row:
``weight = integer / scale``. Source: python/ctranslate2/specs of CTranslate2 4.8.
"""

import json
import mmap
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from models.importing import UnusableSource
from models.weights import read_tensors
from models.whisper.config import WhisperConfig, read_config

VERSION = 6
REVISION = 3
SPECIFICATION = "WhisperSpec"
TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
"""By the number in the file."""
_FILE_TYPES = {dtype: number for number, dtype in enumerate(TYPES)}
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_MAX_RANK = 8

NORM = {"gamma": "weight", "beta": "bias"}
SOURCES_OF_LAYER = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "attention/linear_0": "encoder_attn.q_proj",
    "attention/linear_2": "encoder_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
"""Modules of a layer that are the same in both layouts."""
STACKED = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
}
"""Modules that hold several of Hugging Face's, one above the other."""


@dataclass(frozen=True, slots=True)
class ModelBin:
    """What a ``model.bin`` holds. Tensors may share memory with the file: they live while it is not replaced."""

    tensors: dict[str, Tensor]
    """Under the names of Hugging Face's checkpoints (``model.encoder…``), in the file's type; dequantised ones float32."""
    config: WhisperConfig


def read_model_bin(path: Path) -> ModelBin:
    """Raises UnusableSource naming what is wrong: cut off, of another model, of a newer version."""
    variables, aliases = read_variables(path)
    weights = _dequantised(path, variables)
    if aliases.get("decoder/projection/weight") != "decoder/embeddings/weight":
        own = weights.pop("decoder/projection/weight", None)
        if own is not None and not torch.equal(own, weights.get("decoder/embeddings/weight", torch.empty(0))):
            raise UnusableSource(f"{path}: its output layer differs from its embedding; Whisper's are the same")
    config = _shape(path, variables, weights)
    tensors: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        for target, part in _named(path, name, tensor, config.d_model):
            tensors[target] = part
    return ModelBin(tensors, config)


def read_variables(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All variables of the file as they are, scalars with shape [], and its aliases. Raises UnusableSource."""
    if not path.stat().st_size:
        raise UnusableSource(f"{path} is empty")
    with path.open("rb") as file:
        # Private: torch wants memory that it may write to; nothing reaches the file.
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    reader = _Reader(path, content)
    version = reader.number("I")
    if version not in (5, VERSION):
        raise UnusableSource(f"{path} is no model.bin of CTranslate2 in version 5 or {VERSION} (it starts with {version})")
    specification, revision = reader.text(), reader.number("I")
    if specification != SPECIFICATION or revision > REVISION:
        raise UnusableSource(f"{path} is a {specification} of revision {revision}, not a {SPECIFICATION} up to {REVISION}")
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        variables[name] = reader.tensor(name)
    aliases = {reader.text(): reader.text() for _ in range(reader.number("I"))}
    return variables, aliases


class _Reader:
    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self._path, self._content, self._at = path, content, 0

    def number(self, code: str) -> int:
        return int(struct.unpack("<" + code, self._take(struct.calcsize("<" + code)))[0])

    def text(self) -> str:
        raw = self._take(self.number("H"))
        try:
            return raw[:-1].decode("utf-8")
        except UnicodeDecodeError:
            raise UnusableSource(f"{self._path} is damaged near byte {self._at}, or no model.bin of CTranslate2") from None

    def tensor(self, name: str) -> Tensor:
        rank = self.number("B")
        shape = [self.number("I") for _ in range(min(rank, _MAX_RANK))]
        kind, size = self.number("B"), self.number("I")
        if kind >= len(TYPES):
            raise UnusableSource(f"{self._path}: {name} has the unknown type {kind}")
        count = 1
        for dimension in shape:
            count *= dimension
        if size != count * TYPES[kind].itemsize or not size:
            raise UnusableSource(f"{self._path}: {name} has {size} bytes, which do not fit its shape {shape}")
        start = self._at
        self._skip(size)
        if start % TYPES[kind].itemsize:  # torch reads aligned memory only
            return torch.frombuffer(bytearray(self._content[start : self._at]), dtype=TYPES[kind]).view(shape)
        return torch.frombuffer(self._content, dtype=TYPES[kind], count=count, offset=start).view(shape)

    def _take(self, size: int) -> bytes:
        start = self._at
        self._skip(size)
        return self._content[start : self._at]

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._content):
            raise UnusableSource(f"{self._path} is cut off: {len(self._content)} bytes, more expected")


def _dequantised(path: Path, variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights alone, as floats: without scalars and scales."""
    weights = {}
    for name, value in variables.items():
        if not value.ndim or name.endswith("_scale"):
            continue
        if value.dtype in _FLOATS:
            weights[name] = value
            continue
        scale = variables.get(f"{name}_scale")
        if scale is None or value.dtype not in (torch.int8, torch.int16):
            raise UnusableSource(f"{path}: {name} holds {value.dtype} without a scale; quantisations taken: int8, int16")
        rows = scale.float().reshape(-1, *[1] * (value.ndim - 1)) if scale.numel() > 1 else scale.float()
        weights[name] = value.float() / rows
    return weights


def _shape(path: Path, variables: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> WhisperConfig:
    """Everything that config.json of Hugging Face says of the network's shape."""

    def dimensions(name: str) -> tuple[int, ...]:
        if name not in weights:
            raise UnusableSource(f"{path} has no {name}")
        return tuple(weights[name].shape)

    def layers(side: str) -> int:
        numbers = [int(match[1]) for name in weights if (match := re.match(rf"{side}/layer_(\d+)/", name))]
        return max(numbers, default=-1) + 1

    def heads(side: str, channels: int) -> int:
        stated = variables.get(f"{side}/num_heads")
        return int(stated) if stated is not None else channels // 64  # older files do not say; all of OpenAI's have 64

    channels, mel_bands, _ = dimensions("encoder/conv1/weight")
    try:
        return WhisperConfig(
            vocab_size=dimensions("decoder/embeddings/weight")[0],
            num_mel_bins=mel_bands,
            d_model=channels,
            encoder_layers=layers("encoder"),
            encoder_attention_heads=heads("encoder", channels),
            encoder_ffn_dim=dimensions("encoder/layer_0/ffn/linear_0/weight")[0],
            decoder_layers=layers("decoder"),
            decoder_attention_heads=heads("decoder", channels),
            decoder_ffn_dim=dimensions("decoder/layer_0/ffn/linear_0/weight")[0],
            max_source_positions=dimensions("encoder/position_encodings/encodings")[0],
            max_target_positions=dimensions("decoder/position_encodings/encodings")[0],
        )
    except ValueError as error:
        raise UnusableSource(f"{path}: {error}") from None


def _named(path: Path, name: str, tensor: Tensor, channels: int) -> Iterator[tuple[str, Tensor]]:
    """A variable under its names in Hugging Face's layout, taken apart where it is stacked."""
    module, _, kind = name.rpartition("/")
    side, _, rest = module.partition("/")
    kind = NORM.get(kind, kind)
    layer, _, inner = rest.partition("/")
    if inner and layer.startswith("layer_"):
        prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
        if inner in STACKED:
            targets = STACKED[inner]
            if tensor.shape[0] != len(targets) * channels:
                raise UnusableSource(f"{path}: {name} has {tensor.shape[0]} rows, not {len(targets)} times {channels}")
            for target, part in zip(targets, tensor.chunk(len(targets)), strict=True):
                if kind == "bias" and target.endswith("k_proj"):
                    if part.any():
                        raise UnusableSource(f"{path}: {name} gives keys a bias; Whisper's have none")
                    continue
                yield f"{prefix}.{target}.{kind}", part
        else:
            yield f"{prefix}.{SOURCES_OF_LAYER.get(inner, inner.replace('/', '.'))}.{kind}", tensor
    elif rest == "position_encodings":
        yield f"model.{side}.embed_positions.weight", tensor
    elif rest == "embeddings":
        yield f"model.{side}.embed_tokens.weight", tensor
    else:  # conv1, conv2, layer_norm
        yield f"model.{side}.{rest}.{kind}", tensor


def write_model_bin(file: BinaryIO, tensors: Mapping[str, Tensor], config: WhisperConfig) -> None:
    """The inverse of `read_model_bin`: what CTranslate2 loads, in the tensors' own type. Raises KeyError for a missing one."""
    variables = dict(_variables(tensors, config))
    file.write(struct.pack("<I", VERSION) + _text(SPECIFICATION) + struct.pack("<II", REVISION, len(variables)))
    for name in sorted(variables):
        value = variables[name].detach().cpu().contiguous()
        file.write(_text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape))
        file.write(struct.pack("<BI", _FILE_TYPES[value.dtype], value.nbytes))
        file.write(value.reshape(-1).view(torch.uint8).numpy().data)
    file.write(struct.pack("<I", 1) + _text("decoder/projection/weight") + _text("decoder/embeddings/weight"))


def _text(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def _variables(tensors: Mapping[str, Tensor], config: WhisperConfig) -> Iterator[tuple[str, Tensor]]:
    for side, layers, heads in (
        ("encoder", config.encoder_layers, config.encoder_attention_heads),
        ("decoder", config.decoder_layers, config.decoder_attention_heads),
    ):
        yield f"{side}/num_heads", torch.tensor(heads, dtype=torch.int16)
        yield f"{side}/position_encodings/encodings", tensors[f"model.{side}.embed_positions.weight"]
        yield from _normal(f"{side}/layer_norm", tensors, f"model.{side}.layer_norm")
        for layer in range(layers):
            yield from _layer(f"{side}/layer_{layer}", tensors, f"model.{side}.layers.{layer}", cross=side == "decoder")
    for convolution in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            yield f"encoder/{convolution}/{kind}", tensors[f"model.encoder.{convolution}.{kind}"]
    yield "decoder/embeddings/weight", tensors["model.decoder.embed_tokens.weight"]
    flags = {"activation": 3, "pre_norm": 1, "scale_embeddings": 0, "start_from_zero_embedding": 0, "alibi": 0}
    flags |= {"alibi_use_positive_positions": 0, "scale_alibi": 0}
    for name, value in flags.items():
        yield f"decoder/{name}", torch.tensor(value, dtype=torch.int8)  # activation 3 is GELU
    for name, number in (("alignment_heads", 1), ("alignment_layer", -1)):
        yield f"decoder/{name}", torch.tensor(number, dtype=torch.int16)


def _normal(name: str, tensors: Mapping[str, Tensor], source: str) -> Iterator[tuple[str, Tensor]]:
    for ours, theirs in NORM.items():
        yield f"{name}/{ours}", tensors[f"{source}.{theirs}"]


def _layer(name: str, tensors: Mapping[str, Tensor], source: str, cross: bool) -> Iterator[tuple[str, Tensor]]:
    for module, theirs in SOURCES_OF_LAYER.items():
        if module.startswith("attention") and not cross:
            continue
        if module.endswith("layer_norm"):
            yield from _normal(f"{name}/{module}", tensors, f"{source}.{theirs}")
        else:
            for kind in ("weight", "bias"):
                yield f"{name}/{module}/{kind}", tensors[f"{source}.{theirs}.{kind}"]
    for module, parts in STACKED.items():
        if module.startswith("attention") and not cross:
            continue
        weights = [tensors[f"{source}.{part}.weight"] for part in parts]
        biases = [tensors.get(f"{source}.{part}.bias", torch.zeros_like(weights[0][:, 0])) for part in parts]
        yield f"{name}/{module}/weight", torch.cat(weights)
        yield f"{name}/{module}/bias", torch.cat(biases)


def engine_files(folder: Path, alignment_heads: Sequence[tuple[int, int]]) -> dict[str, bytes]:
    """What ``ctranslate2.models.Whisper(path, files=…)`` takes, made of a model at rest in ``folder``.

    Costs the weights twice in memory while it runs. Raises FileNotFoundError, ValueError and KeyError for a folder that is
    not one at rest.
    """
    config = read_config(folder)
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids: dict[str, int] = dict(vocabulary["model"]["vocab"])
    ids |= {token["content"]: token["id"] for token in vocabulary["added_tokens"]}
    tokens = {number: token for token, number in ids.items()}
    first_unnamed = max(tokens) + 1
    for number in range(first_unnamed, config.vocab_size):  # timestamps, which many tokenizers do not list
        tokens[number] = f"<|{(number - first_unnamed) * 0.02:.2f}|>"
    settings = {
        "suppress_ids": generation.get("suppress_tokens") or [],
        "suppress_ids_begin": generation.get("begin_suppress_tokens") or [],
        "lang_ids": sorted((generation.get("lang_to_id") or {}).values()),
        "alignment_heads": list(alignment_heads),
    }
    weights = BytesIO()
    write_model_bin(weights, read_tensors(folder / "model.safetensors"), config)
    return {
        "model.bin": weights.getvalue(),
        "config.json": json.dumps(settings).encode(),
        "vocabulary.json": json.dumps([tokens[number] for number in range(config.vocab_size)]).encode(),
    }

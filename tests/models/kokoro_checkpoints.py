"""Small Kokoro checkpoints with random weights in the layouts that are published: what torch saves, and ONNX."""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.kokoro.config import KokoroConfig
from models.kokoro.network import Kokoro
from tests.models.kokoro_networks import TINY, tiny_network

_LAYER = "bert.encoder.albert_layer_groups.0.albert_layers.0."
_PUBLISHED = (
    (r"^reader\.token\.", "bert.embeddings.word_embeddings."), (r"^reader\.position\.", "bert.embeddings.position_embeddings."),
    (r"^reader\.norm\.", "bert.embeddings.LayerNorm."), (r"^reader\.widen\.", "bert.encoder.embedding_hidden_mapping_in."),
    (r"^reader\.layer\.attention_norm\.", f"{_LAYER}attention.LayerNorm."),
    (r"^reader\.layer\.dense\.", f"{_LAYER}attention.dense."),
    (r"^reader\.layer\.norm\.", f"{_LAYER}full_layer_layer_norm."), (r"^reader\.layer\.up\.", f"{_LAYER}ffn."),
    (r"^reader\.layer\.down\.", f"{_LAYER}ffn_output."), (r"^narrow\.", "bert_encoder."),
    (r"^text\.convs\.(\d+)\.", r"text_encoder.cnn.\1.0."), (r"^text\.norms\.(\d+)\.weight", r"text_encoder.cnn.\1.1.gamma"),
    (r"^text\.norms\.(\d+)\.bias", r"text_encoder.cnn.\1.1.beta"), (r"^text\.recurrence\.", "text_encoder.lstm."),
    (r"^text\.embedding\.", "text_encoder.embedding."), (r"^predictor\.timing\.", "predictor.lstm."),
    (r"^predictor\.duration\.", "predictor.duration_proj.linear_layer."), (r"^predictor\.pitch\.blocks\.", "predictor.F0."),
    (r"^predictor\.energy\.blocks\.", "predictor.N."), (r"^predictor\.pitch\.out\.", "predictor.F0_proj."),
    (r"^predictor\.energy\.out\.", "predictor.N_proj."), (r"^decoder\.pitch\.", "decoder.F0_conv."),
    (r"^decoder\.energy\.", "decoder.N_conv."), (r"^decoder\.side\.", "decoder.asr_res.0."),
    (r"^vocoder\.source\.mix\.", "decoder.generator.m_source.l_linear."),
    (r"^vocoder\.source_convs\.", "decoder.generator.noise_convs."),
    (r"^vocoder\.source_blocks\.", "decoder.generator.noise_res."), (r"^vocoder\.ups\.", "decoder.generator.ups."),
    (r"^vocoder\.out\.", "decoder.generator.conv_post."), (r"\.shortcut\.", ".conv1x1."), (r"\.norms([12])\.", r".adain\1."),
)  # fmt: skip
_ENCODER_LAYER = re.compile(r"^predictor\.encoder\.(recurrences|norms)\.(\d+)\.")
_BLOCK = re.compile(r"^vocoder\.blocks\.(\d+)\.(\d+)\.")
_WITH_WEIGHT_NORM = re.compile(
    r"^(text_encoder\.cnn\.\d+\.0|.*\.(conv1|conv2|conv1x1|pool|F0_conv|N_conv|conv_post|ups\.\d+|convs[12]\.\d+|asr_res\.0))\.weight$"
)


def published_name(name: str, config: KokoroConfig = TINY) -> str:
    """What the makers call our tensor ``name``."""
    if found := _ENCODER_LAYER.match(name):
        place = 2 * int(found[2]) + (found[1] == "norms")
        name = f"predictor.text_encoder.lstms.{place}.{name[found.end() :]}"
    if found := _BLOCK.match(name):
        place = len(config.istftnet.resblock_kernel_sizes) * int(found[1]) + int(found[2])
        name = f"decoder.generator.resblocks.{place}.{name[found.end() :]}"
    for ours, theirs in _PUBLISHED:
        name = re.sub(ours, theirs, name)
    return name


def published(network: Kokoro) -> dict[str, Tensor]:
    """The network's tensors flat under their published names, weight norm folded as ours is."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("reader.layer.qkv."):
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                tensors[f"{_LAYER}attention.{part}.{name.rpartition('.')[2]}"] = piece
        else:
            tensors[published_name(name, network.config)] = tensor
    size = network.config.plbert.embedding_size
    tensors["bert.embeddings.token_type_embeddings.weight"] = torch.zeros(2, size)
    return tensors


def write_packs(folder: Path, names: Iterable[str], config: KokoroConfig = TINY, ending: str = "pt") -> dict[str, Tensor]:
    """Random voices below ``folder``/voices."""
    (folder / "voices").mkdir(parents=True, exist_ok=True)
    packs = {name: torch.randn(config.most_tokens - 2, 1, 2 * config.style_dim) for name in names}
    for name, pack in packs.items():
        path = folder / "voices" / f"{name}.{ending}"
        torch.save(pack, path) if ending == "pt" else pack.numpy().tofile(path)
    return packs


def write_checkpoint(path: Path, network: Kokoro) -> Path:
    """As the makers saved it: five parts, convolutions by direction and length."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in published(network).items():
        part, _, rest = name.partition(".")
        of_part = parts.setdefault(part, {})
        if _WITH_WEIGHT_NORM.match(name):
            of_part[f"module.{rest[: -len('weight')]}weight_v"] = 3 * tensor
            of_part[f"module.{rest[: -len('weight')]}weight_g"] = (
                tensor.flatten(1).norm(dim=1).view(-1, *[1] * (tensor.dim() - 1))
            )
        else:
            of_part[f"module.{rest}"] = tensor
    parts["bert"]["module.pooler.weight"] = torch.zeros(3)
    torch.save(parts, path)
    return path


def tiny_source(folder: Path, voices: Iterable[str] = ("af_heart", "bf_emma", "ff_siwis", "jf_alpha"), seed: int = 0) -> Kokoro:
    """A whole checkpoint in ``folder``: what torch saved, voices, and a config.json of the tiny sizes."""
    import json
    from dataclasses import asdict

    from models.kokoro.vocabulary import VOCABULARY

    network = tiny_network(seed)
    write_packs(folder, voices)
    write_checkpoint(folder / "kokoro-v1_0.pth", network)
    (folder / "config.json").write_text(json.dumps({**asdict(TINY), "vocab": dict(VOCABULARY)}), encoding="utf-8")
    return network


# --- ONNX ---------------------------------------------------------------------

_KINDS = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7, "float16": 10}


def _varint(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, _KINDS[array.dtype.name]) + _field(8, name) + _field(9, np.ascontiguousarray(array).tobytes())


@dataclass
class OnnxFile:
    """Nodes and constants of a graph to write."""

    content: bytes = b""

    def constant(self, name: str, array: np.ndarray) -> str:
        self.content += _field(5, _tensor(name, array))
        return name

    def node(self, op: str, name: str, inputs: Iterable[str], output: str = "", **integers: int) -> None:
        node = b"".join(_field(1, one) for one in inputs) + _field(2, output or f"{name}:0") + _field(3, name) + _field(4, op)
        for attribute, value in integers.items():
            node += _field(5, _field(1, attribute) + _field(3, value) + _field(20, 2))
        self.content += _field(1, node)

    def write(self, path: Path) -> Path:
        # A version, a field of fixed size that readers step over, and the graph.
        path.write_bytes(_field(1, 10) + _varint(99 << 3 | 5) + struct.pack("<f", 1.0) + _field(7, self.content))
        return path


def write_onnx(path: Path, network: Kokoro, kind: str) -> Path:
    """As exporters write it in float32, float16 or int8: nodes carry the modules' names, the weights mostly do not."""
    file, tensors = OnnxFile(), {name: tensor.numpy() for name, tensor in published(network).items()}
    for name in [name for name in tensors if name.endswith("_l0")]:
        module = name.rpartition(".")[0]
        if name.endswith("weight_ih_l0"):
            _write_recurrence(file, module, tensors, kind)
    for count, (name, array) in enumerate(tensors.items()):
        module, _, last = name.rpartition(".")
        if last.endswith(("_l0", "_l0_reverse")):
            continue
        top = "decoder" if name.startswith("decoder.") else "encoder"
        if "embeddings.weight" in name or "embedding.weight" in name:
            _write_table(file, f"{top}.{name}", array, kind)
        elif last == "weight" and array.ndim > 1:
            _write_layer(file, f"/{top}/{_called(module)}", f"onnx::{count}", array, kind)
        else:
            file.constant(f"{top}.{name}", array.astype("float16" if kind == "float16" else "float32"))
    return file.write(path)


def _called(module: str) -> str:
    """The path of a module in the names of nodes."""
    module = re.sub(r"^predictor\.(F0|N|F0_proj|N_proj|shared)(?=\.|$)", r"\1", module)
    module = re.sub(r"cnn\.(\d+)\.0$", r"cnn.\1/cnn.\1.0", module)
    return re.sub(r"\.(?=[A-Za-z_])", "/", module)


def _quantised(array: np.ndarray, kind: str = "int8") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers, scale and zero point, of the whole array."""
    lowest, highest = min(0.0, float(array.min())), max(0.0, float(array.max()))
    scale = max(highest - lowest, 1e-6) / 255
    floor = -128 if kind == "int8" else 0
    zero = round(floor - lowest / scale)
    numbers = np.clip(np.round(array / scale) + zero, floor, floor + 255).astype(kind)
    return numbers, np.array(scale, np.float32), np.array(zero, kind)


def _write_layer(file: OnnxFile, node: str, name: str, array: np.ndarray, kind: str) -> None:
    is_matrix = array.ndim == 2
    op = "MatMul" if is_matrix else ("ConvTranspose" if "/ups." in node or node.endswith("/pool") else "Conv")
    stored = array.T if is_matrix else array
    if kind != "int8" or op == "ConvTranspose":
        constant = file.constant(name, stored.astype("float16" if kind == "float16" else "float32"))
        if kind == "float16":
            file.node("Cast", f"{node}/Cast", (constant,), f"{name}_wide")
            constant = f"{name}_wide"
        file.node(op, f"{node}/{op}", ("x", constant))
        return
    numbers, scale, zero = _quantised(stored, "int8" if is_matrix else "uint8")
    inputs = ("x", file.constant(f"{name}_quantized", numbers), "x_zero", file.constant(f"{name}_zero_point", zero))
    file.node(f"{op}Integer", f"{node}/{op}_quant", inputs)
    file.node("Mul", f"{node}/{op}_quant_scales_mul", ("x_scale", file.constant(f"{name}_factor", scale)))
    if is_matrix:  # gone through again, with a copy of the weights that is not to be taken for another module's
        file.node(f"{op}Integer", f"{node}_1/{op}_quant", inputs)


def _write_table(file: OnnxFile, name: str, array: np.ndarray, kind: str) -> None:
    if kind != "int8":
        file.constant(name, array.astype(kind))
        return
    numbers, scale, zero = _quantised(array)
    file.constant(f"{name}_quantized", numbers)
    file.node("Gather", f"{name}/Gather", (f"{name}_quantized", "tokens"), f"{name}/found")
    parts = f"{name}/found", file.constant(f"{name}_scale", scale), file.constant(f"{name}_zero", zero)
    file.node("DequantizeLinear", f"{name}/Dequantize", parts)


def _write_recurrence(file: OnnxFile, module: str, tensors: Mapping[str, np.ndarray], kind: str) -> None:
    def gates(part: str) -> np.ndarray:
        """Both directions, in ONNX's order of gates: input, output, forget, cell."""
        both = []
        for ending in ("", "_reverse"):
            i, f, c, o = np.split(tensors[f"{module}.{part}_l0{ending}"], 4)
            both.append(np.concatenate([i, o, f, c]))
        return np.stack(both)

    node = f"/encoder/{_called(module)}"
    bias = file.constant(f"{node}/B", np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1).astype("float32"))
    if kind != "int8":
        weights = [file.constant(f"{node}/{part}", gates(part).astype(kind)) for part in ("weight_ih", "weight_hh")]
        file.node("LSTM", f"{node}/LSTM", ("x", *weights, bias))
        return
    stored, factors = [], []
    for part in ("weight_ih", "weight_hh"):
        of_direction = [_quantised(one.T) for one in gates(part)]
        numbers, scales, zeros = (np.stack([one[place] for one in of_direction]) for place in range(3))
        stored.append(file.constant(f"{node}/{part}_q", numbers))
        factors += [file.constant(f"{node}/{part}_s", scales), file.constant(f"{node}/{part}_z", zeros)]
    file.node("DynamicQuantizeLSTM", f"{node}/LSTM_quant", ("x", *stored, bias, "", "", "", "", *factors))

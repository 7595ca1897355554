"""From the published checkpoint's tensors to ours: other names, weight norm folded, parts that belong together joined."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from models.importing import UnusableSource

_SHOWN = 12
_ALBERT = "bert.encoder.albert_layer_groups.0.albert_layers.0."
_RENAME = {
    r"^bert\.embeddings\.word_embeddings\.": "reader.token.",
    r"^bert\.embeddings\.position_embeddings\.": "reader.position.",
    r"^bert\.embeddings\.LayerNorm\.": "reader.norm.",
    r"^bert\.encoder\.embedding_hidden_mapping_in\.": "reader.widen.",
    rf"^{re.escape(_ALBERT)}attention\.LayerNorm\.": "reader.layer.attention_norm.",
    rf"^{re.escape(_ALBERT)}attention\.": "reader.layer.",
    rf"^{re.escape(_ALBERT)}full_layer_layer_norm\.": "reader.layer.norm.",
    rf"^{re.escape(_ALBERT)}ffn\.": "reader.layer.up.",
    rf"^{re.escape(_ALBERT)}ffn_output\.": "reader.layer.down.",
    r"^bert_encoder\.": "narrow.",
    r"^text_encoder\.cnn\.(\d+)\.0\.": r"text.convs.\1.",
    r"^text_encoder\.cnn\.(\d+)\.1\.gamma$": r"text.norms.\1.weight",
    r"^text_encoder\.cnn\.(\d+)\.1\.beta$": r"text.norms.\1.bias",
    r"^text_encoder\.lstm\.": "text.recurrence.",
    r"^text_encoder\.embedding\.": "text.embedding.",
    r"^predictor\.lstm\.": "predictor.timing.",
    r"^predictor\.duration_proj\.linear_layer\.": "predictor.duration.",
    r"^predictor\.F0\.": "predictor.pitch.blocks.",
    r"^predictor\.N\.": "predictor.energy.blocks.",
    r"^predictor\.F0_proj\.": "predictor.pitch.out.",
    r"^predictor\.N_proj\.": "predictor.energy.out.",
    r"^decoder\.F0_conv\.": "decoder.pitch.",
    r"^decoder\.N_conv\.": "decoder.energy.",
    r"^decoder\.asr_res\.0\.": "decoder.side.",
    r"^decoder\.generator\.m_source\.l_linear\.": "vocoder.source.mix.",
    r"^decoder\.generator\.noise_convs\.": "vocoder.source_convs.",
    r"^decoder\.generator\.noise_res\.": "vocoder.source_blocks.",
    r"^decoder\.generator\.ups\.": "vocoder.ups.",
    r"^decoder\.generator\.conv_post\.": "vocoder.out.",
    r"^(predictor|decoder)\.(.*)\.conv1x1\.": r"\1.\2.shortcut.",
    r"\.adain([12])\.": r".norms\1.",
}
"""In this order, each once."""
_LAYERS_OF = (
    (re.compile(r"^predictor\.text_encoder\.lstms\.(\d+)\."), "predictor.encoder"),
    (re.compile(r"^decoder\.generator\.resblocks\.(\d+)\."), "vocoder.blocks"),
)
_NOT_SPOKEN = re.compile(r"bert\.pooler\..*|bert\.embeddings\.position_ids")
"""Of the transformer, what no sample depends on."""
_PLAIN_NORM = re.compile(r".*\.(?:norm[12]|adain[12]\.\d+)\.norm\.(weight|bias)")
"""Scale and shift of the instance norms, which the published network has only for an exporter's sake."""
_PARTS = ("query", "key", "value")
_SEGMENT = "bert.embeddings.token_type_embeddings.weight"


def ours(published: Mapping[str, Tensor], branches: int) -> dict[str, Tensor]:
    """Our tensors by name, float32; ``branches`` is how many blocks of the vocoder stand side by side.

    ``published`` is flat (``bert.…``, ``bert_encoder.…``, ``predictor.…``, ``text_encoder.…``, ``decoder.…``), its
    convolutions with weight norm (``weight_g`` and ``weight_v``) or with plain weights.

    Raises UnusableSource for half a pair, or scaled norms; names that nobody knows stay as they are, for the caller to refuse.
    """
    plain = folded({name: tensor.float() for name, tensor in published.items() if not _NOT_SPOKEN.fullmatch(name)})
    segment = plain.pop(_SEGMENT, None)
    if segment is not None:
        position = "bert.embeddings.position_embeddings.weight"
        plain[position] = plain[position] + segment[0]
    tensors = {}
    for name, tensor in plain.items():
        kind = _PLAIN_NORM.fullmatch(name)
        if kind is None:
            tensors[renamed(name, branches)] = tensor
        elif not torch.equal(tensor, torch.full_like(tensor, float(kind[1] == "weight"))):
            raise UnusableSource(f"{name} scales a norm that Kokoro does not scale: this is another network")
    return joined(tensors)


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each pair of a direction and a length (Salimans & Kingma 2016) as the one weight that it makes.

    Pairs may be called ``weight_v``/``weight_g`` or, as newer torch writes them, ``parametrizations.weight.original1``/``0``.
    Raises UnusableSource for half a pair.
    """
    names = {re.sub(r"parametrizations\.weight\.original([01])$", lambda m: f"weight_{'gv'[int(m[1])]}", n): n for n in tensors}
    plain = {}
    for name, written in names.items():
        if name.endswith("weight_v"):
            length = names.get(f"{name[:-1]}g")
            if length is None:
                raise UnusableSource(f"{written} has no weight_g beside it")
            direction = tensors[written]
            sizes = direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.dim() - 1))
            plain[name[:-2]] = direction * (tensors[length] / sizes)
        elif not name.endswith("weight_g"):
            plain[name] = tensors[written]
        elif f"{name[:-1]}v" not in names:
            raise UnusableSource(f"{written} has no weight_v beside it")
    return plain


def renamed(name: str, branches: int) -> str:
    """Our name for a published one."""
    for pattern, target in _LAYERS_OF:
        found = pattern.match(name)
        if found is None:
            continue
        number, rest = int(found[1]), name[found.end() :]
        if target == "vocoder.blocks":
            name = f"{target}.{number // branches}.{number % branches}.{rest}"
        else:
            name = f"{target}.{'norms' if number % 2 else 'recurrences'}.{number // 2}.{rest}"
    for known, replacement in _RENAME.items():
        name = re.sub(known, replacement, name)
    return name


def joined(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Query, key and value as one."""
    whole = dict(tensors)
    for kind in ("weight", "bias"):
        names = [f"reader.layer.{part}.{kind}" for part in _PARTS]
        if all(name in whole for name in names):
            whole[f"reader.layer.qkv.{kind}"] = torch.cat([whole.pop(name) for name in names])
    return whole


def misfits(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What keeps ``found`` from being a network's tensors ``wanted``, for a message; empty if nothing does."""
    faults = [f"missing {name}" for name in wanted if name not in found]
    faults += [f"unknown {name}" for name in found if name not in wanted]
    faults += [
        f"{name} has the shape {list(found[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    return shown(faults)


def shown(faults: Iterable[str]) -> str:
    """The first of many, for a message."""
    listed = list(faults)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from models.weights import WeightsError, load_weights, read_metadata, read_tensors, save_weights


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.out = nn.Linear(4, 4, bias=False)
        self.register_buffer("positions", torch.arange(3))


FUSED = {"qkv": ("q_proj", "k_proj", "v_proj")}
RENAME = {r"^model\.": "", r"\bout_proj\b": "out"}


def foreign() -> dict[str, torch.Tensor]:
    """A checkpoint of `Attention` as somebody else would name it."""
    random = torch.Generator().manual_seed(0)
    tensors = {"model.out_proj.weight": torch.randn(4, 4, generator=random), "model.positions": torch.arange(3) + 5}
    for part in FUSED["qkv"]:
        tensors[f"model.{part}.weight"] = torch.randn(4, 4, generator=random)
        tensors[f"model.{part}.bias"] = torch.randn(4, generator=random)
    return tensors


def test_round_trip_with_metadata(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.safetensors"
    source, target = Attention(), Attention()
    save_weights(path, source.state_dict(), {"config": "{}"})
    assert load_weights(path, target) == {"config": "{}"}
    assert read_metadata(path) == {"config": "{}"}
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor)
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def test_half_precision_on_disk_single_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    source, target = Attention(), Attention()
    save_weights(path, source.state_dict(), dtype=torch.float16)
    stored = load_file(path)
    assert stored["qkv.weight"].dtype == torch.float16
    assert stored["positions"].dtype == torch.int64
    load_weights(path, target)
    assert target.qkv.weight.dtype == torch.float32
    assert torch.equal(target.qkv.weight, source.qkv.weight.half().float())


def test_views_and_shared_tensors_are_stored_in_full(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    save_weights(tmp_path / "a.safetensors", {"one": base.t(), "two": base[1:], "three": base})
    stored = read_tensors(tmp_path / "a.safetensors")
    assert torch.equal(stored["one"], base.t())
    assert torch.equal(stored["two"], base[1:])


def test_a_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(path, {"one": torch.ones(2)})

    def full_disk(tensors: object, file: Path, metadata: object) -> None:
        file.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr("models.weights.save_file", full_disk)
    with pytest.raises(OSError, match="disk full"):
        save_weights(path, {"one": torch.zeros(2)})
    assert torch.equal(read_tensors(path)["one"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_names_and_fused_tensors(tmp_path: Path) -> None:
    save_file(foreign(), tmp_path / "a.safetensors")
    module = Attention()
    load_weights(tmp_path / "a.safetensors", module, rename=RENAME, fused=FUSED)
    expected = torch.cat([foreign()[f"model.{part}.weight"] for part in FUSED["qkv"]])
    assert torch.equal(module.qkv.weight, expected)
    assert torch.equal(module.out.weight, foreign()["model.out_proj.weight"])
    assert module.get_buffer("positions").tolist() == [5, 6, 7]


def test_every_fault_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    tensors = foreign()
    del tensors["model.k_proj.bias"]
    tensors["model.left_over"] = torch.zeros(1)
    tensors["out_proj.weight"] = torch.zeros(4, 4)
    tensors["model.q_proj.weight"] = torch.zeros(5, 4)
    tensors["model.positions"] = torch.zeros(3)
    save_file(tensors, tmp_path / "a.safetensors")
    module = Attention()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(tmp_path / "a.safetensors", module, rename=RENAME, fused=FUSED)
    message = str(caught.value)
    assert "a.safetensors does not fit Attention" in message
    assert "missing: k_proj.bias;" in message
    assert "unused: left_over;" in message
    assert "doubled: out.weight;" in message
    assert "qkv.weight ([13, 4] in the file, [12, 4] wanted)" in message
    assert "positions (torch.float32 in the file, torch.int64 wanted)" in message
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_parts_that_cannot_be_joined_are_named(tmp_path: Path) -> None:
    save_file(foreign() | {"model.v_proj.weight": torch.zeros(4, 3)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"qkv\.weight \(parts .*\[4, 3\]\] cannot be joined\)"):
        load_weights(tmp_path / "a.safetensors", Attention(), rename=RENAME, fused=FUSED)


def test_what_is_ignored_may_be_left_over(tmp_path: Path) -> None:
    save_file(foreign() | {"proj_out.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    load_weights(tmp_path / "a.safetensors", Attention(), rename=RENAME, fused=FUSED, ignore=[r"proj_out\..*"])
    with pytest.raises(WeightsError, match=r"unused: proj_out\.weight"):
        load_weights(tmp_path / "a.safetensors", Attention(), rename=RENAME, fused=FUSED, ignore=[r"proj"])


@pytest.mark.parametrize("how", ["torch zip", "torch legacy", "plain pickle"])
@pytest.mark.parametrize("read", [read_metadata, read_tensors, lambda path: load_weights(path, Attention())])
def test_pickles_are_refused_under_any_name(how: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    if how == "plain pickle":
        path.write_bytes(pickle.dumps({"one": 1}))
    else:
        torch.save({"one": torch.ones(1)}, path, _use_new_zipfile_serialization=how == "torch zip")
    assert callable(read)
    with pytest.raises(WeightsError, match=r"is a Python pickle.*Only safetensors files are loaded"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\xff" * 64])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    for read in (read_metadata, read_tensors):
        with pytest.raises(WeightsError, match=r"a\.safetensors is not a readable safetensors file"):
            read(path)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_weights(path, Attention().state_dict())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_weights(path, Attention())


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "a.safetensors", Attention())

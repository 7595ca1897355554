"""Every published layout of Kokoro to the one at rest, and what is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.importing import Converted, ModelFacts, UnusableSource
from models.kokoro.config import KokoroConfig
from models.kokoro.conversion.files import weight_file
from models.kokoro.conversion.importer import KokoroImporter
from models.kokoro.network import Kokoro
from models.kokoro.vocabulary import VOCABULARY
from models.weights import read_tensors
from tests.models.kokoro_checkpoints import OnnxFile, tiny_source, write_onnx, write_packs
from tests.models.kokoro_networks import TINY

IMPORTER = KokoroImporter()


def imported(folder: Path, target: Path) -> tuple[Converted, ModelFacts]:
    """As the model store does it."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    config = json.loads(files["config.json"].read_text(encoding="utf-8")) if "config.json" in files else None
    names = IMPORTER.wanted(files, config)
    assert names is not None
    target.mkdir()
    converted = IMPORTER.convert({name: files[name] for name in names}, target, [])
    return converted, IMPORTER.check(target)


def assert_same(found: dict[str, Tensor], network: Kokoro, rtol: float = 0.0, steps: float = 0.0) -> None:
    """``steps``: how many 255ths of a tensor's span a number may be off."""
    wanted = network.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        span = float(tensor.max().clamp_min(0) - tensor.min().clamp_max(0))
        atol = max(1e-6, steps * span / 255)
        torch.testing.assert_close(found[name], tensor, rtol=rtol, atol=atol, msg=f"{name} differs")


def test_the_makers_checkpoint(tmp_path: Path) -> None:
    network = tiny_source(tmp_path / "source")
    converted, facts = imported(tmp_path / "source", tmp_path / "rest")
    assert converted.layout == "published checkpoint"
    assert converted.notes == ("1 voices are kept but not offered: there are no phones for Japanese here",)
    assert facts.languages == ("en", "fr")
    assert facts.parameters == sum(tensor.numel() for tensor in network.state_dict().values())
    assert_same(read_tensors(tmp_path / "rest" / "model.safetensors"), network, rtol=1e-5)
    packs = read_tensors(tmp_path / "rest" / "voices.safetensors")
    assert packs.keys() == {"af_heart", "bf_emma", "ff_siwis", "jf_alpha"}
    saved = torch.load(tmp_path / "source" / "voices" / "bf_emma.pt")
    torch.testing.assert_close(packs["bf_emma"], saved[:, 0])
    config = json.loads((tmp_path / "rest" / "config.json").read_text(encoding="utf-8"))
    assert config["vocab"] == dict(VOCABULARY)
    assert KokoroConfig.of(config) == TINY


@pytest.mark.parametrize(("kind", "rtol", "steps"), [("float32", 0.0, 0.0), ("float16", 1e-3, 0.0), ("int8", 0.0, 0.51)])
def test_onnx_files(tmp_path: Path, kind: str, rtol: float, steps: float) -> None:
    source = tmp_path / "source"
    network = tiny_source(source)
    (source / "kokoro-v1_0.pth").unlink()
    write_onnx(source / f"kokoro.{kind}.onnx", network, kind)
    converted, _ = imported(source, tmp_path / "rest")
    assert converted.layout == "ONNX"
    assert_same(read_tensors(tmp_path / "rest" / "model.safetensors"), network, rtol, steps)


def test_voices_as_bare_numbers_and_all_in_one_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny_source(source, voices=())
    packs = write_packs(source, ["am_puck"], ending="bin")
    more = {"if_sara": np.ones((TINY.most_tokens - 2, 1, 2 * TINY.style_dim), np.float32)}
    with (source / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, **more)  # type: ignore[arg-type]
    _, facts = imported(source, tmp_path / "rest")
    found = read_tensors(tmp_path / "rest" / "voices.safetensors")
    assert found.keys() == {"am_puck", "if_sara"}
    torch.testing.assert_close(found["am_puck"], packs["am_puck"][:, 0])
    assert facts.languages == ("en", "it")


def test_which_file_is_read() -> None:
    names = [
        "onnx/model_q4.onnx",
        "onnx/model_quantized.onnx",
        "onnx/model_fp16.onnx",
        "onnx/model.onnx",
        "voices/af_heart.bin",
    ]
    assert weight_file(names) == "onnx/model.onnx"
    assert weight_file(names[:3]) == "onnx/model_fp16.onnx"
    assert weight_file([*names, "kokoro-v1_0.pth"]) == "kokoro-v1_0.pth"
    assert weight_file(names[:1]) is None
    assert IMPORTER.wanted(names, {"model_type": "style_text_to_speech_2"}) == ("onnx/model.onnx", "voices/af_heart.bin")
    assert IMPORTER.wanted(names, {"model_type": "whisper"}) is None
    assert IMPORTER.wanted(["model.onnx", "readme.md"], None) is None


def refused(source: Path, target: Path) -> str:
    with pytest.raises(UnusableSource) as caught:
        imported(source, target)
    return str(caught.value)


def test_what_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny_source(source)
    parts = torch.load(source / "kokoro-v1_0.pth")
    del parts["predictor"]["module.F0_proj.bias"]
    parts["decoder"]["module.extra"] = torch.zeros(1)
    torch.save(parts, source / "kokoro-v1_0.pth")
    message = refused(source, tmp_path / "rest")
    assert "kokoro-v1_0.pth" in message
    assert "missing predictor.pitch.out.bias" in message
    assert "unknown decoder.extra" in message


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny_source(source)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (source / "config.json").write_text(json.dumps({**config, "hidden_dim": 32}), encoding="utf-8")
    assert "has the shape" in refused(source, tmp_path / "rest")
    (source / "config.json").write_text(json.dumps({**config, "n_token": 100}), encoding="utf-8")
    message = refused(source, tmp_path / "again")
    assert "config.json: the network has no rows for these symbols" in message


def test_wrong_voices_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny_source(source, voices=())
    assert "no voices: give voices/*.pt" in refused(source, tmp_path / "a")
    write_packs(source, ["xx_who"])
    assert "'xx_who' is no name of a voice" in refused(source, tmp_path / "b")
    (source / "voices" / "xx_who.pt").rename(source / "voices" / "af_who.pt")
    torch.save(torch.zeros(7, 1, 16), source / "voices" / "af_who.pt")
    assert "af_who.pt (af_who) has the shape [7, 1, 16]; a voice of this network has 62 styles of 16 numbers" in refused(
        source, tmp_path / "c"
    )
    torch.save(torch.full((62, 1, 16), torch.nan), source / "voices" / "af_who.pt")
    assert "not finite" in refused(source, tmp_path / "d")


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("ran",)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    tiny_source(source)
    torch.save({"bert": Harmful()}, source / "kokoro-v1_0.pth")
    assert "is a pickle with more than weights" in refused(source, tmp_path / "a")
    assert capsys.readouterr().out == ""
    (source / "kokoro-v1_0.pth").write_bytes(b"short")
    assert "is damaged" in refused(source, tmp_path / "b") or "is a pickle" in refused(source, tmp_path / "c")
    torch.save({"weights": torch.zeros(1)}, source / "kokoro-v1_0.pth")
    assert "five parts" in refused(source, tmp_path / "d")


def test_damaged_onnx_files_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    network = tiny_source(source)
    (source / "kokoro-v1_0.pth").unlink()
    path = write_onnx(source / "kokoro.onnx", network, "int8")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "kokoro.onnx is no whole ONNX file" in refused(source, tmp_path / "a")
    file = OnnxFile()
    file.node("MatMul", "/somewhere/MatMul", ("x", file.constant("y", np.zeros((2, 2), np.float32))))
    file.write(path)
    assert "holds no weight of Kokoro" in refused(source, tmp_path / "b")


def test_what_does_not_load_is_not_installed(tmp_path: Path) -> None:
    tiny_source(tmp_path / "source")
    imported(tmp_path / "source", tmp_path / "rest")
    (tmp_path / "rest" / "voices.safetensors").write_bytes(b"")
    with pytest.raises(UnusableSource, match=r"voices\.safetensors"):
        IMPORTER.check(tmp_path / "rest")


def test_without_a_config_it_is_kokoro_82m(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny_source(source)
    (source / "config.json").unlink()
    message = refused(source, tmp_path / "rest")  # which these tiny weights are not
    assert "kokoro-v1_0.pth does not hold the weights of this Kokoro" in message

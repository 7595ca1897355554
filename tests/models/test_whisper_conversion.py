"""Checkpoints as others write them, through our layout at rest, against the libraries that wrote them."""

import json
import os
import pickle
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import WhisperForConditionalGeneration

from models.importing import Converted, UnusableSource
from models.weights import load_weights
from models.whisper.config import read_config
from models.whisper.conversion import published
from models.whisper.conversion.ctranslate2 import engine_files, read_model_bin
from models.whisper.conversion.importer import WhisperImporter
from models.whisper.conversion.vocabulary import LANGUAGES
from models.whisper.network import Whisper
from tests.models.outside_checkpoints import (
    TEXTS,
    copy_without,
    edit_json,
    ranks,
    small_whisper,
    tokenizer,
    write_ctranslate2,
    write_huggingface,
    write_openai,
    write_tiktoken,
)

FRAMES = 100


def convert(source: Path, folder: Path, *further: Path, installed: tuple[Path, ...] = ()) -> Converted:
    """As the store does it: recognised, converted, checked."""
    files = {path.name: path for path in (source.iterdir() if source.is_dir() else [source])}
    files |= {path.name: path for path in further}
    config = json.loads(files["config.json"].read_text()) if "config.json" in files else None
    importer = WhisperImporter()
    wanted = importer.wanted(files, config)
    assert wanted is not None, f"not recognised: {sorted(files)}"
    folder.mkdir()
    converted = importer.convert({name: files[name] for name in wanted}, folder, installed)
    importer.check(folder)
    assert all(path.suffix in (".json", ".safetensors") for path in folder.iterdir())
    return converted


def our_logits(folder: Path, tokens: Tensor, mel: Tensor) -> Tensor:
    """By our own network, in float32."""
    network = Whisper(read_config(folder)).eval()
    load_weights(folder / "model.safetensors", network)
    with torch.no_grad():
        logits: Tensor = network.decoder(tokens, network.encoder(mel.transpose(1, 2)))
    return logits


def their_logits(model: WhisperForConditionalGeneration, tokens: Tensor, mel: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(input_features=mel, decoder_input_ids=tokens).logits
    return logits


def reload(folder: Path) -> WhisperForConditionalGeneration:
    model: WhisperForConditionalGeneration = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model


def inputs(mel_bands: int = 80) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.tensor([[len(ranks()) + 1, 5, 300, 7]]), torch.randn(1, mel_bands, FRAMES)


def assert_same_text(folder: Path) -> None:
    ours, theirs = Tokenizer.from_file(str(folder / "tokenizer.json")), tokenizer()
    for text in TEXTS:
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == theirs.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids) == text
    assert ours.token_to_id("<|30.00|>") == theirs.get_vocab_size() - 1


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, ()),
        ({"max_shard_size": "40KB"}, ("model.safetensors",)),
    ],
)
def test_huggingface_whole_and_in_shards(tmp_path: Path, how: dict[str, str], expected: tuple[str, ...]) -> None:
    model = small_whisper()
    source = write_huggingface(tmp_path / "source", model, **how)
    assert (len(list(source.glob("*.safetensors"))) > 1) == bool(how)
    converted = convert(source, tmp_path / "rest")
    assert tuple(c.output for c in converted.conversions if c.output != "generation_config.json") == expected
    tokens, mel = inputs()
    torch.testing.assert_close(
        our_logits(tmp_path / "rest", tokens, mel), their_logits(model, tokens, mel), atol=1e-4, rtol=1e-4
    )
    assert_same_text(tmp_path / "rest")
    if not how:  # nothing to change in the weights, so they keep the hash that their publisher gives
        assert (tmp_path / "rest/model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_type_of_the_source_stays(tmp_path: Path, dtype: torch.dtype) -> None:
    model = small_whisper()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    write_huggingface(tmp_path / "source", model)
    convert(tmp_path / "source", tmp_path / "rest")
    assert {tensor.dtype for tensor in load_file(tmp_path / "rest/model.safetensors").values()} == {dtype}


def test_pickled_weights_and_a_copy_of_the_embedding_as_output_layer(tmp_path: Path) -> None:
    model = small_whisper(mel_bands=128, decoder_layers=1)
    source = write_huggingface(tmp_path / "source", model)
    (source / "model.safetensors").unlink()
    torch.save({**model.state_dict(), "proj_out.weight": model.proj_out.weight.data}, source / "pytorch_model.bin")
    convert(source, tmp_path / "rest")
    tokens, mel = inputs(128)
    torch.testing.assert_close(
        our_logits(tmp_path / "rest", tokens, mel), their_logits(model, tokens, mel), atol=1e-4, rtol=1e-4
    )
    torch.save({**model.state_dict(), "proj_out.weight": model.proj_out.weight.data + 1}, source / "pytorch_model.bin")
    with pytest.raises(UnusableSource, match=r"proj_out\.weight differs"):
        convert(source, tmp_path / "again")


def test_what_a_folder_lacks_is_completed_and_said(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "source", small_whisper())
    text = Tokenizer.from_file(str(source / "tokenizer.json"))
    model = json.loads(text.to_str())["model"]
    copy_without(source, tmp_path / "bare", "generation_config.json", "tokenizer.json")
    (tmp_path / "bare/vocab.json").write_text(json.dumps(model["vocab"]))
    (tmp_path / "bare/merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n")
    converted = convert(tmp_path / "bare", tmp_path / "rest")
    assert {c.output for c in converted.conversions} >= {"tokenizer.json"}
    assert_same_text(tmp_path / "rest")
    generation = json.loads((tmp_path / "rest/generation_config.json").read_text())
    end = len(ranks())
    assert generation["lang_to_id"]["<|en|>"] == end + 2
    assert len(generation["lang_to_id"]) == 99
    assert generation["no_timestamps_token_id"] == text.token_to_id("<|notimestamps|>") == end + 106
    assert json.loads((tmp_path / "rest/preprocessor_config.json").read_text())["feature_size"] == 80
    assert any("word times" in note for note in converted.notes)
    assert any("preprocessor_config.json" in note for note in converted.notes)


def test_what_a_folder_states_is_kept(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "source", small_whisper())
    edit_json(source / "generation_config.json", suppress_tokens=[], alignment_heads=[[1, 1]], is_multilingual=False)
    inner = {"feature_size": 80, "hop_length": 320, "n_fft": 512}
    (source / "processor_config.json").write_text(json.dumps({"feature_extractor": inner}))
    with pytest.raises(UnusableSource, match=r"preprocessor_config\.json: missing or not an integer: sampling_rate"):
        convert(source, tmp_path / "incomplete")
    (source / "processor_config.json").write_text(json.dumps({"feature_extractor": {**inner, "sampling_rate": 16_000}}))
    convert(source, tmp_path / "rest")
    generation = json.loads((tmp_path / "rest/generation_config.json").read_text())
    assert generation["suppress_tokens"] == []  # "all may be written", which is something else than not saying
    assert generation["alignment_heads"] == [[1, 1]]
    assert "lang_to_id" not in generation
    assert json.loads((tmp_path / "rest/preprocessor_config.json").read_text())["hop_length"] == 320
    assert WhisperImporter().check(tmp_path / "rest").languages == ("en",)


@pytest.mark.parametrize("quantization", ["float32", "float16"])
def test_ctranslate2_there_and_back(tmp_path: Path, quantization: str) -> None:
    model = small_whisper()
    source = write_ctranslate2(tmp_path / "source", model, quantization)
    converted = convert(source, tmp_path / "rest")
    assert converted.layout == "CTranslate2"
    stored = load_file(tmp_path / "rest/model.safetensors")
    for name, tensor in model.state_dict().items():
        if name != "proj_out.weight":
            assert torch.equal(stored[name], tensor.to(getattr(torch, quantization))), name
    files = engine_files(tmp_path / "rest", [(1, 0), (1, 1)])
    assert files["model.bin"] == (source / "model.bin").read_bytes()
    assert json.loads(files["vocabulary.json"]) == json.loads((source / "vocabulary.json").read_text())
    _, mel = inputs()
    features = ctranslate2.StorageView.from_array(mel.numpy())
    theirs = ctranslate2.models.Whisper(str(source), compute_type="float32")
    ours = ctranslate2.models.Whisper("made here", files=files, compute_type="float32")
    np.testing.assert_array_equal(np.array(ours.encode(features)), np.array(theirs.encode(features)))
    prompt = [[len(ranks()) + 1, len(ranks()) + 2, len(ranks()) + 102]]
    assert (
        ours.generate(features, prompt, max_length=16)[0].sequences_ids
        == theirs.generate(features, prompt, max_length=16)[0].sequences_ids
    )
    reloaded = reload(tmp_path / "rest")
    with torch.no_grad():
        states = reloaded.model.encoder(mel).last_hidden_state.numpy()
    np.testing.assert_allclose(np.array(theirs.encode(features)), states, atol=2e-4)


def test_quantised_ctranslate2_weights_are_what_its_engine_computes_with(tmp_path: Path) -> None:
    source = write_ctranslate2(tmp_path / "source", small_whisper(), "int8")
    convert(source, tmp_path / "rest")
    _, mel = inputs()
    features = ctranslate2.StorageView.from_array(mel.numpy())
    theirs = ctranslate2.models.Whisper(str(source), compute_type="float32")
    ours = ctranslate2.models.Whisper(
        "made here", files=engine_files(tmp_path / "rest", [(1, 0), (1, 1)]), compute_type="float32"
    )
    np.testing.assert_allclose(np.array(ours.encode(features)), np.array(theirs.encode(features)), atol=1e-5)


def test_ctranslate2_without_a_tokenizer_is_read_from_its_list_of_tokens(tmp_path: Path) -> None:
    source = write_ctranslate2(tmp_path / "source", small_whisper())
    copy_without(source, tmp_path / "bare", "tokenizer.json")
    convert(tmp_path / "bare", tmp_path / "rest")
    assert_same_text(tmp_path / "rest")
    (tmp_path / "bare/vocabulary.json").unlink()
    with pytest.raises(UnusableSource, match=r"vocabulary\.json"):
        convert(tmp_path / "bare", tmp_path / "again")


@pytest.mark.parametrize(("languages", "mel_bands", "decoder_layers"), [(99, 80, 2), (100, 128, 1)])
def test_openai(tmp_path: Path, languages: int, mel_bands: int, decoder_layers: int) -> None:
    model = small_whisper(languages, mel_bands, decoder_layers)
    path = write_openai(tmp_path / "tiny.pt", model)
    converted = convert(path, tmp_path / "rest", write_tiktoken(tmp_path / "multilingual.tiktoken"))
    assert converted.layout == "OpenAI"
    tokens, mel = inputs(mel_bands)
    halved = small_whisper(languages, mel_bands, decoder_layers)
    for parameter in halved.parameters():
        parameter.data = parameter.data.half().float()
    torch.testing.assert_close(
        our_logits(tmp_path / "rest", tokens, mel), their_logits(halved, tokens, mel), atol=1e-4, rtol=1e-4
    )
    reloaded = reload(tmp_path / "rest")
    torch.testing.assert_close(their_logits(reloaded, tokens, mel), their_logits(halved, tokens, mel))
    facts = WhisperImporter().check(tmp_path / "rest")
    assert set(facts.languages) == set(LANGUAGES[:languages])
    assert facts.parameters == sum(p.numel() for p in model.model.parameters())


def test_openai_without_a_vocabulary_takes_that_of_an_installed_model_or_says_what_to_give(tmp_path: Path) -> None:
    path = write_openai(tmp_path / "tiny.pt", small_whisper())
    with pytest.raises(UnusableSource, match=r"tiny\.pt has no vocabulary beside it.*\.tiktoken.*tokenizer\.json"):
        convert(path, tmp_path / "none")
    convert(path, tmp_path / "first", write_tiktoken(tmp_path / "multilingual.tiktoken"))
    converted = convert(path, tmp_path / "second", installed=(tmp_path / "first",))
    assert (tmp_path / "second/tokenizer.json").read_bytes() == (tmp_path / "first/tokenizer.json").read_bytes()
    assert any(str(tmp_path / "first") in note for note in converted.notes)


class Harm:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("harm-was-done",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.pt"
    if zipped:
        torch.save({"dims": Harm(), "model_state_dict": {}}, path)
    else:
        path.write_bytes(pickle.dumps({"dims": Harm()}))
    with pytest.raises(UnusableSource, match=r"tiny\.pt is (a pickle with more than weights|damaged)"):
        convert(path, tmp_path / "rest", write_tiktoken(tmp_path / "multilingual.tiktoken"))
    assert not (tmp_path / "harm-was-done").exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    bands = write_tiktoken(tmp_path / "multilingual.tiktoken")
    path = write_openai(tmp_path / "tiny.pt", small_whisper())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UnusableSource, match=r"tiny\.pt is damaged, cut off"):
        convert(path, tmp_path / "r1", bands)
    torch.save([1, 2], path)
    with pytest.raises(UnusableSource, match=r"tiny\.pt holds a list"):
        convert(path, tmp_path / "r2", bands)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UnusableSource, match=r"no 'dims' and 'model_state_dict'"):
        convert(path, tmp_path / "r3", bands)
    source = write_ctranslate2(tmp_path / "ct2", small_whisper())
    whole = (source / "model.bin").read_bytes()
    for place in (0, 3, 40, len(whole) // 2, len(whole) - 1):
        (source / "model.bin").write_bytes(whole[:place])
        with pytest.raises(UnusableSource, match=r"model\.bin"):
            read_model_bin(source / "model.bin")
    (source / "model.bin").write_bytes(whole.replace(b"WhisperSpec\0", b"MarianSpec_\0"))
    with pytest.raises(UnusableSource, match=r"is a MarianSpec_"):
        read_model_bin(source / "model.bin")
    folder = write_huggingface(tmp_path / "hf", small_whisper())
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    with pytest.raises(UnusableSource, match=r"model\.safetensors"):
        convert(folder, tmp_path / "r4")
    weights.write_bytes(whole)
    tensors = load_file(weights)
    tensors["model.encoder.conv3.weight"] = tensors.pop("model.encoder.conv2.weight")
    save_file(tensors, weights)
    with pytest.raises(UnusableSource, match=r"missing model\.encoder\.conv2\.weight, unknown model\.encoder\.conv3\.weight"):
        convert(folder, tmp_path / "r5")
    weights.write_bytes(whole)
    edit_json(folder / "config.json", d_model=16)
    with pytest.raises(UnusableSource, match=r"has the shape"):
        convert(folder, tmp_path / "r6")


def test_shards_that_are_missing_are_named(tmp_path: Path) -> None:
    source = write_huggingface(tmp_path / "source", small_whisper(), max_shard_size="40KB")
    shard = sorted(source.glob("model-0*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(UnusableSource, match=f"missing: {shard.name}"):
        convert(source, tmp_path / "rest")


def test_a_wrong_vocabulary_is_refused(tmp_path: Path) -> None:
    path = write_openai(tmp_path / "tiny.pt", small_whisper())
    table = write_tiktoken(tmp_path / "multilingual.tiktoken")
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-120]))
    with pytest.raises(UnusableSource, match=r"multilingual\.tiktoken has \d+ text tokens, which do not fit"):
        convert(path, tmp_path / "r1", table)
    table.write_text("\n".join([*lines[:5], "not base64!", *lines[6:]]))
    with pytest.raises(UnusableSource, match=r"multilingual\.tiktoken is no tiktoken vocabulary"):
        convert(path, tmp_path / "r2", table)


def test_published_facts_are_whole() -> None:
    names = published._facts()["checkpoints"]
    assert len(names) == 12
    for name, facts in names.items():
        _, vocabulary, channels, _, _, layers, heads = facts["shape"]
        assert (vocabulary == 51_864) == name.endswith(".en")
        assert channels == 64 * heads
        assert facts["alignment_heads"]
        assert all(layer < layers and head < heads for layer, head in facts["alignment_heads"])
    assert published._facts()["checkpoints"]["base"]["alignment_heads"][0] == [3, 1]


def test_a_checkpoint_is_known_by_hash_then_name_then_shape() -> None:
    facts = published._facts()["checkpoints"]

    def config(name: str) -> object:
        bands, vocabulary, channels, encoder_layers, encoder_heads, decoder_layers, decoder_heads = facts[name]["shape"]
        from models.whisper.config import WhisperConfig

        return WhisperConfig(
            vocabulary, bands, channels, encoder_layers, encoder_heads, 1, decoder_layers, decoder_heads, 1, 1500, 448
        )

    def known(name: str, sha256: str | None, stem: str) -> str | None:
        shape = config(name)
        return published.checkpoint_name(shape, sha256, stem)  # type: ignore[arg-type]

    assert known("large-v3-turbo", None, "mine") == "large-v3-turbo"
    assert known("large-v2", None, "mine") is None  # large-v1 has the same shape
    assert known("large-v2", None, "whisper-large-v2") == "large-v2"
    assert known("large-v2", facts["large-v1"]["sha256"], "large-v2") == "large-v1"

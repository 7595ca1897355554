"""Voices made from recordings beside the package's: which network speaks, and that neither disturbs the other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.conv_tts.config import ConvTtsConfig
from models.conv_tts.model import WEIGHTS
from models.conv_tts.network import ConvTts
from models.conv_tts.record import Timbre
from models.conv_tts.voices import read_file_voices, voices_record
from models.phones import PHONES
from models.registry import load_synthesizer
from models.speech import Phone, Synthesizer, Utterance
from models.weights import save_weights

SPOKEN = Utterance(phones=tuple(Phone(symbol) for symbol in ("_", "h", "ɛ", "l", "oʊ", ".")))
TINY = ConvTtsConfig(
    speakers=("v-1",), channels=16, expansion=16, attention_heads=1, encoder_blocks=1, attention_blocks=1,
    duration_blocks=1, pitch_blocks=1, decoder_blocks=1,
)  # fmt: skip


def trained_file(path: Path, voice_id: str = "v-1", name: str = "Ada") -> Path:
    torch.manual_seed(3)
    network = ConvTts(ConvTtsConfig(**{**{f: getattr(TINY, f) for f in TINY.__dataclass_fields__}, "speakers": (voice_id,)}))
    voice = Timbre(((voice_id, 1.0),)).to_voice(id=voice_id, name=name, locale="en-GB", gender="feminine")
    save_weights(path, network.state_dict(), {**voices_record([voice]), **network.config.to_metadata()}, dtype=torch.float16)
    return path


def spoken(model: Synthesizer, slots: list[int]) -> dict[int, np.ndarray]:
    audio: dict[int, list[np.ndarray]] = {slot: [] for slot in slots}
    while True:
        rows = model.step(slots)
        if not any(row.pcm.size for row in rows):
            return {slot: np.concatenate(pieces) for slot, pieces in audio.items()}
        for slot, row in zip(slots, rows, strict=True):
            audio[slot].append(row.pcm)


def test_a_file_adds_a_voice_and_every_network_speaks_as_it_does_alone(tmp_path: Path) -> None:
    file = trained_file(tmp_path / "ada.safetensors")
    alone, both = load_synthesizer("conv_tts", "cpu", 3), load_synthesizer("conv_tts", "cpu", 3, [file])
    assert [voice.name for voice in both.info.voices] == [*(voice.name for voice in alone.info.voices), "Ada"]
    marcus, ada = alone.info.voices[0], both.info.voices[-1]
    assert (ada.locale, ada.gender, Timbre.of(ada.record).network) == ("en-GB", "feminine", "ada")
    alone.admit(0, marcus)
    alone.feed(0, SPOKEN)
    for slot, voice in ((2, ada), (0, marcus), (1, ada)):
        both.admit(slot, voice)
        both.feed(slot, SPOKEN)
    audio = spoken(both, [1, 0, 2])
    assert np.array_equal(audio[0], spoken(alone, [0])[0])
    assert np.array_equal(audio[1], audio[2])
    assert audio[1].size
    assert not np.array_equal(audio[1][: audio[0].size], audio[0][: audio[1].size])


def test_slots_are_free_again_after_release_and_belong_to_one_stream(tmp_path: Path) -> None:
    model = load_synthesizer("conv_tts", "cpu", 1, [trained_file(tmp_path / "ada.safetensors")])
    marcus, ada = model.info.voices[0], model.info.voices[-1]
    model.admit(0, marcus)
    with pytest.raises(ValueError, match="slot 0 is in use"):
        model.admit(0, ada)
    model.release(0)
    model.admit(0, ada)
    model.release(0)


def test_a_voice_whose_file_is_gone_is_refused(tmp_path: Path) -> None:
    model = load_synthesizer("conv_tts", "cpu", 1, [trained_file(tmp_path / "ada.safetensors")])
    (gone,) = read_file_voices(trained_file(tmp_path / "bob.safetensors", "v-2", "Bob"))
    with pytest.raises(ValueError, match="'Bob' belongs to a network that is not installed"):
        model.admit(0, gone)


def test_the_same_voice_twice_and_a_file_without_a_voice_are_refused(tmp_path: Path) -> None:
    file = trained_file(tmp_path / "ada.safetensors")
    with pytest.raises(ValueError, match=r"again\.safetensors holds the same voice"):
        load_synthesizer("conv_tts", "cpu", 1, [file, trained_file(tmp_path / "again.safetensors")])
    package = Path(__file__).parents[2] / "models" / "conv_tts" / "weights" / WEIGHTS
    with pytest.raises(ValueError, match="names no voice"):
        load_synthesizer("conv_tts", "cpu", 1, [package])


def test_the_package_speaks_several_languages_and_the_other_network_is_small() -> None:
    info = load_synthesizer("conv_tts", "cpu", 1).info
    assert info.languages == ("de", "en", "es", "fr", "it")
    assert info.voices[0].tongue == "en"
    others = [voice for voice in info.voices if Timbre.of(voice.record).network]
    assert {(voice.tongue, voice.locale) for voice in others} == {
        ("de", "de-DE"), ("en-GB", "en-GB"), ("es", "es-ES"), ("fr", "fr-FR"), ("it", "it-IT"),
    }  # fmt: skip
    assert {(voice.tongue, voice.gender) for voice in others} == {
        (voice.tongue, gender) for voice in others for gender in ("masculine", "feminine")
    }
    weights = Path(__file__).parents[2] / "models" / "conv_tts" / "weights" / "voice-multi.safetensors"
    assert weights.stat().st_size < 20e6


def test_a_network_of_another_language_has_more_phones_and_names_its_voices(tmp_path: Path) -> None:
    torch.manual_seed(3)
    fields = {field: getattr(TINY, field) for field in TINY.__dataclass_fields__}
    network = ConvTts(ConvTtsConfig(**fields | {"speakers": ("de-m", "de-f"), "phones": len(PHONES)}))
    german = {"language": "de", "locale": "de-DE"}
    lukas = Timbre((("de-m", 1.0),)).to_voice(id="v-m", name="Lukas", **german)
    between = Timbre((("de-m", 0.5), ("de-f", 0.5)))
    file = tmp_path / "voice-other.safetensors"
    save_weights(
        file,
        network.state_dict(),
        {**voices_record([lukas, between.to_voice(id="v-n", name="Kim", **german)]), **network.config.to_metadata()},
    )
    model = load_synthesizer("conv_tts", "cpu", 2, [file])
    assert model.info.languages[:2] == ("de", "en")
    kim = next(voice for voice in model.info.voices if voice.name == "Kim")
    assert Timbre.of(kim.record) == replace(between, network="voice-other")
    grün = Utterance(phones=tuple(Phone(symbol) for symbol in ("_", "ɡ", "ʁ", "y", "n", ".")))
    model.admit(0, kim)
    model.feed(0, grün)
    assert spoken(model, [0])[0].size
    model.admit(1, model.info.voices[0])
    with pytest.raises(ValueError, match="'ʁ' is not a phone"):
        model.feed(1, grün)

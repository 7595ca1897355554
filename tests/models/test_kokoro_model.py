"""The family behind the contract, with tiny random weights."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models import speaking
from models.kokoro.config import FRAME_SAMPLES, SAMPLE_RATE_HZ
from models.kokoro.conversion.importer import KokoroImporter
from models.kokoro.convs import use_bfloat16
from models.kokoro.loading import load
from models.kokoro.model import KokoroSynthesizer
from models.kokoro.record import Styles
from models.kokoro.vocabulary import VOCABULARY
from models.registry import load_synthesizer, load_voice_makers
from models.speaking import audio_of, say, say_together
from models.speech import Generation, Phone, Utterance
from models.voices import EMBEDDING_SIZE, Voice
from models.weights import WeightsError
from tests.models.kokoro_checkpoints import tiny_source
from tests.models.kokoro_networks import TINY, tiny_network

PACKS = ("af_heart", "am_santa", "bf_emma", "em_santa", "ff_siwis", "jf_alpha")
SEEDED = Generation(seed=5)


def synthesizer(max_slots: int = 4) -> KokoroSynthesizer:
    torch.manual_seed(11)
    packs = {name: torch.randn(TINY.most_tokens - 2, 2 * TINY.style_dim) for name in PACKS}
    return KokoroSynthesizer(tiny_network(), VOCABULARY, packs, "cpu", max_slots)


@pytest.fixture(scope="module")
def model() -> KokoroSynthesizer:
    return synthesizer()


def word(symbols: str, number: int = 0, **controls: float) -> tuple[Phone, ...]:
    return tuple(
        Phone(symbol, int(symbol in "aiu"), number, starts_word=place == 0, **controls) for place, symbol in enumerate(symbols)
    )


HELLO = Utterance(phones=(*word("mali"), *word("tu", 1), Phone(".")))
MORE = Utterance(phones=(*word("kani"), Phone(","), *word("sula", 1), Phone("?")))


def heart(model: KokoroSynthesizer) -> Voice:
    return model.info.voices[0]


def test_voices_have_names_genders_and_locales(model: KokoroSynthesizer) -> None:
    shown = [(voice.id, voice.name, voice.gender, voice.locale, voice.tongue) for voice in model.info.voices]
    assert shown == [
        ("af_heart", "Heart", "feminine", "en-US", "en"),
        ("am_santa", "Santa (American English)", "masculine", "en-US", "en"),
        ("bf_emma", "Emma", "feminine", "en-GB", "en-GB"),
        ("em_santa", "Santa (Spanish)", "masculine", "es-ES", "es"),
        ("ff_siwis", "Siwis", "feminine", "fr-FR", "fr"),
    ]
    assert model.info.languages == ("en", "es", "fr")
    assert model.info.reads == "phones"
    assert model.info.times == "phones"


def test_an_utterance_comes_whole_with_times_on_the_grid(model: KokoroSynthesizer) -> None:
    steps = say(model, heart(model), [HELLO], SEEDED)
    assert [step.utterances_ended for step in steps] == [0] * (len(steps) - 1) + [1]
    assert all(not len(step.pcm) and step.times is None for step in steps[:-1])
    pcm, times = steps[-1].pcm, steps[-1].times
    assert pcm.dtype == np.float32
    assert np.isfinite(pcm).all()
    assert times is not None
    assert len(times) == len(HELLO.phones)
    assert times[-1].end_samples == len(pcm)
    for before, after in pairwise(times):
        assert before.end_samples == after.start_samples
        assert before.end_samples > before.start_samples
    assert all(span.start_samples % (FRAME_SAMPLES // 2) == 0 for span in times)


def test_times_go_on_from_utterance_to_utterance(model: KokoroSynthesizer) -> None:
    steps = say(model, heart(model), [HELLO, MORE], SEEDED)
    first, second = (step for step in steps if step.utterances_ended)
    assert first.times is not None
    assert second.times is not None
    assert first.times[-1].end_samples == len(first.pcm)
    assert second.times[0].start_samples > len(first.pcm)
    assert second.times[-1].end_samples == len(first.pcm) + len(second.pcm)


def test_the_same_seed_gives_the_same_samples_alone_or_among_others(model: KokoroSynthesizer) -> None:
    voice, other = heart(model), model.info.voices[3]
    alone = audio_of(say(model, voice, [HELLO, MORE], SEEDED))
    assert np.array_equal(alone, audio_of(say(model, voice, [HELLO, MORE], SEEDED)))
    assert not np.array_equal(alone, audio_of(say(model, voice, [HELLO, MORE], Generation(seed=6))))
    for slots in ((0, 1, 2), (2, 0, 1)):
        heard: dict[int, list[np.ndarray]] = {slot: [] for slot in slots}
        left = dict.fromkeys(slots, 2)
        for slot, (own, said) in zip(
            slots, ((voice, [HELLO, MORE]), (other, [MORE, MORE]), (voice, [HELLO, HELLO])), strict=True
        ):
            model.admit(slot, own, SEEDED)
            for utterance in said:
                model.feed(slot, utterance)
        while any(left.values()):
            active = [slot for slot in slots if left[slot]]
            for slot, frames in zip(active, model.step(active), strict=True):
                heard[slot].append(frames.pcm)
                left[slot] -= frames.utterances_ended
        for slot in slots:
            model.release(slot)
        assert np.array_equal(np.concatenate(heard[slots[0]]), alone)


@pytest.mark.parametrize("pause_ms", [0.0, 3.0, 40.0, 137.5, 900.0])
def test_pauses_are_exact(model: KokoroSynthesizer, pause_ms: float) -> None:
    phones = (*word("mali"), Phone(",", duration_ms=pause_ms), *word("tu", 1), Phone("_", duration_ms=pause_ms))
    (said,) = (step for step in say(model, heart(model), [Utterance(phones=phones)], SEEDED) if step.utterances_ended)
    assert said.times is not None
    wanted = round(pause_ms * SAMPLE_RATE_HZ / 1000)
    for place in (4, 7):
        assert said.times[place].end_samples - said.times[place].start_samples == wanted
    assert said.times[-1].end_samples == len(said.pcm)
    if pause_ms == 900.0:
        middle = (said.times[4].start_samples + said.times[4].end_samples) // 2
        assert not said.pcm[middle - 4000 : middle + 4000].any()


def test_a_pause_before_the_first_word_is_silent(model: KokoroSynthesizer) -> None:
    plain = audio_of(say(model, heart(model), [HELLO], SEEDED))
    led = Utterance(phones=(Phone("_", duration_ms=50.0), *HELLO.phones))
    (said,) = (step for step in say(model, heart(model), [led], SEEDED) if step.utterances_ended)
    assert said.times is not None
    assert (said.times[0].start_samples, said.times[0].end_samples) == (0, 1200)
    assert not said.pcm[:1200].any()
    assert np.array_equal(said.pcm[1200:], plain)


def test_pauses_alone_and_nothing_at_all(model: KokoroSynthesizer) -> None:
    break_only = Utterance(phones=(Phone("_", duration_ms=250.0),))
    steps = say(model, heart(model), [break_only, Utterance(), HELLO], SEEDED)
    ended = [step for step in steps if step.utterances_ended]
    assert [len(step.pcm) for step in ended[:2]] == [6000, 0]
    assert ended[1].times == ()
    assert len(ended[2].pcm) > 0


def test_speed_shortens_and_volume_scales(model: KokoroSynthesizer) -> None:
    def said(**controls: float) -> np.ndarray:
        phones = (*word("malitunika" * 3, **controls), Phone(".", **controls))  # type: ignore[arg-type]
        return audio_of(say(model, heart(model), [Utterance(phones=phones)], SEEDED))

    plain = said()
    assert len(said(speed=2.0)) < 0.75 * len(plain)
    assert len(said(speed=0.5)) > 1.5 * len(plain)
    np.testing.assert_allclose(said(volume=0.5), 0.5 * plain, atol=1e-6)


def test_volume_moves_without_a_step(model: KokoroSynthesizer) -> None:
    quiet = tuple(replace(phone, volume=0.5) for phone in HELLO.phones[4:])
    plain = audio_of(say(model, heart(model), [HELLO], SEEDED))
    (said,) = (s for s in say(model, heart(model), [Utterance(phones=(*HELLO.phones[:4], *quiet))], SEEDED) if s.times)
    assert said.times is not None
    edge = said.times[4].start_samples
    np.testing.assert_allclose(said.pcm[: edge - 240], plain[: edge - 240], atol=1e-6)
    np.testing.assert_allclose(said.pcm[edge + 240 :], 0.5 * plain[edge + 240 :], atol=1e-6)


def test_pitch_is_heard_by_the_vocoder(model: KokoroSynthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    pitches: list[torch.Tensor] = []
    sounding = model._network.sounding

    def noted(melody, style, noise):  # type: ignore[no-untyped-def]
        pitches.append(melody.pitch_hz)
        return sounding(melody, style, noise)

    monkeypatch.setattr(model._network, "sounding", noted)
    for controls in ({}, {"pitch_semitones": 12.0}, {"pitch_range": 0.0}):
        phones = tuple(replace(phone, **controls) for phone in HELLO.phones)  # type: ignore[arg-type]
        say(model, heart(model), [Utterance(phones=phones)], SEEDED)
    plain, high, flat = pitches
    torch.testing.assert_close(high, 2 * plain)
    assert float(flat.std()) < 1e-3 < float(plain.std())


def test_joins_do_not_click(model: KokoroSynthesizer) -> None:
    parts = [step.pcm for step in say(model, heart(model), [HELLO, MORE, HELLO], SEEDED) if len(step.pcm)]
    assert len(parts) == 3
    for pcm in parts:
        assert abs(pcm[0]) < 0.01 * np.abs(pcm).max()
        assert abs(pcm[-1]) < 0.01 * np.abs(pcm).max()


def test_what_is_too_long_for_the_network_is_split(model: KokoroSynthesizer) -> None:
    phones = (*(phone for number in range(12) for phone in word("malituni", number)), Phone("."))
    (said,) = (step for step in say(model, heart(model), [Utterance(phones=phones)], SEEDED) if step.utterances_ended)
    assert said.times is not None
    assert len(said.times) == len(phones)
    assert all(span.end_samples > span.start_samples for span in said.times)
    assert said.times[-1].end_samples == len(said.pcm)


@pytest.mark.parametrize(
    ("phone", "message"),
    [
        (Phone("q"), "is not a phone"),
        (Phone("a", stress=3), "stress 3"),
        (Phone("a", speed=0.0), "speed 0"),
        (Phone("_", duration_ms=1e6), "1e"),
        (Phone("a", volume=float("nan")), "must be finite"),
    ],
)
def test_what_cannot_be_spoken_is_refused(model: KokoroSynthesizer, phone: Phone, message: str) -> None:
    model.admit(3, heart(model))
    try:
        with pytest.raises(ValueError, match=message):
            model.feed(3, Utterance(phones=(phone,)))
    finally:
        model.release(3)


def test_slots_and_voices_are_checked(model: KokoroSynthesizer) -> None:
    with pytest.raises(ValueError, match=r"slot 4 is not in 0\.\.3"):
        model.admit(4, heart(model))
    stranger = replace(heart(model), record={"packs": [["zz_top", 1.0]]})
    with pytest.raises(ValueError, match=r"made of zz_top; installed are af_heart"):
        model.admit(0, stranger)
    with pytest.raises(ValueError, match="do not add up"):
        model.admit(0, replace(heart(model), record={"packs": [["af_heart", 0.5]]}))
    few = KokoroSynthesizer(tiny_network(), {"a": 43}, model._packs, "cpu", 1)
    few.admit(0, heart(few))
    with pytest.raises(ValueError, match="no symbols for 'ʁ'"):
        few.feed(0, Utterance(phones=(Phone("ʁ"),)))


def test_mixtures_lie_between(model: KokoroSynthesizer) -> None:
    (maker,) = load_voice_makers(model.info.voices).values()
    heart_voice, santa = model.info.voices[:2]
    mixed = replace(heart_voice, record=maker.mix([(heart_voice, 0.75), (santa, 0.25)]))
    assert Styles.of(mixed.record).packs == (("af_heart", 0.75), ("am_santa", 0.25))
    model.admit(0, mixed)
    torch.testing.assert_close(model._slots[0].styles, 0.75 * model._packs["af_heart"] + 0.25 * model._packs["am_santa"])
    model.release(0)
    assert maker.knows(mixed)
    assert not maker.knows(replace(mixed, record={"packs": [["zz_top", 1.0]]}))
    assert len(audio_of(say(model, mixed, [HELLO], SEEDED))) > 0


def test_voices_as_numbers(model: KokoroSynthesizer) -> None:
    (maker,) = load_voice_makers(model.info.voices).values()
    emma, santa = model.info.voices[2], model.info.voices[1]
    numbers = maker.embed(emma)
    assert numbers is not None
    assert len(numbers) == EMBEDDING_SIZE
    back = maker.from_embedding(numbers)
    assert back is not None
    assert (back.record, back.locale, back.tongue) == (emma.record, "en-GB", "en-GB")
    other = maker.embed(santa)
    assert other is not None
    between = maker.from_embedding([0.25 * a + 0.75 * b for a, b in zip(numbers, other, strict=True)])
    assert between is not None
    assert dict(Styles.of(between.record).packs) == pytest.approx({"am_santa": 0.75, "bf_emma": 0.25})
    assert maker.from_embedding([0.0] * EMBEDDING_SIZE) is None
    assert maker.from_embedding([*numbers[:4], *[0.7] * 2, *[0.0] * (EMBEDDING_SIZE - 6)]) is None


def test_an_installed_folder_speaks(tmp_path: Path) -> None:
    tiny_source(tmp_path / "source")
    files = {
        path.relative_to(tmp_path / "source").as_posix(): path for path in (tmp_path / "source").rglob("*") if path.is_file()
    }
    (tmp_path / "rest").mkdir()
    KokoroImporter().convert(files, tmp_path / "rest", [])
    model = load_synthesizer("kokoro", "cpu", 2, folder=tmp_path / "rest")
    assert [voice.id for voice in model.info.voices] == ["af_heart", "bf_emma", "ff_siwis"]
    first, second = say_together(model, [(voice, [HELLO]) for voice in model.info.voices[:2]])
    assert len(first)
    assert len(second)
    assert speaking.say(model, model.info.voices[2], [HELLO])[-1].utterances_ended == 1
    config = json.loads((tmp_path / "rest" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "rest" / "config.json").write_text(json.dumps({**config, "vocab": {}}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"config\.json has no vocabulary"):
        load("cpu", 1, folder=tmp_path / "rest")


def test_there_is_none_in_the_package() -> None:
    with pytest.raises(WeightsError, match="descant models import PATH --name kokoro"):
        load("cpu", 1)


def test_bfloat16_is_for_convolutions_and_close() -> None:
    torch.manual_seed(0)
    network = tiny_network()
    packs = {"af_heart": torch.randn(TINY.most_tokens - 2, 2 * TINY.style_dim)}
    exact = KokoroSynthesizer(network, VOCABULARY, packs, "cpu", 1)
    wanted = audio_of(say(exact, exact.info.voices[0], [HELLO], SEEDED))
    use_bfloat16(network.decoder, network.vocoder)
    network.vocoder.out.float()
    assert network.vocoder.ups[0].weight.dtype == torch.bfloat16
    assert network.predictor.pitch.out.weight.dtype == torch.float32
    found = audio_of(say(exact, exact.info.voices[0], [HELLO], SEEDED))
    assert len(found) == len(wanted)
    assert 20 * np.log10(np.std(found - wanted) / np.std(wanted)) < -15

"""A voice's character: what it does to frames, and what can be measured in the sound."""

import math

import numpy as np
import pytest
import torch

from models.audio import Pcm
from models.conv_tts import model as conv_tts
from models.conv_tts.character import Shape, Shapes, apply_shapes, warp_matrix
from models.conv_tts.cloning import speak_together
from models.conv_tts.profile import CLIP_RATE_HZ, OFFSET_ORDER, equalise, measure, spectral_difference
from models.conv_tts.record import Character, Timbre
from models.conv_tts.vocoder import warped_angle
from models.speech import Phone, Utterance

ORDER = 40
TEXT = "_ w i w ɚ oʊ l m oʊ s t w aɪ l d w ɪ ð dʒ ɔɪ æ n d ɹ æ n ə l ɔ ŋ ð ə ɹ ɪ v ɚ ."
MEAN = torch.linspace(-1, 1, ORDER)
PLAIN = Character()


def spectrum_of(cepstrum: np.ndarray, hz: np.ndarray) -> np.ndarray:
    angle = np.asarray(warped_angle(torch.from_numpy(np.asarray(hz, np.float64))).numpy())
    return np.asarray(cepstrum @ np.cos(np.arange(len(cepstrum))[:, None] * angle))


def shape(**fields: object) -> Shape:
    return Shape.of(Character(**fields), MEAN)  # type: ignore[arg-type]


@pytest.mark.parametrize("log_factor", [-0.2, -0.05, 0.1, 0.25])
@pytest.mark.parametrize("peak_hz", [600.0, 1500.0, 3000.0])
def test_warp_moves_resonances(log_factor: float, peak_hz: float) -> None:
    hz = np.linspace(100, 8000, 2000)
    angle = np.asarray(warped_angle(torch.tensor([peak_hz], dtype=torch.float64)).numpy())
    bump = np.exp(-0.002 * np.arange(ORDER) ** 2) * np.cos(np.arange(ORDER) * angle)
    moved = bump @ warp_matrix(log_factor, ORDER)
    assert hz[spectrum_of(bump, hz).argmax()] == pytest.approx(peak_hz, rel=0.03)
    assert hz[spectrum_of(moved, hz).argmax()] == pytest.approx(peak_hz * math.exp(log_factor), rel=0.03)


def test_no_warp_is_the_identity() -> None:
    np.testing.assert_allclose(warp_matrix(0.0, ORDER), np.eye(ORDER), atol=1e-9)


def test_rows_without_a_character_stay_bit_for_bit() -> None:
    torch.manual_seed(1)
    cepstrum, voicing = torch.randn(3, 7, ORDER), torch.rand(3, 7, 5)
    shapes = [shape(), shape(log_formants=0.1, voicing_logit=-1.0, cepstrum=(0.5, -0.2)), shape(log_f0=0.3, log_rate=0.1)]
    moved, breathier = apply_shapes(cepstrum, voicing, Shapes.stacked(shapes))
    for row in (0, 2):
        assert torch.equal(moved[row], cepstrum[row])
        assert torch.equal(breathier[row], voicing[row])
    assert not torch.allclose(moved[1], cepstrum[1])
    assert (breathier[1] < voicing[1]).all()
    alone, _ = apply_shapes(cepstrum[1:2], voicing[1:2], Shapes.stacked(shapes[1:2]))
    torch.testing.assert_close(alone[0], moved[1])


def test_a_character_longer_than_the_spectrum_is_refused() -> None:
    for character, size in ((Character(cepstrum=(0.0,) * 41), 41), (Character(cepstrum_movement=(0.1,) * 820), 41)):
        with pytest.raises(ValueError, match=f"{size} cepstral coefficients"):
            Shape.of(character, MEAN)


def test_movement_is_around_the_mean_and_spares_the_level() -> None:
    torch.manual_seed(1)
    cepstrum, voicing = MEAN + torch.randn(1, 400, ORDER), torch.rand(1, 400, 5)
    moved, _ = apply_shapes(cepstrum, voicing, Shapes.stacked([shape(cepstrum_movement=(0.5, 0.2, -0.3))]))
    change = moved - MEAN
    torch.testing.assert_close(change[..., 1], 1.5 * (cepstrum - MEAN)[..., 1] + 0.2 * (cepstrum - MEAN)[..., 2])
    torch.testing.assert_close(change[..., 2], 0.7 * (cepstrum - MEAN)[..., 2] + 0.2 * (cepstrum - MEAN)[..., 1])
    for still in (0, 3, ORDER - 1):
        torch.testing.assert_close(moved[..., still], cepstrum[..., still])


def test_mixture_of_characters_is_linear() -> None:
    mixed = Character.mixed([(Character(0.2, cepstrum=(1.0, 2.0)), 0.25), (Character(log_rate=0.4, cepstrum=(1.0,)), 0.75)])
    assert mixed.log_f0 == pytest.approx(0.05)
    assert mixed.log_rate == pytest.approx(0.3)
    assert mixed.cepstrum == pytest.approx((1.0, 0.5))
    moving = Character.mixed([(Character(cepstrum_movement=(0.4, 0.1, 0.2)), 0.5), (Character(cepstrum_movement=(0.2,)), 0.5)])
    assert moving.cepstrum_movement == pytest.approx((0.3, 0.05, 0.1))


@pytest.fixture(scope="module")
def spoken() -> dict[str, Pcm]:
    """One sentence by one speaker with one thing at a time changed."""
    torch.set_num_threads(1)
    characters = {
        "plain": PLAIN,
        "high": Character(log_f0=math.log(1.3)),
        "flat": Character(log_pitch_spread=math.log(0.5)),
        "small": Character(log_formants=0.15),
        "breathy": Character(voicing_logit=-2.0),
        "slow": Character(log_rate=-0.2),
        "dull": Character(cepstrum=(0.0, 0.5)),
    }
    synthesizer = conv_tts.load("cpu", len(characters))
    segment = Utterance(phones=tuple(Phone(symbol, 1) for symbol in TEXT.split()))
    voices = [Timbre((("slt", 1.0),), character).to_voice() for character in characters.values()]
    return dict(zip(characters, speak_together(synthesizer, [(voice, [segment]) for voice in voices]), strict=True))


def test_pitch_rate_and_breath_can_be_measured(spoken: dict[str, Pcm]) -> None:
    plain, high, flat, breathy = (measure(spoken[name]) for name in ("plain", "high", "flat", "breathy"))
    assert high.f0_hz / plain.f0_hz == pytest.approx(1.3, rel=0.02)
    assert flat.log_f0_spread / plain.log_f0_spread == pytest.approx(0.5, rel=0.2)
    assert flat.f0_hz == pytest.approx(plain.f0_hz, rel=0.05)
    assert breathy.voicing_logit < plain.voicing_logit - 0.5
    assert len(spoken["slow"]) / len(spoken["plain"]) == pytest.approx(math.exp(0.2), rel=0.03)


def test_a_shorter_tract_moves_the_spectrum_up(spoken: dict[str, Pcm]) -> None:
    """The long-term spectrum of the small one is that of the plain one on a stretched axis."""
    hz = np.fft.rfftfreq(2048, 1 / CLIP_RATE_HZ)

    def level(pcm: Pcm) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(pcm, 2048)[::256] * np.hanning(2048)
        power = np.square(np.abs(np.fft.rfft(frames))).mean(0)
        return np.asarray(np.convolve(np.log(power + 1e-9), np.ones(25) / 25, "same"))

    plain, small = level(spoken["plain"]), level(spoken["small"])
    band = (hz > 600) & (hz < 5500)
    distance = {
        factor: float(np.abs(np.interp(hz * math.exp(-factor), hz, plain) - small)[band].mean())
        for factor in (-0.15, 0.0, 0.15, 0.3)
    }
    assert min(distance, key=lambda factor: distance[factor]) == 0.15


def test_what_is_measured_between_two_spectra_turns_one_into_the_other(spoken: dict[str, Pcm]) -> None:
    plain, dull = measure(spoken["plain"]), measure(spoken["dull"])
    difference = spectral_difference(dull, plain)
    assert difference.shape == (OFFSET_ORDER,)
    assert difference[1] == pytest.approx(0.5, abs=0.1)
    assert np.abs(difference[2:]).max() < 0.15
    equalised = measure(equalise(spoken["plain"], difference))
    certain = dull.certainty > 0.9
    assert np.abs(equalised.voiced_spectrum - dull.voiced_spectrum)[certain].mean() < 0.1


def test_the_level_is_of_speech_not_of_pauses(spoken: dict[str, Pcm]) -> None:
    plain = spoken["plain"]
    padded = np.concatenate([np.zeros(CLIP_RATE_HZ, np.float32), plain])
    assert measure(padded).active_level_db == pytest.approx(measure(plain).active_level_db, abs=0.2)
    with pytest.raises(ValueError, match="voiced"):
        measure(np.zeros(CLIP_RATE_HZ, np.float32))

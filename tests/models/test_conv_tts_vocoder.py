"""The vocoder and the rounding of durations, against what the mathematics says."""

import math

import numpy as np
import pytest
import torch

from models.conv_tts.config import BAND_CENTRES_HZ, HOP_SAMPLES, PAUSE_STRETCH, SAMPLE_RATE_HZ
from models.conv_tts.timing import lay_out, shortened
from models.conv_tts.vocoder import FFT_SAMPLES, Vocoder, warped_angle
from models.speech import Phone

ORDER = 16
BANDS = len(BAND_CENTRES_HZ)


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    torch.set_num_threads(1)
    return Vocoder(ORDER)


def synthesise(vocoder: Vocoder, cepstrum: list[float], voicing: float, f0_hz: float, frames: int) -> np.ndarray:
    """A steady sound."""
    coefficients = torch.zeros(1, frames, ORDER)
    coefficients[..., : len(cepstrum)] = torch.tensor(cepstrum)
    samples, _ = vocoder(
        coefficients,
        torch.full((1, frames, BANDS), voicing),
        torch.full((1, frames), f0_hz),
        vocoder.init_state(1),
    )
    return np.asarray(samples[0].numpy())


def level_db(pcm: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Power per Hz between two frequencies."""
    spectrum = np.square(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))))
    bins_hz = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ)
    return float(10 * np.log10(spectrum[(bins_hz >= low_hz) & (bins_hz < high_hz)].mean()))


@pytest.mark.parametrize("voicing", [0.0, 1.0])
def test_the_first_coefficient_is_the_log_amplitude(vocoder: Vocoder, voicing: float) -> None:
    # Below 7 kHz all power is pulses or all is noise; each has unit power at log amplitude 0.
    loud, soft = (synthesise(vocoder, [value], voicing, 125.0, 400) for value in (-1.0, -2.0))
    np.testing.assert_allclose(loud, soft * math.e, atol=1e-4)
    # Whole periods only: 125 Hz is 192 samples.
    assert np.square(loud[2400:21600]).mean() == pytest.approx(math.exp(-2), rel=0.12)


def test_pulses_are_a_harmonic_series_at_f0(vocoder: Vocoder) -> None:
    pcm = synthesise(vocoder, [-2.0], 1.0, 187.5, 400)[4800:43200]
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    bins_hz = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ)
    for harmonic in range(1, 30):
        near = np.abs(bins_hz - 187.5 * harmonic) < 60
        assert bins_hz[near][np.argmax(spectrum[near])] == pytest.approx(187.5 * harmonic, abs=1.0)
        between = np.abs(bins_hz - 187.5 * (harmonic + 0.5)) < 20
        assert 20 * np.log10(spectrum[near].max() / spectrum[between].max()) > 50


def test_no_pulses_above_nine_kilohertz(vocoder: Vocoder) -> None:
    pcm = synthesise(vocoder, [-2.0], 1.0, 187.5, 400)[4800:43200]
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    bins_hz = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ)
    top = spectrum[(bins_hz > 9200) & (bins_hz < 11_800)]
    assert top.max() < 8 * np.sqrt(np.square(top).mean())  # no lines stand out of the noise


def test_the_spectrum_follows_the_cepstrum(vocoder: Vocoder) -> None:
    cepstrum = [-2.0, 0.8, -0.3, 0.4]
    pcm = synthesise(vocoder, cepstrum, 0.0, 100.0, 2000)
    for low_hz in (300, 1000, 2000, 4000, 8000, 11_000):
        angle = warped_angle(torch.tensor([low_hz + 50.0]))
        expected = sum(c * math.cos(k * angle.item()) for k, c in enumerate(cepstrum))
        reference = level_db(synthesise(vocoder, [0.0], 0.0, 100.0, 2000), low_hz, low_hz + 100)
        assert level_db(pcm, low_hz, low_hz + 100) - reference == pytest.approx(expected * 20 / math.log(10), abs=0.4)


def test_a_filter_has_no_sound_before_its_pulse(vocoder: Vocoder) -> None:
    pcm = synthesise(vocoder, [0.0, 2.5, -0.7, 0.5], 1.0, 50.0, 40)
    struck = int(np.argmax(np.abs(pcm[:900])))
    before = np.square(pcm[: struck - 40]).sum()
    assert before < 1e-3 * np.square(pcm[: struck + 400]).sum()


def test_rows_with_fewer_frames_stop_where_they_end(vocoder: Vocoder) -> None:
    torch.manual_seed(0)
    frames, lengths = 9, [9, 4, 0]
    cepstrum = torch.randn(3, frames, ORDER) * 0.2
    voicing, f0_hz = torch.rand(3, frames, BANDS), 80 + 80 * torch.rand(3, frames)
    _, state = vocoder(cepstrum, voicing, f0_hz, vocoder.init_state(3))
    samples, stepped = vocoder(cepstrum, voicing, f0_hz, state, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        own = type(state)(*(tensor[row : row + 1] for tensor in state))
        assert not samples[row, length * HOP_SAMPLES :].any()
        if length == 0:
            for kept, old in zip(stepped, state, strict=True):
                assert torch.equal(kept[row], old[row])
            continue
        alone, alone_state = vocoder(
            cepstrum[row : row + 1, :length], voicing[row : row + 1, :length], f0_hz[row : row + 1, :length], own
        )
        torch.testing.assert_close(samples[row, : length * HOP_SAMPLES], alone[0], atol=1e-5, rtol=0)
        for kept, wanted in zip(stepped, alone_state, strict=True):
            torch.testing.assert_close(kept[row], wanted[0], atol=1e-5, rtol=1e-5)


def test_the_ringing_goes_on_into_the_next_chunk(vocoder: Vocoder) -> None:
    sharp = torch.zeros(1, 1, ORDER)
    sharp[..., :3] = torch.tensor([0.0, 2.0, 1.5])
    _, state = vocoder(sharp, torch.ones(1, 1, BANDS), torch.full((1, 1), 300.0), vocoder.init_state(1))
    assert state.tail.shape == (1, FFT_SAMPLES - HOP_SAMPLES)
    assert state.tail.abs().max() > 1e-3
    assert state.position_samples.item() == HOP_SAMPLES


def test_lengths_are_rounded_without_drift() -> None:
    phones = [Phone("ə")] * 7
    predicted = np.log(np.array([3.3, 4.4, 5.5, 6.6, 1.2, 7.7, 2.9]))
    timing = lay_out(phones, predicted, 0.2)
    assert timing.durations_frames.sum() + timing.remainder_frames == pytest.approx(np.exp(predicted).sum() + 0.2)
    assert abs(timing.remainder_frames) <= 0.5
    assert timing.durations_frames.min() >= 1
    assert timing.durations_samples.tolist() == (timing.durations_frames * HOP_SAMPLES).tolist()


def test_controls_of_length() -> None:
    def frames(phone: Phone) -> int:
        return int(lay_out([phone], np.log(np.array([20.0])), 0.0).durations_frames[0])

    assert frames(Phone("ə")) == 20
    assert frames(Phone("ə", speed=2.0)) == 10
    assert frames(Phone("_")) == 20
    assert frames(Phone(".")) == round(20 * PAUSE_STRETCH["."])
    assert frames(Phone(".", duration_ms=60.0)) == 12
    assert frames(Phone(".", duration_ms=60.0, speed=2.0)) == 12
    assert frames(Phone("ə", speed=20.0)) == 1


def test_nothing_to_say_leaves_the_remainder() -> None:
    timing = lay_out([], np.zeros(0), 0.3)
    assert timing.durations_frames.size == 0
    assert timing.remainder_frames == 0.3


def test_breaks_are_exact_to_the_sample_and_leave_the_words_alone() -> None:
    rng = np.random.default_rng(1)
    breaks_ms = [33.3, 0.02, 0.0, 5.0, 7.49, 1000.01]
    words = np.log(rng.uniform(2, 20, len(breaks_ms)))
    segment = [phone for length_ms in breaks_ms for phone in (Phone("ə"), Phone(",", duration_ms=length_ms))]
    timing = lay_out(segment, np.repeat(words, 2), 0.25)
    assert timing.durations_samples[1::2].tolist() == [799, 0, 0, 120, 180, 24_000]
    assert timing.durations_frames[1::2].tolist() == [7, 0, 0, 1, 2, 200]
    assert timing.durations_frames[::2].tolist() == lay_out([Phone("ə")] * 6, words, 0.25).durations_frames.tolist()
    kept = timing.kept_samples
    assert len(kept) == timing.durations_frames.sum()
    assert kept.sum() == timing.durations_samples.sum()
    assert kept.min() > 0
    assert sorted(set(kept)) == [60, 79, 120]


def test_a_frame_is_shortened_without_a_step() -> None:
    wave = np.sin(2 * np.pi * 50 * np.arange(4 * HOP_SAMPLES) / SAMPLE_RATE_HZ).astype(np.float32)
    heard = shortened(wave, np.array([HOP_SAMPLES, 100, HOP_SAMPLES, 1]))
    assert len(heard) == 2 * HOP_SAMPLES + 101
    np.testing.assert_array_equal(heard[:HOP_SAMPLES], wave[:HOP_SAMPLES])
    assert np.abs(np.diff(heard[:-1])).max() < 1.5 * np.abs(np.diff(wave)).max()
    whole = shortened(wave, np.full(4, HOP_SAMPLES))
    np.testing.assert_array_equal(whole, wave)
    assert not np.shares_memory(whole, wave)  # what it was read from is written over by the next step

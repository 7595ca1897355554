import numpy as np
import pytest
import soxr
from hypothesis import given, settings

from server.audio.resample import Resampler, polyphase_bank
from server.requests.audio_format import OUTPUT_SAMPLE_RATES_HZ
from tests.server.audio.signals import cut, cuts, level_db, noise, tone

PAIRS = [(24000, rate) for rate in OUTPUT_SAMPLE_RATES_HZ] + [
    (8000, 16000),
    (11025, 16000),
    (22050, 16000),
    (44100, 16000),
    (48000, 16000),
    (12345, 16000),
]


def convert(pcm: np.ndarray, input_rate_hz: int, output_rate_hz: int) -> np.ndarray:
    resampler = Resampler(input_rate_hz, output_rate_hz)
    return np.concatenate([resampler.feed(pcm), resampler.finish()])


@pytest.mark.parametrize(("input_rate_hz", "output_rate_hz"), PAIRS)
@settings(max_examples=8, deadline=None)
@given(sizes=cuts)
def test_any_split_gives_the_same_samples(input_rate_hz: int, output_rate_hz: int, sizes: list[int]) -> None:
    pcm = noise(3001)
    resampler = Resampler(input_rate_hz, output_rate_hz)
    pieces = [resampler.feed(piece) for piece in cut(pcm, sizes)]
    np.testing.assert_array_equal(
        np.concatenate([*pieces, resampler.finish()]), convert(pcm, input_rate_hz, output_rate_hz), strict=True
    )


@pytest.mark.parametrize(("input_rate_hz", "output_rate_hz"), PAIRS)
@pytest.mark.parametrize("samples", [0, 1, 2, 7, 479, 24001])
def test_exact_length(input_rate_hz: int, output_rate_hz: int, samples: int) -> None:
    length = len(convert(noise(samples), input_rate_hz, output_rate_hz))
    assert abs(length - samples * output_rate_hz / input_rate_hz) <= 0.5


@pytest.mark.parametrize(("input_rate_hz", "output_rate_hz"), PAIRS)
@pytest.mark.parametrize("share_of_pass_band", [0.01, 0.3, 0.95])
def test_a_tone_stays_the_tone_soxr_makes_of_it(input_rate_hz: int, output_rate_hz: int, share_of_pass_band: float) -> None:
    frequency_hz = 0.84 * min(input_rate_hz, output_rate_hz) / 2 * share_of_pass_band
    pcm = tone(frequency_hz, input_rate_hz)
    ours = convert(pcm, input_rate_hz, output_rate_hz)
    judged = soxr.resample(pcm, input_rate_hz, output_rate_hz, "VHQ")
    middle = slice(len(ours) // 4, 3 * len(ours) // 4)
    assert level_db(ours[middle] - judged[middle]) - level_db(judged[middle]) < -65.0


@pytest.mark.parametrize(("input_rate_hz", "output_rate_hz"), [(24000, 8000), (24000, 16000), (24000, 22050), (48000, 16000)])
@pytest.mark.parametrize("above_nyquist", [1.01, 1.05])
def test_what_would_alias_is_rejected(input_rate_hz: int, output_rate_hz: int, above_nyquist: float) -> None:
    pcm = tone(above_nyquist * output_rate_hz / 2, input_rate_hz)
    out = convert(pcm, input_rate_hz, output_rate_hz)
    middle = slice(len(out) // 4, 3 * len(out) // 4)
    assert level_db(out[middle]) - level_db(pcm) < -75.0


@pytest.mark.parametrize("output_rate_hz", [44100, 48000])
def test_images_are_rejected(output_rate_hz: int) -> None:
    out = convert(tone(5000.0, 24000), 24000, output_rate_hz)
    middle = out[len(out) // 4 : 3 * len(out) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle))))
    frequencies_hz = np.fft.rfftfreq(len(middle), 1 / output_rate_hz)
    image = spectrum[frequencies_hz > 12_000].max()
    assert 20 * np.log10(image / spectrum.max()) < -75.0


@pytest.mark.parametrize("pair", PAIRS)
def test_first_output_comes_within_4_2_ms(pair: tuple[int, int]) -> None:
    resampler = Resampler(*pair)
    taken = 1
    while not len(resampler.feed(np.ones(1, dtype=np.float32))):
        taken += 1
    assert taken / pair[0] * 1000 <= 4.2
    assert taken <= resampler.delay_samples + 1


def test_equal_rates_pass_through_at_once() -> None:
    pcm = noise(100)
    resampler = Resampler(24000, 24000)
    assert resampler.delay_samples == 0
    np.testing.assert_array_equal(resampler.feed(pcm), pcm)
    assert len(resampler.finish()) == 0


@pytest.mark.parametrize(("up", "down"), [(1, 3), (2, 3), (147, 160), (147, 80), (2, 1)])
def test_a_constant_stays_constant(up: int, down: int) -> None:
    bank = polyphase_bank(up, down)
    assert len(bank) == up + 1
    np.testing.assert_allclose(bank.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [44101, 15999, 16001, 191_999, 4001])
def test_odd_ratios_keep_length_and_tone(rate_hz: int) -> None:
    pcm = tone(700.0, rate_hz, duration_s=3.0)
    out = convert(pcm, rate_hz, 16000)
    assert len(out) == 48_000
    judged = tone(700.0, 16000, duration_s=3.0)
    assert level_db((out - judged)[1000:-1000]) - level_db(judged) < -70.0

"""Measures of synthetic speech that need no listener."""

import re
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import jiwer
import numpy as np
from numpy.typing import NDArray

from models.pitch import track_pitch

Floats = NDArray[np.floating[Any]]

OCTAVES_HZ = (100, 200, 400, 800, 1600, 3200, 7600)


def plain_words(text: str) -> str:
    """Lower-case letters and apostrophes only, single spaces: what is compared for word error rates."""
    return re.sub(r"\s+", " ", re.sub(r"[^a-z' ]", " ", text.lower())).strip()


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=16000, loglevel="FATAL")


def teach_word(word: str, phones: str) -> None:
    """Let pocketsphinx know how a word sounds that its dictionary of 134 000 lacks, such as a name; it still has to choose it
    among all of them. ``phones`` in ARPAbet without stress, apart by spaces."""
    if _decoder().lookup_word(word) is None:
        _decoder().add_word(word, phones, True)


def recognise(pcm_16k: Floats) -> str:
    """What pocketsphinx hears (its own US English model), with 0.2 s of silence before and 0.3 s behind."""
    padded = np.concatenate([np.zeros(3200), pcm_16k, np.zeros(4800)])
    samples = (padded.clip(-1, 1) * 32767).astype(np.int16)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return plain_words(hypothesis.hypstr) if hypothesis else ""


def recognise_all(recordings: list[Floats]) -> list[str]:
    """What `recognise` hears in each, on all cores of the machine."""
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        return list(pool.map(recognise, recordings, chunksize=4))


def word_error_percent(references: list[str], heard: list[str]) -> float:
    """Word error rate over all sentences together."""
    return float(100 * jiwer.wer([plain_words(text) for text in references], heard))


@cache
def _mel_cosines() -> tuple[Floats, Floats]:
    """80 triangular mel bands at 16 kHz, FFT 1024: [80, 513], and 24 cosines: [24, 80]."""
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    bins_hz = np.arange(513) * 16000 / 1024
    rising = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falling = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    bands = np.maximum(0, np.minimum(rising, falling))
    cosines = np.cos(np.pi / 80 * np.outer(np.arange(1, 25), np.arange(80) + 0.5)) / 80
    return bands, cosines


def mel_cepstra(pcm_16k: Floats) -> Floats:
    """[T, 24] every 5 ms from 40 ms windows."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm_16k, 640)[::80] * np.hanning(640)
    bands, cosines = _mel_cosines()
    power = np.square(np.abs(np.fft.rfft(frames, 1024)))
    return np.asarray(np.log(power @ bands.T + 1e-6) @ cosines.T)


def mel_cepstral_distortion_db(one: Floats, other: Floats) -> float:
    """Mean over frames of the distance of two recordings with the same timing (Kubichek 1993), in dB."""
    a, b = mel_cepstra(one), mel_cepstra(other)
    count = min(len(a), len(b))
    distance = 10 / np.log(10) * np.sqrt(2 * np.square(a[:count] - b[:count]).sum(1))
    return float(distance.mean())


def mel_error_db(one: Floats, other: Floats) -> Floats:
    """Mean absolute difference of two recordings with the same timing in the mel bands of each octave of `OCTAVES_HZ`."""
    bands, _ = _mel_cosines()
    spectra = []
    for pcm in (one, other):
        frames = np.lib.stride_tricks.sliding_window_view(pcm, 640)[::80] * np.hanning(640)
        spectra.append(10 * np.log10(np.square(np.abs(np.fft.rfft(frames, 1024))) @ bands.T + 1e-6))
    count = min(len(spectrum) for spectrum in spectra)
    error = np.abs(spectra[0][:count] - spectra[1][:count]).mean(0)
    centres_hz = bands @ (np.arange(513) * 16000 / 1024) / bands.sum(1)
    return np.array([error[(centres_hz >= low) & (centres_hz < high)].mean() for low, high in pairwise(OCTAVES_HZ)])


def border_click_ratio(pcm: Floats, borders_samples: list[int], reach: int = 24) -> float:
    """Roughness at chunk borders: mean absolute second difference within ``reach`` samples of a
    border over that of the 20 ms around it, as the median over borders. 1 means nothing is there."""
    rough = np.abs(np.diff(pcm, 2))
    ratios = []
    for border in borders_samples:
        near = rough[max(border - reach, 0) : border + reach]
        around = rough[max(border - 240, 0) : border + 240]
        if len(near) and around.mean() > 0:
            ratios.append(near.mean() / around.mean())
    return float(np.median(ratios)) if ratios else float("nan")


def periodicity(pcm_16k: Floats, spans_s: list[tuple[float, float]], band_hz: tuple[float, float] = (0, 8000)) -> list[float]:
    """Height of the autocorrelation peak between 60 and 350 Hz in the middle 40 ms of each span of at least 50 ms,
    counting only what lies in the band. The envelope of the correlation is read, as a high band's peaks are narrower than
    a sample. Noise alone gives about .3, more in a narrow band."""
    heights = []
    size, low, high = 640, 16000 // 350, 16000 // 60
    outside_hz = np.abs(np.fft.fftfreq(2 * size, 1 / 16000))
    outside = (outside_hz < band_hz[0]) | (outside_hz > band_hz[1])
    whole = band_hz[0] == 0
    window = np.fft.irfft(np.square(np.abs(np.fft.rfft(np.hanning(size), 2 * size))))
    for start_s, end_s in spans_s:
        middle = int((start_s + end_s) / 2 * 16000)
        frame = pcm_16k[max(middle - size // 2, 0) : middle + size // 2]
        if end_s - start_s < 0.05 or len(frame) < size:
            continue
        power = np.square(np.abs(np.fft.fft((frame - frame.mean()) * np.hanning(size), 2 * size)))
        power[outside] = 0
        if not whole:
            power[size:] = 0  # positive frequencies only: the magnitude of what follows is the envelope
        spectrum = np.fft.ifft(power)
        correlation = (spectrum.real if whole else np.abs(spectrum)) / window.clip(window[0] * 0.05)
        heights.append(float(correlation[low:high].max() / max(abs(correlation[0]), 1e-12)))
    return heights


def octave_levels_db(pcm_16k: Floats) -> Floats:
    """Level of each octave from 100 Hz to 7.6 kHz."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm_16k, 1024)[::256] * np.hanning(1024)
    power = np.square(np.abs(np.fft.rfft(frames))).mean(0)
    bins_hz = np.arange(513) * 16000 / 1024
    levels = [10 * np.log10(power[(bins_hz >= low) & (bins_hz < high)].mean() + 1e-12) for low, high in pairwise(OCTAVES_HZ)]
    return np.asarray(levels)


def pitch_error_cents(one_16k: Floats, other_16k: Floats) -> float:
    """Median absolute difference of two recordings with the same timing, where both have pitch; nan if they never do."""
    one, other = (track_pitch(pcm.astype(np.float32), 16000, 80).f0_hz for pcm in (one_16k, other_16k))
    count = min(len(one), len(other))
    both = (one[:count] > 0) & (other[:count] > 0)
    return float(np.median(np.abs(1200 * np.log2(one[:count][both] / other[:count][both])))) if both.any() else float("nan")

"""Stateful sample-rate conversion for live streams: a short polyphase low-pass filter.

Why not soxr here: its stream object works in blocks, so it holds audio back.
Measured with soxr 1.1.0, milliseconds of input until the first output sample
(own filter last):

==============  =====  =====  =====  =====
rates           LQ     MQ     HQ     here
==============  =====  =====  =====  =====
24000 to 8000   41     76     74     4.0
24000 to 16000  21     38     37     2.0
24000 to 22050  21     39     39     1.5
24000 to 44100  1      40     39     1.3
24000 to 48000  21     40     39     1.3
8000 to 16000   62     119    116    4.0
==============  =====  =====  =====  =====

QQ holds nothing back but lets aliases through. Files, where latency does not
matter, go through soxr (`server.audio.files`); the tests take soxr as judge.

The filter is a Kaiser-windowed sinc, ``HALF_WIDTH`` zero crossings to each side
at the lower of the two rates, with its stop band (-80 dB) from the lower
Nyquist frequency on and its pass band up to 0.84 of it (3.4 kHz at 8 kHz, the
telephone band). Theory: Crochiere and Rabiner, "Multirate Digital Signal
Processing", 1983, chapter 4; Kaiser's design formulas for the width.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm

HALF_WIDTH = 32
"""Zero crossings to each side; 4 ms at 8 kHz, 1.3 ms at 24 kHz."""
STOP_BAND_DB = 80.0
MAX_PHASES = 640
"""Rows of the filter bank; rate pairs that need more (44101 to 16000) interpolate between rows, 116 dB below the signal."""

BLOCK_TAPS = 24 * 1024
"""Products computed at once, 96 kB. Arrays from 128 kB on are mapped and paged in anew each time: 300 ms of audio to
44.1 kHz took 3.4 ms in blocks of 8192 samples and 1.1 ms in these."""

_TAP_S = 1.5e-9
"""Measured: 1.3 to 1.7 ns for each product."""


class Resampler:
    """Mono float32 from one rate to another, any split of the input giving the same samples.

    In total ``round(input * output_rate / input_rate)`` samples come out. Output
    sample n lies at the time of input sample ``n * input_rate / output_rate``: no
    shift. Equal rates pass through.
    """

    def __init__(self, input_rate_hz: int, output_rate_hz: int) -> None:
        ratio = Fraction(output_rate_hz, input_rate_hz)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._passes = self._up == self._down
        self._bank = polyphase_bank(self._up, self._down)
        self._half = self._bank.shape[1] // 2
        self._block_samples = max(1, BLOCK_TAPS // self._bank.shape[1])
        # Input samples that later output still needs, and the index of the first of them in the stream.
        self._tail: Pcm = np.zeros(self._half - 1, dtype=np.float32)
        self._tail_start = -(self._half - 1)
        self._taken = 0
        self._given = 0

    def work_s(self, samples: int) -> float:
        """About how long `feed` takes for so many samples."""
        return 0.0 if self._passes else samples * self._up / self._down * self._bank.shape[1] * _TAP_S

    @property
    def delay_samples(self) -> int:
        """Input samples that must follow an output sample before it can be given."""
        return 0 if self._passes else self._half

    def feed(self, pcm: Pcm) -> Pcm:
        """Take the next input samples [S]; give what they complete."""
        pcm = np.ascontiguousarray(pcm, dtype=np.float32)
        if self._passes:
            return pcm
        self._taken += len(pcm)
        # Output n reads input up to floor(n * down / up) + half.
        complete = (self._taken - self._half) * self._up
        return self._advance(pcm, -(-complete // self._down) if complete > 0 else 0)

    def finish(self) -> Pcm:
        """The end of the stream: what was held back, with silence after it."""
        if self._passes:
            return np.zeros(0, dtype=np.float32)
        total = (2 * self._taken * self._up + self._down) // (2 * self._down)
        return self._advance(np.zeros(self._half + 1, dtype=np.float32), total)

    def _advance(self, pcm: Pcm, until: int) -> Pcm:
        joined = np.concatenate([self._tail, pcm])
        if until <= self._given:
            self._tail = joined
            return np.zeros(0, dtype=np.float32)
        blocks = [
            self._filter(joined, np.arange(start, min(start + self._block_samples, until), dtype=np.int64))
            for start in range(self._given, until, self._block_samples)
        ]
        self._given = until
        keep_from = until * self._down // self._up - (self._half - 1)
        self._tail = joined[keep_from - self._tail_start :]
        self._tail_start = keep_from
        return np.concatenate(blocks)

    def _filter(self, joined: Pcm, index: NDArray[np.int64]) -> Pcm:
        """Output samples with these numbers."""
        position = index * self._down
        start = position // self._up - (self._half - 1) - self._tail_start
        windows = np.lib.stride_tricks.sliding_window_view(joined, 2 * self._half)[start]
        # Row by row, not as one matrix product: BLAS would round differently for different chunk lengths.
        output: Pcm = np.einsum("nt,nt->n", windows, self._taps(position % self._up))
        return output

    def _taps(self, phase: NDArray[np.int64]) -> NDArray[np.float32]:
        """Filter taps [len(phase), 2 * half] for output samples phase/up of an input sample late."""
        if self._up <= MAX_PHASES:
            return self._bank.take(phase, axis=0)
        row, part = np.divmod(phase * MAX_PHASES, self._up)
        share = (part / self._up).astype(np.float32)[:, None]
        taps: NDArray[np.float32] = self._bank[row] * (1 - share) + self._bank[row + 1] * share
        return taps


@lru_cache(maxsize=32)
def polyphase_bank(up: int, down: int) -> NDArray[np.float32]:
    """Filter taps, float32 [phases + 1, 2 * half] with phases = min(up, MAX_PHASES).

    Row p holds the taps for an output sample p/phases input samples after the input
    sample at column half - 1. Each row adds up to 1, so a constant stays constant.
    """
    phases = min(up, MAX_PHASES)
    lower = min(1.0, up / down)
    """The lower rate in units of the input rate."""
    half = int(np.ceil(HALF_WIDTH / lower))
    beta = 0.1102 * (STOP_BAND_DB - 8.7)
    transition = (STOP_BAND_DB - 7.95) / (2.285 * 2 * HALF_WIDTH) / np.pi
    cutoff = lower * (1.0 - transition / 2)
    offset = np.arange(phases + 1, dtype=np.float64)[:, None] / phases
    distance = np.arange(-(half - 1), half + 1, dtype=np.float64)[None, :] - offset
    window = np.i0(beta * np.sqrt(np.clip(1.0 - (distance / half) ** 2, 0.0, None)))
    taps = np.sinc(cutoff * distance) * window
    return np.ascontiguousarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)

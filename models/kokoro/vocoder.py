"""From the decoder's frames to samples: iSTFTNet (Kaneko et al. 2022) driven by a source of harmonics and noise."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.config import SAMPLE_RATE_HZ, VocoderConfig
from models.kokoro.convs import FrameConv, FrameUpConv, Pieces
from models.kokoro.rows import NORM_EPS, Rows, StyledNorm

HARMONICS = 9
SINE_LEVEL = 0.1
VOICED_NOISE = 0.003
LOWEST_VOICED_HZ = 10.0
SLOPE = 0.1
LAST_SLOPE = 0.01
SOURCE_KERNELS = (7, 11)
CACHED_NUMBERS = 2**17
"""Numbers that are worked on at once on a CPU: half a megabyte."""


class Source(nn.Module):
    """Sines at the pitch and its multiples where speech is voiced, noise elsewhere (Wang et al. 2019)."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.step_samples = config.step_samples
        self.mix = nn.Linear(HARMONICS, 1)

    def forward(self, pitch_hz: Tensor, noise: Tensor, rows: Rows) -> Tensor:
        """Pitch [B, T] and standard normal noise [B, S, HARMONICS] to the source [B, S].

        Phases add up in float32 in the order of the reference: at 10 s they are some 1e5 and an ulp is 0.008 rad, so
        another order would be another, equally good, waveform.
        """
        multiples = torch.arange(1, HARMONICS + 1, device=pitch_hz.device, dtype=pitch_hz.dtype)
        turns = rows.cut(((pitch_hz[:, :, None] * multiples) / SAMPLE_RATE_HZ % 1).transpose(1, 2)).transpose(1, 2)
        phases = torch.cumsum(turns, dim=1) * 2 * torch.pi
        fine = F.interpolate(phases.transpose(1, 2) * self.step_samples, scale_factor=self.step_samples, mode="linear")
        voiced = (pitch_hz > LOWEST_VOICED_HZ).to(pitch_hz.dtype).repeat_interleave(self.step_samples, dim=1)[:, :, None]
        level = voiced * VOICED_NOISE + (1 - voiced) * SINE_LEVEL / 3
        sines = torch.sin(fine.transpose(1, 2)) * SINE_LEVEL
        return torch.tanh(((sines * voiced + level * noise) * self.mix.weight[0]).sum(2) + self.mix.bias)


class Spectra(nn.Module):
    """Short windows of samples to magnitude and phase, and back."""

    window: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.size, self.hop = config.gen_istft_n_fft, config.gen_istft_hop_size
        self.bins = self.size // 2 + 1
        self.register_buffer("window", torch.empty(self.size), persistent=False)
        self.reset()

    def reset(self) -> None:
        """What no file of weights holds."""
        self.window.copy_(torch.hann_window(self.size, periodic=True, device=self.window.device))

    def analyse(self, pcm: Tensor, rows: Rows) -> tuple[Tensor, Rows]:
        """Samples [B, S], mirrored at both ends of each row, to magnitudes and phases [B, 2 * bins, S / hop + 1]."""
        pad = self.size // 2
        at = torch.arange(-pad, pcm.shape[1] + pad, device=pcm.device).abs()
        if rows.mask is None:
            last = pcm.shape[1] - 1
            padded = pcm[:, torch.where(at > last, 2 * last - at, at)]
        else:
            last_of = torch.tensor(rows.lengths, device=pcm.device)[:, None] - 1
            padded = pcm.gather(1, torch.where(at > last_of, 2 * last_of - at, at).clamp_min(0))
        spectra = torch.fft.rfft(padded.unfold(1, self.size, self.hop) * self.window).transpose(1, 2)
        frames = Rows.of(tuple(length // self.hop + 1 for length in rows.lengths), pcm.device)
        # What is mirrored at the start is symmetric, so that its spectrum is real: the sign of a rounding error would decide
        # between the phases pi and -pi, which sound quite different. Lowest and highest bin are real everywhere.
        phases = spectra.angle()
        phases[:, :, 0] = torch.pi * (spectra.real[:, :, 0] < 0)
        return torch.cat([spectra.abs(), phases], dim=1), frames

    def synthesise(self, magnitudes: Tensor, phases: Tensor, rows: Rows) -> Tensor:
        """Magnitudes and phases [B, bins, T] to samples [B, (T - 1) * hop], weighed by each row's own windows."""
        windows = torch.fft.irfft(torch.polar(magnitudes, phases).transpose(1, 2), n=self.size) * self.window
        weights = self.window.square().expand_as(windows[:1])
        if rows.mask is not None:
            windows, weights = windows * rows.mask[:, :, None], weights * rows.mask[:, :, None]
        half, samples = self.size // 2, (windows.shape[1] - 1) * self.hop
        total, weight = self._add(windows)[:, half : half + samples], self._add(weights)[:, half : half + samples]
        if rows.mask is None:
            return total / weight
        ends = (torch.tensor(rows.lengths, device=total.device)[:, None] - 1) * self.hop
        return torch.where(torch.arange(samples, device=total.device) < ends, total / weight, 0.0)

    def _add(self, windows: Tensor) -> Tensor:
        """Windows [B, T, size] that start every hop, added up: [B, (T - 1) * hop + size]."""
        rows, count, size = windows.shape
        total = windows.new_zeros(rows, count - 1 + size // self.hop, self.hop)
        for part in range(size // self.hop):
            total[:, part : part + count] += windows[:, :, part * self.hop : (part + 1) * self.hop]
        return total.flatten(1)


class SnakeNorm(StyledNorm):
    """A styled norm and the activation x + sin(ax)^2 / a (Ziyin et al. 2020) after it, in one go over pieces of time that stay
    in the processor's cache: 4 ms for 14 400 frames of 128 channels on one core, 23 ms one operation after the other."""

    def over(self, x: Tensor, alpha: Tensor, style: Tensor, rows: Rows, dtype: torch.dtype) -> Tensor:
        """[B, T, C] to the same in ``dtype``, zeros past the end of each row; ``alpha`` is [1, C, 1]."""
        gain, shift = self.fc(style)[:, None].chunk(2, dim=2)
        mean, variance = _statistics(x, rows)
        gain = (1 + gain) * torch.rsqrt(variance + NORM_EPS)
        shift = shift - mean * gain
        alpha = alpha.transpose(1, 2)
        # sin(z)^2 = (1 - cos(2z)) / 2, which saves a pass.
        half = 0.5 / alpha
        inner_gain, inner_shift, outer_shift = 2 * alpha * gain, 2 * alpha * shift, shift + half
        out = torch.empty_like(x, dtype=dtype)
        for start, end in _pieces(x):
            part = x[:, start:end]
            wave = torch.addcmul(inner_shift, part, inner_gain).cos_()
            out[:, start:end] = torch.addcmul(outer_shift, part, gain).addcmul_(wave, half, value=-1)
        return out if rows.mask is None else out * rows.mask[:, :, None].to(dtype)


def _statistics(x: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Mean and variance over each row's own frames of [B, T, C]: each [B, 1, C]."""
    if rows.mask is not None:
        mask = rows.mask[:, :, None]
        count = mask.sum(1, keepdim=True)
        mean = (x * mask).sum(1, keepdim=True) / count
        return mean, ((x - mean) * mask).square().sum(1, keepdim=True) / count
    mean = x.mean(1, keepdim=True)
    total = torch.zeros_like(mean)
    for start, end in _pieces(x):
        total += (x[:, start:end] - mean).square_().sum(1, keepdim=True)
    return mean, total / x.shape[1]


def _pieces(x: Tensor) -> list[tuple[int, int]]:
    """Parts of the time of [B, T, C] that fit into a processor's cache; all of it elsewhere."""
    size = x.shape[1] if x.device.type != "cpu" else max(64, CACHED_NUMBERS // x.shape[2])
    return [(start, min(start + size, x.shape[1])) for start in range(0, x.shape[1], size)]


class SnakeBlock(nn.Module):
    """Pairs of convolutions, each after a norm and its activation."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], style_dim: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            FrameConv(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2)
            for dilation in dilations
        )
        self.convs2 = nn.ModuleList(FrameConv(channels, channels, kernel, padding=kernel // 2) for _ in dilations)
        self.norms1 = nn.ModuleList(SnakeNorm(style_dim, channels) for _ in dilations)
        self.norms2 = nn.ModuleList(SnakeNorm(style_dim, channels) for _ in dilations)
        self.alpha1 = nn.ParameterList(torch.ones(1, channels, 1) for _ in dilations)
        self.alpha2 = nn.ParameterList(torch.ones(1, channels, 1) for _ in dilations)

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """[B, T, C] to the same."""
        for place, (conv1, conv2) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            norm1, norm2 = self.norms1[place], self.norms2[place]
            assert isinstance(norm1, SnakeNorm)
            assert isinstance(norm2, SnakeNorm)
            dtype = next(conv1.parameters()).dtype
            y = conv1(norm1.over(x, self.alpha1[place], style, rows, dtype))
            y = conv2(norm2.over(y, self.alpha2[place], style, rows, dtype))
            x = y.add_(x)
        return x


class Vocoder(nn.Module):
    def __init__(self, config: VocoderConfig, style_dim: int) -> None:
        super().__init__()
        self.config = config
        self.source = Source(config)
        self.spectra = Spectra(config)
        self.ups, self.source_convs = nn.ModuleList(), nn.ModuleList()
        self.source_blocks, self.blocks = nn.ModuleList(), nn.ModuleList()
        channels = config.upsample_initial_channel
        rates = config.upsample_rates
        for place, (rate, kernel) in enumerate(zip(rates, config.upsample_kernel_sizes, strict=True)):
            self.ups.append(FrameUpConv(channels, channels // 2, kernel, rate, (kernel - rate) // 2))
            channels //= 2
            self.source_convs.append(_source_conv(2 * self.spectra.bins, channels, rates[place + 1 :]))
            dilations = config.resblock_dilation_sizes
            kernel = SOURCE_KERNELS[place + 1 == len(rates)]
            self.source_blocks.append(SnakeBlock(channels, kernel, (1, 3, 5), style_dim))
            sizes = zip(config.resblock_kernel_sizes, dilations, strict=True)
            self.blocks.append(nn.ModuleList(SnakeBlock(channels, size, dilation, style_dim) for size, dilation in sizes))
        self.out = FrameConv(channels, 2 * self.spectra.bins, 7, padding=3)

    def pieces(self, x: Tensor, pitch_hz: Tensor, noise: Tensor, style: Tensor, rows: Rows) -> Pieces[Tensor]:
        """The decoder's frames [B, C, T], pitch [B, T], noise [B, S, HARMONICS] and the decoder's style [B, style] to
        samples [B, S]."""
        source = self.source(pitch_hz, noise, rows)
        spectra, source_rows = self.spectra.analyse(source, rows.times(self.config.step_samples))
        heard = source_rows.cut(spectra).transpose(1, 2).contiguous()
        x = x.transpose(1, 2).contiguous()
        for place, (up, rate) in enumerate(zip(self.ups, self.config.upsample_rates, strict=True)):
            is_last = place + 1 == len(self.ups)
            yield
            x = up(rows.cut_frames(F.leaky_relu(x, SLOPE)))
            if is_last:
                x = torch.cat([x[:, 1:2], x], dim=1)  # mirrored
            rows = rows.times(rate, int(is_last))
            x = x.add_(self.source_blocks[place](self.source_convs[place](heard), style, rows))
            blocks = self.blocks[place]
            assert isinstance(blocks, nn.ModuleList)
            yield
            total = blocks[0](x, style, rows)
            for block in list(blocks)[1:]:
                yield
                total.add_(block(x, style, rows))
            x = total.div_(len(blocks))
        yield
        x = self.out(rows.cut_frames(F.leaky_relu(x, LAST_SLOPE))).transpose(1, 2)
        magnitudes, phases = x.chunk(2, dim=1)
        return self.spectra.synthesise(magnitudes.exp(), phases.sin(), rows)


def _source_conv(inputs: int, channels: int, rates_left: tuple[int, ...]) -> FrameConv:
    """The source's spectra at the rate at which ``rates_left`` are still to be gone up."""
    stride = 1
    for rate in rates_left:
        stride *= rate
    if not rates_left:
        return FrameConv(inputs, channels, 1)
    return FrameConv(inputs, channels, 2 * stride, stride, padding=(stride + 1) // 2)

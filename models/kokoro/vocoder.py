"""From the decoder's frames to samples: iSTFTNet (Kaneko et al. 2022) driven by a source of harmonics and noise."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.kokoro.config import SAMPLE_RATE_HZ, VocoderConfig
from models.kokoro.convs import Conv, Pieces, UpConv
from models.kokoro.rows import Rows, StyledNorm

HARMONICS = 9
SINE_LEVEL = 0.1
VOICED_NOISE = 0.003
LOWEST_VOICED_HZ = 10.0
SLOPE = 0.1
LAST_SLOPE = 0.01
SOURCE_KERNELS = (7, 11)


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


class SnakeBlock(nn.Module):
    """Pairs of convolutions after styled norms and the activation x + sin(ax)^2 / a (Ziyin et al. 2020)."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], style_dim: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            Conv(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2) for dilation in dilations
        )
        self.convs2 = nn.ModuleList(Conv(channels, channels, kernel, padding=kernel // 2) for _ in dilations)
        self.norms1 = nn.ModuleList(StyledNorm(style_dim, channels) for _ in dilations)
        self.norms2 = nn.ModuleList(StyledNorm(style_dim, channels) for _ in dilations)
        self.alpha1 = nn.ParameterList(torch.ones(1, channels, 1) for _ in dilations)
        self.alpha2 = nn.ParameterList(torch.ones(1, channels, 1) for _ in dilations)

    def forward(self, x: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """[B, C, T] to the same."""
        for place in range(len(self.convs1)):
            y = _snake(self.norms1[place](x, style, rows), self.alpha1[place])
            y = _snake(self.norms2[place](self.convs1[place](rows.cut(y)), style, rows), self.alpha2[place])
            x = x + self.convs2[place](rows.cut(y))
        return x


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    alpha = alpha.to(x.dtype)
    return torch.addcdiv(x, torch.sin(x * alpha).square_(), alpha)


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
            self.ups.append(UpConv(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2))
            channels //= 2
            self.source_convs.append(_source_conv(2 * self.spectra.bins, channels, rates[place + 1 :]))
            dilations = config.resblock_dilation_sizes
            kernel = SOURCE_KERNELS[place + 1 == len(rates)]
            self.source_blocks.append(SnakeBlock(channels, kernel, (1, 3, 5), style_dim))
            sizes = zip(config.resblock_kernel_sizes, dilations, strict=True)
            self.blocks.append(nn.ModuleList(SnakeBlock(channels, size, dilation, style_dim) for size, dilation in sizes))
        self.out = nn.Conv1d(channels, 2 * self.spectra.bins, 7, padding=3)

    def pieces(self, x: Tensor, pitch_hz: Tensor, noise: Tensor, style: Tensor, rows: Rows) -> Pieces[Tensor]:
        """The decoder's frames [B, C, T], pitch [B, T], noise [B, S, HARMONICS] and the decoder's style [B, style] to
        samples [B, S]."""
        source = self.source(pitch_hz, noise, rows)
        heard, heard_rows = self.spectra.analyse(source, rows.times(self.config.step_samples))
        heard = heard_rows.cut(heard)
        for place, (up, rate) in enumerate(zip(self.ups, self.config.upsample_rates, strict=True)):
            is_last = place + 1 == len(self.ups)
            yield
            x = up(rows.cut(F.leaky_relu(x, SLOPE))).float()
            if is_last:
                x = F.pad(x, (1, 0), mode="reflect")
            rows = rows.times(rate, int(is_last))
            x = x + self.source_blocks[place](self.source_convs[place](heard).float(), style, rows)
            yield
            blocks = self.blocks[place]
            assert isinstance(blocks, nn.ModuleList)
            total = blocks[0](x, style, rows)
            for block in list(blocks)[1:]:
                yield
                total = total + block(x, style, rows)
            x = total / len(blocks)
        yield
        x = self.out(rows.cut(F.leaky_relu(x, LAST_SLOPE)))
        magnitudes, phases = x.chunk(2, dim=1)
        return self.spectra.synthesise(magnitudes.exp(), phases.sin(), rows)


def _source_conv(inputs: int, channels: int, rates_left: tuple[int, ...]) -> Conv:
    """The source's spectra at the rate at which ``rates_left`` are still to be gone up."""
    stride = 1
    for rate in rates_left:
        stride *= rate
    if not rates_left:
        return Conv(inputs, channels, 1)
    return Conv(inputs, channels, 2 * stride, stride, padding=(stride + 1) // 2)

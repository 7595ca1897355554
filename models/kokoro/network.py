"""Kokoro-82M (Apache-2.0; hexgrad 2025), written anew: StyleTTS 2's text side and an iSTFTNet vocoder.

The same numbers as the published network in float32, to 1e-4 on random weights with the noise given, for one row or for many
of different lengths (tests/real/test_kokoro_reference.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.kokoro.albert import Albert
from models.kokoro.config import CURVE_STEPS, FRAME_SAMPLES, KokoroConfig
from models.kokoro.convs import Pieces, finished
from models.kokoro.decoder import Decoder
from models.kokoro.prosody import ProsodyPredictor
from models.kokoro.rows import Rows
from models.kokoro.text_encoder import TextEncoder
from models.kokoro.vocoder import HARMONICS, Vocoder


@dataclass(frozen=True, slots=True)
class Encoding:
    """What is known of an utterance before its phones have lengths."""

    prosody: Tensor
    """[B, P, hidden + style]."""
    phones: Tensor
    """[B, P, hidden]."""
    durations_frames: Tensor
    """[B, P], at the voice's own speed, not rounded."""


@dataclass(frozen=True, slots=True)
class Melody:
    """Frames with their pitch and energy, which may be changed before `Kokoro.sound`."""

    phones: Tensor
    """[B, hidden, T]."""
    pitch_hz: Tensor
    """[B, 2T]; below 10 Hz nothing is voiced."""
    energy: Tensor
    """[B, 2T]."""
    rows: Rows


class Kokoro(nn.Module):
    """Three steps: `encode` phones, `melody` once it is known how long each lasts, `sound`.

    Nothing is streamed inside an utterance: norms over time and backward recurrences need all of it.
    """

    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = Albert(config.n_token, config.plbert)
        self.narrow = nn.Linear(config.plbert.hidden_size, config.hidden_dim)
        self.predictor = ProsodyPredictor(config)
        self.text = TextEncoder(config)
        self.decoder = Decoder(config)
        self.vocoder = Vocoder(config.istftnet, config.style_dim)

    def encode(self, tokens: Tensor, lengths: tuple[int, ...], style: Tensor) -> Encoding:
        """Tokens [B, P] (0 at both ends of each row, and past it) of ``lengths``, style [B, 2 * style]."""
        rows = Rows.of(lengths, tokens.device)
        prosody, durations = self.predictor.durations(self.narrow(self.reader(tokens, rows)), self._prosody(style), rows)
        return Encoding(prosody, self.text(tokens, rows), durations)

    def melody(self, encoding: Encoding, frames: tuple[tuple[int, ...], ...], style: Tensor) -> Melody:
        """``frames`` says for each row how many frames each token lasts."""
        device = encoding.phones.device
        lengths = tuple(sum(row) for row in frames)
        rows = Rows.of(lengths, device)
        of_token = torch.zeros(len(frames), rows.longest, dtype=torch.int64)
        for number, row in enumerate(frames):
            of_token[number, : lengths[number]] = torch.repeat_interleave(torch.tensor(row))
        place = of_token.to(device)[:, :, None]
        prosody = encoding.prosody.gather(1, place.expand(-1, -1, encoding.prosody.shape[2]))
        phones = encoding.phones.gather(1, place.expand(-1, -1, encoding.phones.shape[2]))
        pitch_hz, energy = self.predictor.curves(prosody, self._prosody(style), rows)
        return Melody(rows.cut(phones.transpose(1, 2)), pitch_hz, energy, rows)

    def sound(self, melody: Melody, style: Tensor, noise: Tensor) -> Tensor:
        """Samples [B, S] with zeros past the end of each row; ``noise`` is standard normal [B, S, HARMONICS]."""
        return finished(self.sounding(melody, style, noise))

    def sounding(self, melody: Melody, style: Tensor, noise: Tensor) -> Pieces[Tensor]:
        """`sound` in pieces of at most a fifth of its work."""
        own = style[:, : self.config.style_dim]
        x = yield from self.decoder.pieces(melody.phones, melody.pitch_hz, melody.energy, own, melody.rows)
        fine = melody.rows.times(CURVE_STEPS)
        return (yield from self.vocoder.pieces(x, melody.pitch_hz, noise, own, fine))

    def _prosody(self, style: Tensor) -> Tensor:
        return style[:, self.config.style_dim :]


def noise_shape(frames: int) -> tuple[int, int]:
    """Of the noise for an utterance of so many frames."""
    return frames * FRAME_SAMPLES, HARMONICS

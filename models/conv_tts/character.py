"""A voice's character as operations on the network's output: where F0 lies, how long the vocal tract is, the spectrum's tilt.

Everything is linear in the cepstrum or a number per slot, needs one frame at a time and so costs no look-ahead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.base import Character
from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.vocoder import warped_angle

_KNEE_HZ = 9000.0
"""Up to here resonances move by one factor, as a tube's do when it gets shorter; from here to 12 kHz the axis bends back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a `Character` does to one slot."""

    log_f0: float
    pitch_spread: float
    log_rate: float
    matrix: Tensor
    """[K, K], frequency warp and movement: ``cepstrum @ matrix``."""
    offset: Tensor
    """[K], added after that."""
    voicing_logit: float
    changes_frames: bool
    """Whether matrix, offset or voicing differ from doing nothing."""

    @classmethod
    def of(cls, character: Character, mean: Tensor) -> "Shape":
        """``mean`` [K] is that of the network's cepstra. ValueError: the character's are longer."""
        device, order = mean.device, len(mean)
        offset, movement = torch.zeros(order), torch.eye(order)
        size = movement_size(character)
        if max(len(character.cepstrum), size + 1) > order:
            longest = max(len(character.cepstrum), size + 1)
            raise ValueError(f"a character with {longest} cepstral coefficients; this model has {order}")
        offset[: len(character.cepstrum)] = torch.tensor(character.cepstrum)
        row, column = torch.tril_indices(size, size) + 1
        movement[row, column] += torch.tensor(character.cepstrum_movement)
        movement = torch.tril(movement) + torch.tril(movement, -1).T
        warp = torch.from_numpy(warp_matrix(character.log_formants, order)).float()
        matrix = warp @ movement
        offset += mean.cpu() @ (warp - matrix)
        numbers = (character.log_formants, character.voicing_logit, *character.cepstrum, *character.cepstrum_movement)
        changes = any(numbers)
        return cls(
            character.log_f0,
            math.exp(character.log_pitch_spread),
            character.log_rate,
            matrix.to(device),
            offset.to(device),
            character.voicing_logit,
            changes,
        )


def movement_size(character: Character) -> int:
    """Rows of the matrix whose triangle is given."""
    return (math.isqrt(8 * len(character.cepstrum_movement) + 1) - 1) // 2


@lru_cache(maxsize=64)
def warp_matrix(log_formants: float, order: int) -> NDArray[np.float64]:
    """[K, K] so that ``c @ matrix`` has its resonances at ``exp(log_formants)`` times the frequency.

    Vocal-tract length normalisation (Lee and Rose 1998) with a piecewise linear axis, as the least-squares fit
    of the moved log spectrum by cepstra of the same order.
    """
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 513)
    factor = math.exp(log_formants)
    knee_hz = _KNEE_HZ * min(1.0, factor)
    source_hz = np.interp(hz, [0, knee_hz, hz[-1]], [0, knee_hz / factor, hz[-1]])
    angle, source = (np.asarray(warped_angle(torch.from_numpy(axis)).numpy()) for axis in (hz, source_hz))
    index = np.arange(order)[:, None]
    basis = np.cos(index * angle)
    weighted = basis * np.gradient(angle)
    return np.asarray(np.linalg.solve(weighted @ basis.T, weighted @ np.cos(index * source).T).T)


def apply_shapes(cepstrum: Tensor, voicing: Tensor, shapes: Sequence[Shape]) -> tuple[Tensor, Tensor]:
    """Give each row its character; rows without one stay bit for bit what they are.

    Args:
        cepstrum: [B, T, K].
        voicing: [B, T, bands] in 0..1.
        shapes: one per row.
    """
    rows = [row for row, shape in enumerate(shapes) if shape.changes_frames]
    if not rows:
        return cepstrum, voicing
    index = torch.tensor(rows, device=cepstrum.device)
    matrices = torch.stack([shapes[row].matrix for row in rows])
    offsets = torch.stack([shapes[row].offset for row in rows])
    logits = torch.tensor([shapes[row].voicing_logit for row in rows], device=cepstrum.device)
    moved = torch.baddbmm(offsets[:, None], cepstrum[index], matrices)
    breathier = torch.sigmoid(torch.logit(voicing[index], eps=1e-6) + logits[:, None, None])
    return cepstrum.index_copy(0, index, moved), voicing.index_copy(0, index, breathier)

"""A voice's character as operations on the network's output: where F0 lies, how long the vocal tract is, the spectrum's tilt.

Everything is linear in the cepstrum or a number per slot, needs one frame at a time and so costs no look-ahead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.record import Character
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
        """``mean`` [K], on the CPU, is that of the network's cepstra. ValueError: the character's are longer."""
        order = len(mean)
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
        offset += mean @ (warp - matrix)
        numbers = (character.log_formants, character.voicing_logit, *character.cepstrum, *character.cepstrum_movement)
        changes = any(numbers)
        return cls(
            character.log_f0,
            math.exp(character.log_pitch_spread),
            character.log_rate,
            matrix,
            offset,
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


class Shapes(NamedTuple):
    """Those parts of a `Shape` that change frames, of B slots."""

    matrix: Tensor
    """[B, K, K]."""
    offset: Tensor
    """[B, K]."""
    voicing_logit: Tensor
    """[B]."""
    changes_frames: Tensor
    """[B] bool."""

    @classmethod
    def none(cls, rows: int, order: int, device: torch.device) -> "Shapes":
        """Of slots without a character."""
        matrix, offset = torch.zeros(rows, order, order, device=device), torch.zeros(rows, order, device=device)
        return cls(matrix, offset, torch.zeros(rows, device=device), torch.zeros(rows, dtype=torch.bool, device=device))

    @classmethod
    def stacked(cls, shapes: Sequence[Shape]) -> "Shapes":
        return cls(
            torch.stack([shape.matrix for shape in shapes]),
            torch.stack([shape.offset for shape in shapes]),
            torch.tensor([shape.voicing_logit for shape in shapes]),
            torch.tensor([shape.changes_frames for shape in shapes]),
        )


def apply_shapes(cepstrum: Tensor, voicing: Tensor, shapes: Shapes) -> tuple[Tensor, Tensor]:
    """Give each row its character; rows without one stay bit for bit what they are.

    Args:
        cepstrum: [B, T, K].
        voicing: [B, T, bands] in 0..1.
        shapes: one per row.
    """
    changes = shapes.changes_frames[:, None, None]
    moved = torch.baddbmm(shapes.offset[:, None], cepstrum, shapes.matrix)
    breathier = torch.sigmoid(torch.logit(voicing, eps=1e-6) + shapes.voicing_logit[:, None, None])
    return torch.where(changes, moved, cepstrum), torch.where(changes, breathier, voicing)

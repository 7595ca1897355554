"""Audio as models take and give it."""

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]
"""Mono audio, float32 in -1..1, shape [S]."""

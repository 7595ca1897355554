"""The picture of one streamed paragraph: waveform, word times and chunk arrivals."""

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def draw(
    path: Path,
    pcm: NDArray[np.floating],
    sample_rate_hz: int,
    words: list[tuple[str, float, float]],
    arrivals: list[tuple[float, float]],
) -> None:
    """Write a PNG. ``arrivals`` are (wall seconds, seconds of audio already there) per chunk."""
    figure, (wave_axis, lead_axis) = plt.subplots(2, 1, figsize=(16, 7), height_ratios=(3, 2), layout="constrained")
    seconds = np.arange(len(pcm)) / sample_rate_hz
    wave_axis.plot(seconds, pcm, linewidth=0.3, color="#1f4e79")
    for index, (word, start_s, end_s) in enumerate(words):
        wave_axis.axvspan(start_s, end_s, color="#f4a259" if index % 2 else "#8cb369", alpha=0.25, linewidth=0)
        wave_axis.text((start_s + end_s) / 2, 0.92 - 0.12 * (index % 3), word, ha="center", fontsize=7)
    wave_axis.set(title="What was spoken, with word times", xlabel="audio time (s)", ylabel="amplitude", ylim=(-1, 1))
    wall_ms = [wall_s * 1000 for wall_s, _ in arrivals]
    lead_axis.step(
        wall_ms, [audio_s for _, audio_s in arrivals], where="post", color="#1f4e79", marker=".", label="audio received"
    )
    lead_axis.plot(
        [wall_ms[0], wall_ms[-1]], [0, (wall_ms[-1] - wall_ms[0]) / 1000], color="#bc4b51", label="audio a player needs"
    )
    lead_axis.set(title="Chunk arrivals", xlabel="wall time since the text was sent (ms)", ylabel="audio (s)")
    lead_axis.legend(loc="upper left")
    figure.savefig(path, dpi=80)
    plt.close(figure)

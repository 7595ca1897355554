"""Sentences spoken by any of the recipe's voices, at 16 kHz, with a phone for every 20 ms frame."""

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from training.ears.festival import Festival
from training.ears.synthesizers import Espeak, Flite
from training.ears.voices import FLITE_VOICES, HELD_OUT_FLITE_VOICE, VoiceSettings

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 320


@dataclass(frozen=True, slots=True)
class Utterance:
    pcm: NDArray[np.float32]
    """[S], peak 1."""
    phones: list[str]
    """One per 20 ms frame, S // 320 of them (the last lasts to the end)."""
    words: tuple[tuple[int, int], ...] = ()
    """(first character, start in samples) of each word; espeak-ng only."""


class Speaker:
    """All synthesisers of the recipe behind one method; each is loaded when it is first needed."""

    def __init__(self) -> None:
        self._flite: Flite | None = None
        self._espeak: Espeak | None = None
        self._festival: Festival | None = None

    def say(self, text: str, settings: VoiceSettings) -> Utterance:
        if settings.engine == "flite":
            self._flite = self._flite or Flite((*FLITE_VOICES, HELD_OUT_FLITE_VOICE))
            speech = self._flite.speak(text, settings.voice, settings.stretch, settings.f0_ratio)
        elif settings.engine == "festival":
            self._festival = self._festival or Festival()
            speech = self._festival.speak(text, settings.voice, settings.stretch, settings.f0_ratio)
        else:
            self._espeak = self._espeak or Espeak()
            speech = self._espeak.speak(text, settings.voice, settings.rate, settings.pitch, settings.pitch_range)
        source_hz = speech.sample_rate_hz * settings.warp
        pcm = soxr.resample(speech.pcm.astype(np.float32), source_hz, SAMPLE_RATE_HZ, quality="MQ")
        pcm = (pcm / max(float(np.abs(pcm).max(initial=0.0)), 1.0)).astype(np.float32)
        frames = len(pcm) // FRAME_SAMPLES
        if not speech.phones:
            return Utterance(pcm, ["pau"] * frames)
        ends_s = np.array([end for _, end in speech.phones]) / source_hz
        index = np.searchsorted(ends_s, np.arange(frames) * FRAME_SAMPLES / SAMPLE_RATE_HZ, side="right")
        symbols = [symbol for symbol, _ in speech.phones]
        scale = SAMPLE_RATE_HZ / source_hz
        words = tuple((first, int(start * scale)) for first, start in speech.words)
        return Utterance(pcm, [symbols[min(int(i), len(symbols) - 1)] for i in index], words)

"""Speech that is the same on every run, from the embedded voice (espeak-ng's differs from call to call)."""

import numpy as np
import soxr

from models.audio import Pcm
from models.registry import load_synthesizer
from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd


def say(texts: tuple[str, ...], sample_rate_hz: int = 16_000) -> list[Pcm]:
    """Each text as audio [S], by the first voice."""
    voice, front_end = load_synthesizer("conv_tts", "cpu", 1), TextFrontEnd()
    spoken = []
    for text in texts:
        stream = front_end.open(Controls(), "auto")
        stream.push(text)
        voice.admit(0, voice.info.voices[0])
        for segment in stream.take(Take.END):
            voice.feed(0, segment.utterance)
        pieces = []
        while (pcm := voice.step([0])[0].pcm).size:
            pieces.append(pcm)
        voice.release(0)
        resampled = soxr.resample(np.concatenate(pieces), voice.info.sample_rate_hz, sample_rate_hz)
        spoken.append(np.asarray(resampled, dtype=np.float32))
    return spoken

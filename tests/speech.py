"""Speech that is the same on every run, from the embedded voice (espeak-ng's differs from call to call)."""

import numpy as np
import soxr

from models import speaking
from models.audio import Pcm
from models.registry import load_synthesizer
from models.speaking import audio_of
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd


def say(texts: tuple[str, ...], sample_rate_hz: int = 16_000) -> list[Pcm]:
    """Each text as audio [S], by the first voice."""
    model, front_end = load_synthesizer("conv_tts", "cpu", 1), TextFrontEnd()
    spoken = []
    for text in texts:
        utterances = [segment.utterance for segment in read_whole(front_end, text)]
        pcm = audio_of(speaking.say(model, model.info.voices[0], utterances))
        resampled = soxr.resample(pcm, model.info.sample_rate_hz, sample_rate_hz)
        spoken.append(np.asarray(resampled, dtype=np.float32))
    return spoken

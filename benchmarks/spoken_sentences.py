"""Sentences for the measures of the embedded voice: spoken by it and by its teacher, with phones and their times."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from benchmarks.speech_measures import Floats
from models.conv_tts.config import FRAME_MS, SAMPLE_RATE_HZ
from models.phones import ARPABET_TO_IPA, PHONES
from models.speaking import audio_of, steps_of
from models.speech import Phone, SampleSpan, SpeechFrames, Synthesizer, Utterance
from models.voices import Voice
from server.engine.speech.text_feed import read_whole
from server.requests.speech import Controls
from server.text.frontend import TextFrontEnd
from training.sentences import held_out, load_sentences
from training.voice.data import Utterance as TaughtUtterance
from training.voice.data import read_words
from training.voice.flite import FliteSpeech

EVALUATION_HZ = 16_000
VOWELS = frozenset("ɑ æ ʌ ɔ aʊ ə aɪ ɛ ɚ eɪ ɪ i oʊ ɔɪ ʊ u".split())
FRICATIVES = frozenset("s ʃ f θ".split())


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence of our voice."""

    pcm: Floats
    """At 24 kHz."""
    borders_samples: list[int]
    phones: tuple[Phone, ...]
    times: tuple[SampleSpan, ...]
    first_chunk_s: float
    total_s: float

    def at_16_khz(self) -> Floats:
        return np.asarray(soxr.resample(self.pcm, SAMPLE_RATE_HZ, EVALUATION_HZ, quality="VHQ"))

    def spans_s(self, symbols: frozenset[str]) -> list[tuple[float, float]]:
        """When these phones are spoken."""
        return [
            (time.start_samples / SAMPLE_RATE_HZ, time.end_samples / SAMPLE_RATE_HZ)
            for phone, time in zip(self.phones, self.times, strict=True)
            if phone.symbol in symbols
        ]


def unseen_sentences(folder: Path, count: int) -> list[str]:
    """Held-out sentences of 20 to 110 characters made of plain words, shuffled."""
    sentences = [s for s in load_sentences(folder) if held_out(s) and 20 <= len(s) <= 110 and read_words(s)]
    random.Random(7).shuffle(sentences)
    return sentences[:count]


def utterances_of(
    front_end: TextFrontEnd, text: str, controls: Controls | None = None, language: str = "en"
) -> list[Utterance]:
    """What the server would send to the model."""
    return [piece.utterance for piece in read_whole(front_end, text, controls, language)]


def say(model: Synthesizer, voice: Voice, utterances: list[Utterance]) -> Spoken:
    """Speak utterances in the model's own chunks, timing the first step and all of them in CPU time."""
    started_s = time.process_time()
    steps: list[SpeechFrames] = []
    first_chunk_s = 0.0
    for given in steps_of(model, [(voice, utterances)]):
        steps.append(given[0])
        if given[0].pcm.size and not first_chunk_s:
            first_chunk_s = time.process_time() - started_s
    total_s = time.process_time() - started_s
    borders = np.cumsum([step.pcm.size for step in steps if step.pcm.size])[:-1].tolist()
    times = tuple(time for step in steps for time in step.times or ())
    phones = tuple(phone for utterance in utterances for phone in utterance.phones)
    return Spoken(audio_of(steps), borders, phones, times, first_chunk_s, total_s)


def teacher_spans_s(speech: FliteSpeech, symbols: frozenset[str]) -> list[tuple[float, float]]:
    """When the teacher speaks these phones."""
    starts = [0.0, *(segment.end_s for segment in speech.segments)]
    pairs = zip(starts, speech.segments, strict=False)
    return [(start, segment.end_s) for start, segment in pairs if ARPABET_TO_IPA.get(segment.phone) in symbols]


def timed_utterance(taught: TaughtUtterance) -> Utterance:
    """The teacher's phones with the teacher's durations."""
    return Utterance(
        phones=tuple(
            Phone(PHONES[int(symbol)], int(stress), 0, bool(starts), duration_ms=float(frames) * FRAME_MS)
            for (symbol, stress, starts), frames in zip(taught.phones, taught.durations_frames, strict=True)
        )
    )

"""What the recognizer is tested on: held-out sentences, voices by kind, what happens to them on the way, and no speech.

All of it is fixed: the same folder of sentences gives the same audio on every run, and `data_hash` says so.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.ears import effects, noises
from training.ears.speech import Speaker
from training.ears.spoken_strings import spoken_string
from training.ears.voices import ACCENTS, HELD_OUT_ESPEAK_SETTINGS, HELD_OUT_VARIANTS, VoiceSettings, held_out_settings
from training.sentences import held_out, load_sentences

Floats = NDArray[np.float32]
RATE_HZ = 16_000
SPEECH_PEAK = 0.7

KINDS = ("espeak variants", "espeak settings", "flite settings", "flite kal16", "festival hts")
MORE_KINDS = ("espeak accents", "espeak fast", "espeak slow")
FAST_WORDS_PER_MINUTE, SLOW_WORDS_PER_MINUTE = 245, 110
"""Training draws rates around 165, from 105 to 240; these two are spoken by variants that it never hears."""

CONDITIONS = ("clean", "8 kHz mu-law", "white noise 10 dB")
MORE_CONDITIONS = (
    "white noise 20 dB", "white noise 5 dB", "babble 20 dB", "babble 10 dB", "babble 5 dB", "reverberation",
)  # fmt: skip
TALKERS = 8
"""Voices at once in babble."""
_BABBLE_SENTENCES = (
    "The boats came back before the storm and nobody had to wait for them.",
    "Most of the letters were sent on Tuesday, but one of them never arrived.",
    "She asked whether the shop around the corner would open again in spring.",
    "Put the kettle on, find two clean cups, and tell me what he really said.",
    "Every second window was broken, and the garden had grown up to the roof.",
    "They counted the money twice and still could not agree about the total.",
)


def voices_of(kind: str) -> list[VoiceSettings]:
    """The voices of one row of the table; they take the sentences in turn. None is used in training."""
    if kind == "espeak accents":
        # Every accent of the training but the plain American and British ones, each at all held-out settings.
        pairs = [(rate, pitch) for rate, pitch in HELD_OUT_ESPEAK_SETTINGS]
        return [VoiceSettings("espeak", accent, rate=rate, pitch=pitch) for rate, pitch in pairs for accent in ACCENTS[2:]]
    if kind in ("espeak fast", "espeak slow"):
        rate = FAST_WORDS_PER_MINUTE if kind == "espeak fast" else SLOW_WORDS_PER_MINUTE
        return [VoiceSettings("espeak", f"{a}+{v}", rate=rate) for v in HELD_OUT_VARIANTS for a in ACCENTS[:4]]
    return held_out_settings(kind)


def held_out_sentences(folder: Path, count: int) -> list[str]:
    """Held-out sentences of at least four words, without digits: all, or so many, spread evenly over the file. It is sorted in
    part, and its parts differ: of one recogniser's words 15.8 % were wrong in the first 200 sentences, 8.5 % in the next."""
    chosen = [s for s in load_sentences(folder) if held_out(s) and len(s.split()) >= 4 and not re.search(r"\d", s)]
    count = min(count, len(chosen))
    return [chosen[place * len(chosen) // count] for place in range(count)]


def unheard_strings(folder: Path, count: int) -> list[str]:
    """Numbers, spellings, addresses and times; drawn at random, so that hardly any was drawn for training too."""
    rng = np.random.default_rng(4242)
    words = [word for text in held_out_sentences(folder, 400) for word in re.findall(r"[a-z]{3,}", text.lower())]
    return [spoken_string(rng, words) for _ in range(count)]


@cache
def speaker() -> Speaker:
    """The only one: espeak-ng answers to one owner in a process."""
    return Speaker()


def speak_all(sentences: Sequence[str], voices: Sequence[VoiceSettings]) -> list[Floats]:
    """Each sentence by the next voice."""
    return [
        speaker().say(sentence, voices[index % len(voices)]).pcm * np.float32(SPEECH_PEAK)
        for index, sentence in enumerate(sentences)
    ]


@cache
def _talkers() -> list[Floats]:
    return speak_all(_BABBLE_SENTENCES * len(ACCENTS), [VoiceSettings("espeak", accent) for accent in ACCENTS])


def babble(rng: np.random.Generator, samples: int) -> Floats:
    """Eight talkers at once, unit variance."""
    return noises.babble(rng, _talkers(), samples, TALKERS)


def condition(name: str, pcm: Floats, seed: int) -> Floats:
    """Audio as it arrives: clean, by telephone, from a room, in noise of so many dB below the speech."""
    if name == "clean":
        return pcm
    if name == "8 kHz mu-law":
        return effects.telephone(pcm)
    rng = np.random.default_rng(seed)
    if name == "reverberation":
        return effects.reverberate(pcm, rng)
    noise, _, snr_db = name.removesuffix(" dB").rpartition(" ")
    if noise == "white noise":
        return effects.add_noise(pcm, rng.standard_normal(len(pcm)).astype(np.float32), float(snr_db))
    if noise == "babble":
        return effects.add_noise(pcm, babble(rng, len(pcm)), float(snr_db))
    raise ValueError(f"unknown condition {name!r}")


NON_SPEECH: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "silence": lambda rng, n: np.zeros(n, np.float32),
    "hum": noises.hum,
    "white noise": lambda rng, n: noises.coloured_noise(rng, n, 0.0),
    "babble-like noise": lambda rng, n: noises.unit(noises.band_noise(rng, n) * (0.3 + np.abs(noises.modulated_noise(rng, n)))),
    "beeps": noises.beeps,
    "tones": noises.tones,
    "modulated noise": noises.modulated_noise,
    "clicks": noises.clicks,
    "music": noises.music,
}
"""The seeds differ from those of training; the kinds of signal are those of `training.ears.noises`."""

BABBLE = "babble of 8 talkers"
"""No single one can be understood, but it is speech; counted beside the other kinds, not among them."""
NON_SPEECH_WINDOW_S = 8


def non_speech_windows(kind: str, minutes: float) -> Iterator[Floats]:
    """Pieces of 8 s, each at a level of its own between -50 and -12 dBFS."""
    seed = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big")
    rng = np.random.default_rng([seed, 777])
    make = babble if kind == BABBLE else NON_SPEECH[kind]
    for _ in range(max(1, round(minutes * 60 / NON_SPEECH_WINDOW_S))):
        signal = make(rng, NON_SPEECH_WINDOW_S * RATE_HZ)
        level = np.float32(10 ** rng.uniform(-2.5, -0.6))
        yield np.clip(signal * level, -1, 1).astype(np.float32)


def data_hash(sentences: Sequence[str], kinds: Sequence[str], conditions: Sequence[str]) -> str:
    """Twelve hex digits of everything the audio is made from: sentences, settings of every voice, conditions."""
    voices = {kind: [asdict(settings) for settings in voices_of(kind)] for kind in kinds}
    content = json.dumps([list(sentences), voices, list(conditions)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]

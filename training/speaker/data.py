"""What the speaker encoder hears in training: features of many synthetic speakers, each clean and as it may arrive.

    python -m training.speaker.data --text-folder FOLDER [--out data/speaker]

Own voices come from the packaged conv_tts model, whose characters are known; the rest are the synthesisers of the ears.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.conv_tts.cloning import speak_together
from models.conv_tts.model import load
from models.conv_tts.record import Timbre
from models.speaker_encoder.features import FEATURES, SAMPLE_RATE_HZ, speaker_features
from models.speaker_encoder.network import CHARACTER_NAMES
from models.voices import Voice
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd
from training.ears import effects, noises
from training.ears.speech import Speaker
from training.sentences import held_out, load_sentences
from training.speaker.speakers import BASE_SPEAKERS, SyntheticSpeaker, draw_speakers

Floats = NDArray[np.float32]

UTTERANCES = 4
"""Of each speaker, each with a sentence of its own."""
_SLOTS = 10
_LONGEST_S = 6.0


@dataclass(frozen=True, slots=True)
class SpeakerData:
    """Utterances of all speakers; U utterances, of which those with the same number in ``speakers`` are one speaker's."""

    frames: NDArray[np.float16]
    """[all frames, FEATURES]."""
    starts: NDArray[np.int64]
    """[U + 1], the first frame of each utterance."""
    speakers: NDArray[np.int64]
    """[U]."""
    characters: Floats
    """[U, characters + base speakers], NaN for speakers that are not our own voices."""

    @classmethod
    def load(cls, folder: Path) -> "SpeakerData":
        rest = np.load(folder / "utterances.npz")
        frames = np.load(folder / "frames.npy", mmap_mode="r")
        return cls(frames, rest["starts"], rest["speakers"], rest["characters"])


def training_sentences(folder: Path, seed: int) -> list[str]:
    sentences = [s for s in load_sentences(folder) if not held_out(s) and 28 <= len(s) <= 80]
    random.Random(seed).shuffle(sentences)
    return sentences


def own_voice(speaker: SyntheticSpeaker) -> Voice:
    mixture = tuple((name, weight) for name, weight in zip(BASE_SPEAKERS, speaker.weights, strict=True) if weight)
    return Timbre(mixture, speaker.character).to_voice()


def arrive(pcm: Floats, rng: np.random.Generator) -> Floats:
    """A clip as a microphone, a room or a telephone gives it."""
    pcm = effects.set_peak(pcm, float(rng.uniform(0.05, 0.9)))
    if rng.random() < 0.3:
        pcm = effects.reverberate(pcm, rng)
    if rng.random() < 0.3:
        # A microphone's or a codec's tilt: up to 6 dB from end to end.
        tilt = np.float32(rng.uniform(-0.35, 0.35))
        pcm = pcm + tilt * np.append(np.float32(0), pcm[:-1])
    if rng.random() < 0.7:
        pcm = effects.add_noise(pcm, noises.noise(rng, len(pcm)), float(rng.uniform(12, 40)))
    if rng.random() < 0.2:
        pcm = effects.telephone(effects.set_peak(pcm, 0.7))
    return pcm


def utterances(speakers: Sequence[SyntheticSpeaker], sentences: list[str]) -> Iterator[tuple[int, Floats]]:
    """(number of the speaker, audio at 16 kHz), `UTTERANCES` times for each speaker."""
    text = iter(sentences)
    front_end, model, others = TextFrontEnd(), load("cpu", _SLOTS), Speaker()
    own = [number for number, speaker in enumerate(speakers) if speaker.settings is None]
    turns = [number for number in own for _ in range(UTTERANCES)]
    for first in range(0, len(turns), _SLOTS):
        group = turns[first : first + _SLOTS]
        requests = [
            (own_voice(speakers[number]), [piece.utterance for piece in read_whole(front_end, next(text))]) for number in group
        ]
        yield from zip(group, speak_together(model, requests), strict=True)
    for number, speaker in enumerate(speakers):
        if speaker.settings is not None:
            for _ in range(UTTERANCES):
                yield number, others.say(next(text), speaker.settings).pcm


def labels_of(speaker: SyntheticSpeaker) -> Floats:
    """[characters + base speakers]."""
    if speaker.settings is not None:
        return np.full(len(CHARACTER_NAMES) + len(BASE_SPEAKERS), np.nan, np.float32)
    character = [getattr(speaker.character, name) for name in CHARACTER_NAMES[1:]]
    return np.array([speaker.log_f0_hz, *character, *speaker.weights], np.float32)


def make(text_folder: Path, out: Path, counts: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    speakers = list(draw_speakers(rng, *counts))
    out.mkdir(parents=True, exist_ok=True)
    frames, starts, numbers = [], [0], []
    started_s = time.time()
    for index, (number, pcm) in enumerate(utterances(speakers, training_sentences(text_folder, seed))):
        pcm = pcm[: int(_LONGEST_S * SAMPLE_RATE_HZ)]
        for version in (effects.set_peak(pcm, 0.5), arrive(pcm, rng)):
            frames.append(speaker_features(version).astype(np.float16))
            starts.append(starts[-1] + len(frames[-1]))
            numbers.append(number)
        if index % 250 == 0:
            print(f"{index} utterances, {time.time() - started_s:.0f} s", flush=True)
    np.save(out / "frames.npy", np.concatenate(frames))
    characters = np.stack([labels_of(speakers[number]) for number in numbers])
    np.savez(out / "utterances.npz", starts=starts, speakers=numbers, characters=characters)
    print(f"{len(speakers)} speakers, {len(numbers)} utterances, {starts[-1]} frames of {FEATURES} features")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--out", type=Path, default=Path("data/speaker"))
    parser.add_argument("--own", type=int, default=220, help="speakers of our own model")
    parser.add_argument("--espeak", type=int, default=200)
    parser.add_argument("--flite", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts = (arguments.own, arguments.espeak, arguments.flite)
    make(arguments.text_folder, arguments.out, counts, arguments.seed)


if __name__ == "__main__":
    main()

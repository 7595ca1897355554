"""Word error rate of the ears on voices and sentences they were not trained on, and words invented from no speech.

    python -m benchmarks.word_error_rate --text-folder FOLDER [--sentences 200] [--non-speech-minutes 10]

Sentences are the first held-out ones (`training.sentences.held_out`); every kind of voice speaks all of them,
its settings in turn. Conditions: clean, 8 kHz mu-law as on a telephone, white noise at 10 dB. Windows of one
sentence go through `models.registry`, as in the server. Scoring: both texts in lower case, everything but
letters, digits and apostrophes taken for a space; errors are substitutions, insertions and deletions of words.
Needs Debian's ``libflite1`` for the flite voices; ``--engines espeak`` does without.

Prints a table, and appends a JSON line to benchmarks/results/word_error_rate.jsonl.
"""

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.base import RecognitionWindow, Recognizer
from models.registry import load_recognizer
from models.silero_vad import SileroDetector
from server.bench.stats import append_line, record
from training.ears import effects, noises
from training.ears.evaluation import scored_words
from training.ears.speech import Speaker
from training.ears.voices import held_out_settings
from training.sentences import held_out, load_sentences

Floats = NDArray[np.float32]
RATE_HZ = 16_000
RESULTS = Path("benchmarks/results/word_error_rate.jsonl")
KINDS = ("espeak variants", "espeak settings", "flite settings", "flite kal16")
NON_SPEECH_WINDOW_S = 8
GATE_PROBABILITY = 0.5
GATE_SPEECH_FRAMES = 4
"""A window passes the gate with 4 frames (128 ms) of at least this probability of speech."""


def condition(name: str, pcm: Floats, seed: int) -> Floats:
    """Audio as it arrives: clean, by telephone, or in noise."""
    if name == "clean":
        return pcm
    if name == "8 kHz mu-law":
        return effects.telephone(pcm)
    if name == "white noise 10 dB":
        white = np.random.default_rng(seed).standard_normal(len(pcm)).astype(np.float32)
        return effects.add_noise(pcm, white, 10.0)
    raise ValueError(f"unknown condition {name!r}")


CONDITIONS = ("clean", "8 kHz mu-law", "white noise 10 dB")


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Edit distance in words, and the number of words that were said."""
    a, b = scored_words(said).split(), scored_words(heard).split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1], len(a)


def transcribe(recognizer: Recognizer, windows: list[Floats]) -> list[str]:
    """Texts, in batches of windows of similar length."""
    texts = [""] * len(windows)
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    size = recognizer.info.max_batch
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        results = recognizer.step([RecognitionWindow(windows[row]) for row in rows])
        for row, result in zip(rows, results, strict=True):
            texts[row] = result.text
    return texts


def test_sentences(folder: Path, count: int) -> list[str]:
    """The first held-out sentences of at least four words, without digits."""
    chosen = (s for s in load_sentences(folder) if held_out(s) and len(s.split()) >= 4 and not re.search(r"\d", s))
    return [sentence for sentence, _ in zip(chosen, range(count), strict=False)]


def measure_speech(recognizer: Recognizer, sentences: list[str], kinds: list[str]) -> dict[str, dict[str, float]]:
    """Word error rate in percent by kind of voice and condition."""
    speaker = Speaker()
    table: dict[str, dict[str, float]] = {}
    for kind in kinds:
        voices = held_out_settings(kind)
        spoken = [
            speaker.say(sentence, voices[index % len(voices)]).pcm * np.float32(0.7) for index, sentence in enumerate(sentences)
        ]
        table[kind] = {}
        for name in CONDITIONS:
            heard = transcribe(recognizer, [condition(name, pcm, seed) for seed, pcm in enumerate(spoken)])
            errors = [word_errors(said, text) for said, text in zip(sentences, heard, strict=True)]
            table[kind][name] = round(100 * sum(e for e, _ in errors) / sum(n for _, n in errors), 1)
            print(f"{kind}, {name}: {table[kind][name]} %", file=sys.stderr, flush=True)
    return table


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


def non_speech_windows(kind: str, minutes: float) -> Iterator[Floats]:
    seed = int.from_bytes(hashlib.sha256(kind.encode()).digest()[:4], "big")
    rng = np.random.default_rng([seed, 777])
    for _ in range(max(1, round(minutes * 60 / NON_SPEECH_WINDOW_S))):
        signal = NON_SPEECH[kind](rng, NON_SPEECH_WINDOW_S * RATE_HZ)
        level = np.float32(10 ** rng.uniform(-2.5, -0.6))
        yield np.clip(signal * level, -1, 1).astype(np.float32)


def passes_gate(detector: SileroDetector, pcm: Floats) -> bool:
    """Whether the server would decode the window at all."""
    state, speech = detector.init_state(), 0
    for first in range(0, len(pcm) - detector.frame_samples + 1, detector.frame_samples):
        probability, state = detector.step(pcm[first : first + detector.frame_samples], state)
        speech += probability >= GATE_PROBABILITY
    return speech >= GATE_SPEECH_FRAMES


def measure_non_speech(recognizer: Recognizer, minutes: float) -> dict[str, dict[str, float]]:
    """Words invented per kind of signal, ``minutes`` of all kinds together, with and without the gate."""
    detector = SileroDetector()
    table: dict[str, dict[str, float]] = {}
    for kind in NON_SPEECH:
        windows = list(non_speech_windows(kind, minutes / len(NON_SPEECH)))
        texts = transcribe(recognizer, windows)
        passed = [passes_gate(detector, window) for window in windows]
        words = [len(scored_words(text).split()) for text in texts]
        table[kind] = {
            "minutes": round(len(windows) * NON_SPEECH_WINDOW_S / 60, 2),
            "words": sum(words),
            "words behind the gate": sum(n for n, through in zip(words, passed, strict=True) if through),
        }
    return table


def print_table(table: dict[str, dict[str, float]], title: str) -> None:
    columns = list(next(iter(table.values())))
    print(f"{title:20}" + "".join(f"{column:>24}" for column in columns))
    for name, row in table.items():
        print(f"{name:20}" + "".join(f"{row[column]:>24}" for column in columns))
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, default=200)
    parser.add_argument("--non-speech-minutes", type=float, default=10.0, help="0 leaves this part out")
    parser.add_argument("--engines", nargs="+", default=["espeak", "flite"])
    parser.add_argument("--model", default="whisper", help="model family")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more are slower beside other work")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recognizer = load_recognizer(arguments.model, arguments.device, max_batch=16)
    sentences = test_sentences(arguments.text_folder, arguments.sentences)
    kinds = [kind for kind in KINDS if kind.split()[0] in arguments.engines]
    started = time.perf_counter()
    figures: dict[str, object] = {}
    speech = measure_speech(recognizer, sentences, kinds)
    print_table(speech, "word error rate, %")
    figures["word_error_percent"] = speech
    if arguments.non_speech_minutes > 0:
        silence = measure_non_speech(recognizer, arguments.non_speech_minutes)
        print_table(silence, "invented words")
        figures["invented_words"] = silence
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:12]
    config = {"sentences": len(sentences), "data_hash": digest, "model": arguments.model, "device": arguments.device}
    line = record("word_error_rate", config, {**figures, "seconds": round(time.perf_counter() - started, 1)})
    append_line(RESULTS, line)
    print(json.dumps(line))


if __name__ == "__main__":
    main()

"""Word error rate of the recognizer on voices and sentences they were not trained on, and words invented from no speech.

    python -m benchmarks.word_error_rate --text-folder FOLDER [--sentences 200] [--non-speech-minutes 10] [--conditions all]

Sentences are the held-out ones (`training.sentences.held_out`), or with ``--texts strings`` numbers, spelled
words, addresses, dates and times as people say them (`training.ears.spoken_strings`); every kind of voice speaks all
of them, its settings in turn. Conditions: clean, 8 kHz mu-law as on a telephone, white noise at 10 dB. With
``--conditions all`` also white noise and babble at 20, 10 and 5 dB, reverberation, and three more kinds of voice:
accents, fast and slow speech. Windows of one sentence go through `models.registry`, as in the server. Scoring: both
texts in lower case, everything but letters, digits and apostrophes taken for a space; errors are substitutions,
insertions and deletions of words. Needs Debian's ``libflite1`` for the flite voices (``--engines espeak`` does without),
and what `training.ears.festival` names for ``--engines espeak flite festival``.

Prints a table, and appends a JSON line to benchmarks/results/word_error_rate.jsonl (``--no-record`` leaves it out).
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.listening_conditions import (
    BABBLE,
    CONDITIONS,
    KINDS,
    MORE_CONDITIONS,
    MORE_KINDS,
    NON_SPEECH,
    NON_SPEECH_WINDOW_S,
    Floats,
    condition,
    data_hash,
    held_out_sentences,
    non_speech_windows,
    speak_all,
    unheard_strings,
    voices_of,
)
from benchmarks.result_lines import publish
from models.hearing import RecognitionWindow, Recognizer
from models.registry import load_recognizer
from models.silero_vad import SileroDetector
from server.bench.word_alignment import align
from server.bench.words import scored_words

GATE_PROBABILITY = 0.5
GATE_SPEECH_FRAMES = 4
"""A window passes the gate with 4 frames (128 ms) of at least this probability of speech."""


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Edit distance in words, and the number of words that were said."""
    words = scored_words(said)
    return sum(pair.is_error for pair in align(words, scored_words(heard))), len(words)


def transcribe(
    recognizer: Recognizer, windows: Sequence[Floats], keyterms: Callable[[int], tuple[str, ...]] = lambda row: ()
) -> list[str]:
    """Texts, in batches of windows of similar length; ``keyterms`` gives those of each window."""
    texts = [""] * len(windows)
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    size = recognizer.info.max_batch
    for first in range(0, len(order), size):
        rows = order[first : first + size]
        results = recognizer.step([RecognitionWindow(windows[row], keyterms=keyterms(row)) for row in rows])
        for row, result in zip(rows, results, strict=True):
            texts[row] = result.text
    return texts


def measure_speech(
    recognizer: Recognizer, sentences: list[str], kinds: Sequence[str], conditions: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Word error rate in percent by kind of voice and condition."""
    table: dict[str, dict[str, float]] = {}
    for kind in kinds:
        spoken = speak_all(sentences, voices_of(kind))
        table[kind] = {}
        for name in conditions:
            heard = transcribe(recognizer, [condition(name, pcm, seed) for seed, pcm in enumerate(spoken)])
            errors = [word_errors(said, text) for said, text in zip(sentences, heard, strict=True)]
            table[kind][name] = round(100 * sum(e for e, _ in errors) / sum(n for _, n in errors), 1)
            print(f"{kind}, {name}: {table[kind][name]} %", file=sys.stderr, flush=True)
    return table


def passes_gate(detector: SileroDetector, pcm: Floats) -> bool:
    """Whether the server would decode the window at all."""
    state, speech = detector.init_state(), 0
    for first in range(0, len(pcm) - detector.frame_samples + 1, detector.frame_samples):
        probability, state = detector.step(pcm[first : first + detector.frame_samples], state)
        speech += probability >= GATE_PROBABILITY
    return speech >= GATE_SPEECH_FRAMES


def measure_non_speech(recognizer: Recognizer, kinds: Sequence[str], minutes: float) -> dict[str, dict[str, float]]:
    """Words invented per kind of signal, ``minutes`` of all kinds together, with and without the gate."""
    detector = SileroDetector()
    table: dict[str, dict[str, float]] = {}
    for kind in kinds:
        windows = list(non_speech_windows(kind, minutes / len(kinds)))
        texts = transcribe(recognizer, windows)
        passed = [passes_gate(detector, window) for window in windows]
        words = [len(scored_words(text)) for text in texts]
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, help="spread over all held-out ones; default: all, 821, or 200 strings")
    parser.add_argument("--texts", choices=("sentences", "strings"), default="sentences", help="strings: numbers, spellings")
    parser.add_argument("--non-speech-minutes", type=float, default=10.0, help="0 leaves this part out")
    parser.add_argument("--conditions", choices=("few", "all"), default="few", help="all takes about six times as long")
    parser.add_argument("--engines", nargs="+", default=["espeak", "flite"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS + MORE_KINDS, help="of voice; without it those of --conditions")
    parser.add_argument("--model", default="whisper", help="model family")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more are slower beside other work")
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    parser.add_argument("--smoke", action="store_true", help="one sentence, to see that it works; appends no line")
    arguments = parser.parse_args(argv)
    if arguments.smoke:
        arguments.sentences, arguments.non_speech_minutes, arguments.no_record = 1, 0.1, True
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    recognizer = load_recognizer(arguments.model, arguments.device, max_batch=16)
    texts = held_out_sentences if arguments.texts == "sentences" else unheard_strings
    count = arguments.sentences or (10_000 if arguments.texts == "sentences" else 200)
    sentences = texts(arguments.text_folder, count)
    every = arguments.conditions == "all"
    kinds = arguments.kinds or [kind for kind in KINDS + MORE_KINDS * every if kind.split()[0] in arguments.engines]
    conditions = CONDITIONS + MORE_CONDITIONS * every
    started = time.perf_counter()
    figures: dict[str, object] = {}
    speech = measure_speech(recognizer, sentences, kinds, conditions)
    print_table(speech, "word error rate, %")
    figures["word_error_percent"] = speech
    if arguments.non_speech_minutes > 0:
        signals = [*NON_SPEECH][: 2 if arguments.smoke else None] + [BABBLE] * every
        silence = measure_non_speech(recognizer, signals, arguments.non_speech_minutes)
        print_table(silence, "invented words")
        figures["invented_words"] = silence
    config = {
        arguments.texts: len(sentences),
        "data_hash": data_hash(sentences, kinds, conditions),
        "model": arguments.model,
        "device": arguments.device,
    }
    publish(
        "word_error_rate", config, {**figures, "seconds": round(time.perf_counter() - started, 1)}, keep=not arguments.no_record
    )


if __name__ == "__main__":
    main()

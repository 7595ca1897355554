"""Words that a Whisper checkpoint invents where nobody speaks, in our engine.

    python -m benchmarks.real_silence [--minutes 60] [--clips 200]

Two parts, read as a socket reads them, with partial texts (`benchmarks.simulated_stream.live`): an hour of silence, hum,
noise, beeps, tones, clicks and music (`benchmarks.listening_conditions.NON_SPEECH`), and clips of Kokoro's voices with
1 to 31 s of silence, line noise or hum behind them. Invented are final words more than 0.3 s from all speech, and four
or more in a row that answer to no said one; where nobody speaks, partial words count, too.

Prints a table and every invented text, and appends a JSON line to benchmarks/results/real_silence.jsonl.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.listening_conditions import NON_SPEECH
from benchmarks.real.installed import installed_model
from benchmarks.real.packages import WHISPERS
from benchmarks.real.speech_sets import Clip, kokoro
from benchmarks.result_lines import publish
from benchmarks.simulated_stream import live
from benchmarks.spoken_streams import (
    AUDIBLE,
    BACKGROUND_LEVEL,
    BACKGROUNDS,
    LONGEST_TAIL_S,
    SHORTEST_TAIL_S,
    Phrase,
    SpokenStream,
    SpokenWord,
    non_speech_streams,
)
from benchmarks.streaming_measures import Score, read_shows
from models.hearing import Recognizer
from models.registry import load_recognizer
from models.silero_vad import SAMPLE_RATE_HZ, SileroDetector
from server.bench.words import scored_words

LEAD_S = 0.3
SEED = 31
MAX_BATCH = 16


def with_silence(clips: Sequence[Clip], count: int) -> Iterator[SpokenStream]:
    """So many clips, each with a pause before it and a longer one behind it, in three backgrounds in turn."""
    rng = np.random.default_rng(SEED)
    tails_s = rng.permutation(np.linspace(SHORTEST_TAIL_S, LONGEST_TAIL_S, count))
    for number, tail_s in enumerate(tails_s):
        clip = clips[number % len(clips)]
        background = list(BACKGROUNDS)[number % len(BACKGROUNDS)]
        pcm = np.pad(clip.pcm, (round(LEAD_S * SAMPLE_RATE_HZ), round(tail_s * SAMPLE_RATE_HZ)))
        audible = np.flatnonzero(np.abs(pcm) > AUDIBLE) / SAMPLE_RATE_HZ
        words = tuple(SpokenWord(word, None, None) for word in scored_words(clip.text))
        pcm += BACKGROUNDS[background](rng, len(pcm)) * np.float32(BACKGROUND_LEVEL)
        name = f"{clip.name}, {tail_s:.1f} s of {background}"
        yield SpokenStream(name, pcm.astype(np.float32), (Phrase(words, float(audible[0]), float(audible[-1])),))


@dataclass(slots=True)
class Silence:
    """What came of streams."""

    streams: int = 0
    minutes: float = 0.0
    invented: int = 0
    """Final words."""
    partial_words: int = 0
    """Words of partial texts, counted only where nobody speaks at all."""
    texts: tuple[str, ...] = ()
    """Of the streams with any."""


def invented_in(streams: Iterator[SpokenStream], recognizer: Recognizer, detector: SileroDetector) -> Silence:
    found = Silence()
    for stream in streams:
        run = live(recognizer, detector, stream.pcm, interim=True)
        score = Score()
        score.add(stream, run)
        partial = 0 if stream.phrases else read_shows(run.shown).shown
        found.streams += 1
        found.minutes += stream.seconds / 60
        found.invented += score.invented
        found.partial_words += partial
        if score.invented or partial:
            text = " ".join(item.transcript.text for item in run.shown if item.transcript.is_final or partial)
            found.texts += (f"{stream.name}: {text}",)
    return found


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, help="folder with sentences.en.txt; default: those of benchmarks/real")
    parser.add_argument("--minutes", type=float, default=60.0, help="without speech; 0 leaves this part out")
    parser.add_argument("--clips", type=int, default=200, help="with silence behind them; 0 leaves this part out")
    parser.add_argument("--model", choices=list(WHISPERS), default="whisper-base")
    parser.add_argument("--folder", type=Path, help="a checkpoint in Hugging Face layout; default: --model is imported")
    parser.add_argument("--engine", default="auto", help="auto, torch or ctranslate2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    folder = arguments.folder or installed_model(arguments.model)
    recognizer, detector = load_recognizer("whisper", "cpu", MAX_BATCH, folder, arguments.engine), SileroDetector()
    started_s = time.perf_counter()
    figures: dict[str, dict[str, float]] = {}
    parts: dict[str, Iterator[SpokenStream]] = {}
    if arguments.minutes > 0:
        parts["no speech"] = non_speech_streams(list(NON_SPEECH), arguments.minutes)
    if arguments.clips:
        parts["silence behind speech"] = with_silence(kokoro("kokoro", arguments.text_folder), arguments.clips)
    for name, streams in parts.items():
        found = invented_in(streams, recognizer, detector)
        figures[name] = {
            "streams": found.streams,
            "minutes": round(found.minutes, 1),
            "invented words": found.invented,
            "partial words": found.partial_words,
        }
        print(f"{name:24}" + "".join(f"{figure}: {value:<10}" for figure, value in figures[name].items()))
        print("".join(f"  {text}\n" for text in found.texts), end="", flush=True)
    config = {
        "model": arguments.model,
        "engine": recognizer.info.engine,
        "minutes": arguments.minutes,
        "clips": arguments.clips,
    }
    publish(
        "real_silence", config, {**figures, "seconds": round(time.perf_counter() - started_s, 1)}, keep=not arguments.no_record
    )


if __name__ == "__main__":
    main()

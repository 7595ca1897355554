"""The recognizer as a live client meets them: long audio with gaps, silence after speech, and no speech at all.

    python -m benchmarks.streaming_recognition --text-folder FOLDER [--sentences 200] [--non-speech-minutes 60]

Three sets of audio (`benchmarks.spoken_streams`): long streams of held-out sentences with gaps of 0.5 to 20 s between
and inside them; clips of one sentence with 1 to 31 s of silence behind it; streams of noise, hum, tones and music.
Ways through the same weights: dynamic chunking as the server does it, with partial texts and without; the same windows
filled with silence to 30 s, as Whisper's own code fills them; windows of 30 s and of 5 s one after another. Time is
simulated (`benchmarks.simulated_stream`), so latencies are audio time and the same on every machine; model seconds are
processor time and are not. ``--count-operations`` counts the model's floating-point operations instead of them.

Prints a table for each set, and appends a JSON line to benchmarks/results/streaming_recognition.jsonl
(``--no-record`` leaves it out).
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.listening_conditions import BABBLE, NON_SPEECH, data_hash, held_out_sentences, voices_of
from benchmarks.result_lines import publish
from benchmarks.simulated_stream import Run, chunks, live
from benchmarks.spoken_streams import SpokenStream, long_streams, non_speech_streams, trailing_silence_clips
from benchmarks.streaming_measures import Score, error_rate_difference
from models.hearing import Recognizer
from models.silero_vad import SileroDetector
from models.whisper.model import EMBEDDED, load
from training.ears.voices import VoiceSettings

KINDS = ("espeak variants", "espeak settings", "flite settings", "flite kal16")
LONG_CHUNK_S, SHORT_CHUNK_S = 30.0, 5.0
PADDED, FIXED = "same windows, 30 s each", "fixed 30 s"
WORSE = "more word errors than the same windows"
WAYS = {
    "dynamic": "dynamic",
    "finals": "dynamic, finals only",
    "padded": PADDED,
    "fixed-30": FIXED,
    "fixed-5": "fixed 5 s",
}
"""Names for the command line and for the table."""
SENTENCES_PER_STREAM = 10

Way = Callable[[SpokenStream], Run]
Table = dict[str, dict[str, float | None]]


def with_windows_of(seconds: float, folder: Path, device: str) -> Recognizer:
    """The same weights, allowed windows longer than the server gives them."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "weights"
        shutil.copytree(folder, copy)
        config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
        (copy / "config.json").write_text(json.dumps({**config, "descant_max_window_s": seconds}), encoding="utf-8")
        return load(device, max_batch=1, folder=copy)


def ways(folder: Path, device: str, chosen: Sequence[str]) -> dict[str, Way]:
    """The ways from audio to text that are compared, in the order of `WAYS`."""
    model, long, detector = load(device, folder=folder), with_windows_of(LONG_CHUNK_S, folder, device), SileroDetector()
    every: dict[str, Way] = {
        "dynamic": lambda stream: live(model, detector, stream.pcm, interim=True),
        "finals": lambda stream: live(model, detector, stream.pcm, interim=False),
        "padded": lambda stream: live(long, detector, stream.pcm, interim=False, padded_s=LONG_CHUNK_S),
        "fixed-30": lambda stream: chunks(long, stream.pcm, LONG_CHUNK_S),
        "fixed-5": lambda stream: chunks(long, stream.pcm, SHORT_CHUNK_S),
    }
    return {title: every[name] for name, title in WAYS.items() if name in chosen}


def attention_operations(query: list[int], keys: list[int], values: list[int], *_: object, **__: object) -> int:
    """Of fused attention on CPUs, which torch does not count by itself."""
    counted: int = sdpa_flop_count(query, keys, values)  # type: ignore[no-untyped-call]
    return counted


def counted(way: Way) -> Way:
    """The same way with its operations counted, and without its processor time, which counting multiplies."""
    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def run(stream: SpokenStream) -> Run:
        with FlopCounterMode(display=False, custom_mapping={fused: attention_operations}) as counter:
            result = way(stream)
        return replace(result, operations=counter.get_total_flops(), cpu_s=0.0)

    return run


def measure(streams: Iterable[SpokenStream], compared: dict[str, Way], title: str, verbose: bool) -> Table:
    """A row of figures for each way."""
    scores = {name: Score() for name in compared}
    for stream in streams:
        for name, way in compared.items():
            run = way(stream)
            before = scores[name].invented
            scores[name].add(stream, run)
            if verbose:
                text = "".join(s.transcript.text for s in run.shown if s.transcript.is_final).strip()
                print(f"{title} | {stream.name} | {name} | {text}", file=sys.stderr, flush=True)
            if scores[name].invented > before:
                invented = scores[name].invented - before
                print(f"{title} | {stream.name} | {name}: {invented} invented", file=sys.stderr, flush=True)
    table = {name: score.figures() for name, score in scores.items()}
    compare_errors(table, scores)
    return table


def compare_errors(table: Table, scores: dict[str, Score]) -> None:
    """Adds to each row its word errors less those of the same windows filled to 30 s, with bounds of 95 %."""
    base = scores.get(PADDED)
    if base is None or not sum(base.said_by_stream):
        return
    for name, score in scores.items():
        more, low, high = error_rate_difference(score, base)
        table[name] |= {f"{WORSE}, points": more, f"{WORSE}, at least": low, f"{WORSE}, at most": high}


def compare_compute(table: Table) -> None:
    """Adds to each row its compute over that of windows of 30 s: one after another, and those of dynamic chunking."""
    for name in (PADDED, FIXED):
        base = table.get(name)
        for row in table.values():
            for figure in ("model seconds", "encoded seconds", "10^12 operations"):
                whole, part = base and base[f"{figure} per hour"], row[f"{figure} per hour"]
                row[f"{figure} / {name}"] = round(part / whole, 3) if whole and part is not None else None


def print_table(table: Table, title: str) -> None:
    """Figures downwards, ways across."""
    print(f"{title:48}" + "".join(f"{name:>26}" for name in table))
    for figure in next(iter(table.values())):
        cells = ["-" if row[figure] is None else str(row[figure]) for row in table.values()]
        print(f"{figure:48}" + "".join(f"{cell:>26}" for cell in cells))
    print(flush=True)


def mixed_voices(engines: Sequence[str]) -> list[VoiceSettings]:
    """Held-out voices of every kind, the kinds in turn."""
    kinds = [voices_of(kind) for kind in KINDS if kind.split()[0] in engines]
    most = max(len(voices) for voices in kinds)
    return [voices[place] for place in range(most) for voices in kinds if place < len(voices)]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, default=200, help="in long streams, ten each; 0 leaves this part out")
    parser.add_argument("--clips", type=int, default=200, help="with trailing silence; 0 leaves this part out")
    parser.add_argument("--non-speech-minutes", type=float, default=60.0, help="0 leaves this part out")
    parser.add_argument("--engines", nargs="+", default=["espeak", "flite"])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--weights", type=Path, default=EMBEDDED, help="folder of a Whisper checkpoint")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more are slower beside other work")
    parser.add_argument("--count-operations", action="store_true", help="instead of processor time")
    parser.add_argument("--verbose", action="store_true", help="print the texts")
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    parser.add_argument("--smoke", action="store_true", help="a few sentences, to see that it works; appends no line")
    arguments = parser.parse_args(argv)
    if arguments.smoke:
        arguments.sentences, arguments.clips, arguments.non_speech_minutes, arguments.no_record = 2, 1, 0.2, True
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    compared = ways(arguments.weights, arguments.device, arguments.ways)
    if arguments.count_operations:
        compared = {name: counted(way) for name, way in compared.items()}
    voices = mixed_voices(arguments.engines)
    sentences = held_out_sentences(arguments.text_folder, max(arguments.sentences, arguments.clips))
    parts: dict[str, Iterable[SpokenStream]] = {}
    if arguments.sentences:
        parts["long audio with gaps"] = long_streams(sentences[: arguments.sentences], voices, SENTENCES_PER_STREAM)
    if arguments.clips:
        parts["trailing silence"] = trailing_silence_clips(sentences[: arguments.clips], voices)
    if arguments.non_speech_minutes > 0:
        signals = list(NON_SPEECH)[: 2 if arguments.smoke else None]
        parts["no speech"] = non_speech_streams(signals, arguments.non_speech_minutes)
        parts["babble"] = non_speech_streams([BABBLE], arguments.non_speech_minutes / len(signals))
    tables: dict[str, Table] = {}
    for title, streams in parts.items():
        tables[title] = measure(streams, compared, title, arguments.verbose)
        compare_compute(tables[title])
        print_table(tables[title], title)
    kinds = [kind for kind in KINDS if kind.split()[0] in arguments.engines]
    config = {
        "sentences": arguments.sentences,
        "clips": arguments.clips,
        "non_speech_minutes": arguments.non_speech_minutes,
        "data_hash": data_hash(sentences, kinds, list(parts)),
        "model": "whisper",
        "device": arguments.device,
        "threads": arguments.threads,
    }
    publish("streaming_recognition", config, tables, keep=not arguments.no_record)


if __name__ == "__main__":
    main()

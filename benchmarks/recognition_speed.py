"""How fast a Whisper checkpoint is read: beside faster-whisper with the same weights, live, and against older code.

    python -m benchmarks.recognition_speed [--parts files streams embedded] [--rounds 3] [--old COMMIT]

"files": whole files through our engine as ``POST /stt`` reads them, with as many threads a step as the server takes,
beside faster-whisper in int8 with the same number of beams and with each number of threads, in turn in one process.
"streams": `descant bench stt` sends human recordings and Kokoro's sentences in real time to a server that has the
checkpoint installed. "embedded": the packaged recognizer of this checkout and of an older commit, in two processes of
one thread that read the same clips in turn.

Ratios are over ours (files) or over this checkout (embedded), by round: median, lowest, highest; over 1, ours is faster.
Processor seconds say more than seconds where other work shares the machine. Prints tables, and appends a JSON line to
benchmarks/results/recognition_speed.jsonl (``--no-record`` leaves it out).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.listening_conditions import speak_all, voices_of
from benchmarks.real.installed import MODELS_VARIABLE, installed_model, store_folder
from benchmarks.real.material import material
from benchmarks.real.packages import WHISPERS
from benchmarks.real.readers import PEER_BEAMS, PEER_WEIGHTS, FasterWhisper, Reader, Whole
from benchmarks.real.speech_sets import Clip, add_folders, data_hash, kokoro, recordings, sentences_of
from benchmarks.result_lines import publish
from benchmarks.side_by_side import Rounds, Times, in_turns, print_rows, ratios, total_s
from models.cpu_cores import usable_cores
from models.silero_vad import SileroDetector
from models.whisper.model import load

OURS, PEER = "descant", "faster-whisper int8"
NEW, OLD = "this checkout", "before"
OLD_COMMIT = "1b2a732"
"""The last one before any real checkpoint was read."""
SENTENCES = 20
EMBEDDED_VOICES = "espeak variants"
"""Kind of voice that the packaged recognizer reads: it was trained on such."""
WORKER = Path(__file__).parent / "real" / "embedded_worker.py"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.add_argument(
        "--parts", nargs="+", choices=("files", "streams", "embedded"), default=["files", "streams", "embedded"]
    )
    parser.add_argument("--model", choices=list(WHISPERS), default="whisper-base")
    parser.add_argument("--engine", default="auto", help="ours: auto, torch or ctranslate2")
    parser.add_argument("--beams", type=int, default=PEER_BEAMS, help="of both engines, for files")
    parser.add_argument("--threads", type=int, default=1, help="of ours, for files; the server measures it at its start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", default="1,2", help="numbers of streams at once")
    parser.add_argument("--utterances", type=int, default=30, help="of each stream; 30 are all clips")
    parser.add_argument("--old", default=OLD_COMMIT, metavar="COMMIT")
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    return parser.parse_args(argv)


def files(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Figures of each engine on whole files."""
    clips = [*recordings(arguments.human_folder), *kokoro("kokoro", arguments.text_folder)[:SENTENCES]]
    torch.set_num_threads(arguments.threads)
    recognizer = load("cpu", 16, installed_model(arguments.model), arguments.beams, engine=arguments.engine)
    readers: dict[str, Reader] = {OURS: Whole(recognizer, SileroDetector())}
    for threads in range(1, usable_cores() + 1):
        readers[f"{PEER}, {threads} threads"] = FasterWhisper(material(WHISPERS[arguments.model]), threads, arguments.beams)
    _, times = in_turns({name: partial(_read, read, clips) for name, read in readers.items()}, len(clips), arguments.rounds)
    audio_s = sum(clip.seconds for clip in clips)
    rows = {name: _seconds(times, name, audio_s) for name in readers}
    rows[OURS]["engine"] = recognizer.info.engine
    for peer in [*readers][1:]:
        rows[peer] |= {
            "seconds / ours": ratios(times, peer, OURS, "wall_s"),
            "processor s / ours": ratios(times, peer, OURS, "processor_s"),
        }
    return rows


def _read(read: Reader, clips: Sequence[Clip], piece: int) -> Iterator[str]:
    return iter([read(clips[piece])])


def _seconds(times: Rounds, name: str, audio_s: float) -> dict[str, object]:
    return {
        "s per s": round(total_s(times, name, "wall_s") / audio_s, 4),
        "processor s per s": round(total_s(times, name, "processor_s") / audio_s, 4),
    }


def streams(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Lines of `descant bench stt`, one per number of streams."""
    clips = [*recordings(arguments.human_folder), *kokoro("kokoro", arguments.text_folder)[:SENTENCES]]
    installed_model(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        paths = [_as_file(Path(folder), number, clip) for number, clip in enumerate(clips)]
        command = [sys.executable, "-m", "server", "bench", "stt", "--json", "--model", arguments.model]
        command += ["--streams", arguments.streams, "--utterances", str(arguments.utterances)]
        command += [option for path in paths for option in ("--wav", str(path))]
        command += ["--", "--recognition-model", arguments.model]
        environment = {**os.environ, MODELS_VARIABLE: str(store_folder()), "DESCANT_DATA_DIR": folder}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _as_file(folder: Path, number: int, clip: Clip) -> Path:
    import soundfile

    path = folder / f"{number:03}.wav"
    soundfile.write(path, clip.pcm, 16_000, subtype="PCM_16")
    path.with_suffix(".txt").write_text(clip.text, "utf-8")
    return path


def embedded(arguments: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Figures of the packaged recognizer of this checkout and of an older one."""
    spoken = speak_all(sentences_of(arguments.text_folder)[:SENTENCES], voices_of(EMBEDDED_VOICES))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "clips.npz", **{str(number): pcm for number, pcm in enumerate(spoken)})  # type: ignore[arg-type]
        here = Path(__file__).resolve().parents[1]
        checkouts = {NEW: here, OLD: stack.enter_context(checkout(here, arguments.old, folder / "old"))}
        ask = {name: stack.enter_context(worker(path, folder / "clips.npz")) for name, path in checkouts.items()}
        times: Rounds = {name: [] for name in ask}
        for read in ask.values():
            read(0)
        for round_number in range(arguments.rounds):
            for name in ask:
                times[name].append([])
            for piece in range(len(spoken)):
                names = list(ask) if (round_number + piece) % 2 else list(ask)[::-1]
                for name in names:
                    answer = ask[name](piece)
                    times[name][-1].append(Times(answer["wall_s"], answer["wall_s"], answer["processor_s"]))
    rows = {name: _seconds(times, name, sum(len(pcm) for pcm in spoken) / 16_000) for name in times}
    rows[OLD] |= {f"{field} / now": ratios(times, OLD, NEW, field) for field in ("wall_s", "processor_s")}
    return rows


@contextmanager
def checkout(repository: Path, commit: str, folder: Path) -> Iterator[Path]:
    """The repository at another commit, for the length of the block."""
    git = ["git", "-C", str(repository), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


@contextmanager
def worker(code: Path, clips: Path) -> Iterator[Callable[[int], Mapping[str, Any]]]:
    """A process with the code of ``code``; what it gives for the number of a clip."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", str(WORKER), str(clips)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=code
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(clip: int) -> Mapping[str, Any]:
            print(clip, file=requests, flush=True)
            return _answer(answers.readline(), code)

        _answer(answers.readline(), code)
        yield ask
        requests.close()


def _answer(line: str, code: Path) -> Mapping[str, Any]:
    if not line:
        raise SystemExit(f"error: the recognizer of {code} ended; see above")
    answer: Mapping[str, Any] = json.loads(line)
    return answer


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    figures: dict[str, object] = {"load_average": round(os.getloadavg()[0], 1)}
    if "files" in arguments.parts:
        figures["files"] = rows = files(arguments)
        print_rows("whole files", rows)
    if "embedded" in arguments.parts:
        figures["embedded"] = rows = embedded(arguments)
        print_rows("packaged recognizer", rows)
    if "streams" in arguments.parts:
        figures["streams"] = streams(arguments)
        print(json.dumps(figures["streams"], indent=1))
    config = {
        "model": arguments.model,
        "beams": arguments.beams,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "peer": {"weights": PEER_WEIGHTS, "version": version("faster-whisper"), "ctranslate2": version("ctranslate2")},
        "old": arguments.old,
        "data": data_hash(kokoro("kokoro", arguments.text_folder)),
    }
    publish("recognition_speed", config, figures, keep=not arguments.no_record)


if __name__ == "__main__":
    main()

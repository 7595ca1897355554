"""Our recognizer and our voice beside other open engines: one process, one thread, same audio, same text.

    OMP_NUM_THREADS=1 python -m benchmarks.peers --text-folder FOLDER

Recognizer: the embedded checkpoint in faster-whisper (CTranslate2) and transformers. Voice: VITS (the network of Piper),
Kokoro and pocket-tts, with **random weights** of their published size, made to speak as long as ours does; what is
compared is their speed, never their sound. What that means is in benchmarks/README.md. Voices that are not in the dev
group are left out if they are missing:

    pip install --group peers              # pocket-tts (MIT); what Kokoro's network imports
    pip install --no-deps kokoro==0.9.4    # Apache-2.0; its dependencies are its text front end, which is not used

Takes about 8 minutes of one core. Prints tables, and appends a JSON line to benchmarks/results/peers.jsonl
(``--no-record`` leaves it out).
"""

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks import peers_ears, peers_voice
from benchmarks.listening_conditions import data_hash, held_out_sentences, speak_all, voices_of
from benchmarks.result_lines import publish
from benchmarks.side_by_side import print_rows

KIND = "espeak variants"
"""Of voice that the recognizer listens to."""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", nargs="+", choices=("ears", "voice"), default=["ears", "voice"])
    parser.add_argument("--no-record", action="store_true", help="print only, append no line of results")
    parser.add_argument("--smoke", action="store_true", help="one sentence, few engines, to see that it works; appends no line")
    arguments = parser.parse_args(argv)
    if arguments.smoke:
        arguments.sentences, arguments.rounds, arguments.no_record = 1, 1, True
    return arguments


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    torch.set_num_threads(1)
    sentences = held_out_sentences(arguments.text_folder, arguments.sentences)
    figures: dict[str, object] = {"load_average": round(os.getloadavg()[0], 1)}
    if "ears" in arguments.side:
        spoken = speak_all(sentences, voices_of(KIND))
        figures["ears"] = ears = {}
        for beams in (1,) if arguments.smoke else (1, peers_ears.POLICY.beams):
            ears[beams] = peers_ears.compare(sentences, spoken, beams, arguments.rounds)
            print_rows(f"ears, beams: {beams}", ears[beams])
    if "voice" in arguments.side:
        names = ["VITS"] if arguments.smoke else [*peers_voice.PEERS]
        figures["voice"] = voice = peers_voice.compare(sentences, arguments.text_folder, names, arguments.rounds)
        print_rows("voice", voice)
    packages = ("torch", "transformers", "faster-whisper", "ctranslate2", "kokoro", "pocket-tts")
    config = {
        "sentences": len(sentences),
        "rounds": arguments.rounds,
        "data_hash": data_hash(sentences, [KIND], ["clean"]),
        "packages": {package: installed(package) for package in packages},
    }
    publish("peers", config, figures, keep=not arguments.no_record)


if __name__ == "__main__":
    main()

"""What keyterms do: errors on rare names that are given as terms, and word errors of sentences without these names.

    python -m benchmarks.keyterms --text-folder FOLDER [--names test|tuning] [--ordinary 100] [--engines espeak flite]

Every name is said once, in a sentence built from a template, by the held-out settings of the voices in turn. A name is
right if its words stand in the text in order, in any case. It is heard without terms, with all names as terms, and with
the right one among 10 and 30. The first held-out sentences (`training.sentences`) are heard with none and with all
names as terms. The numbers in models/whisper/keyterms.py were chosen with the names for tuning only.
Needs Debian's ``libflite1`` for the flite voices; ``--engines espeak`` does without.

Prints a table, and with ``--record`` appends a JSON line to benchmarks/results/keyterms.jsonl.
"""

import argparse
import hashlib
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.result_lines import publish
from benchmarks.word_error_rate import transcribe
from models.hearing import Recognizer
from models.registry import load_recognizer
from server.bench.words import scored_words
from training.ears.speech import Speaker
from training.ears.voices import held_out_settings
from training.sentences import held_out, load_sentences

Floats = NDArray[np.float32]
LEVEL = np.float32(0.7)
SMALL_LISTS = (10, 30)
KINDS = {"espeak": "espeak settings", "flite": "flite settings"}

TEST_NAMES = tuple("""
Abernathy Adebayo Ainsworth Amundsen Anselmo Arkwright Balthazar Bannerjee Beaumont Bellweather Bertolini Blomquist
Brannigan Brzezinski Calloway Castellano Chadwick Corrigan Cumberbatch Delacroix Dmitrov Drummond Eisenberg Eskandari
Falconer Fairweather Ferrante Fotheringham Gallowglass Ghirardelli Goldsworthy Grunewald Hargreaves Hathersage
Hawthorne Hollingbury Ibanez Ingersoll Ivanova Jankowski Jellicoe Kaczmarek Kilpatrick Kirkbride Kobayashi Lachlan
Lavington Lindqvist Lombardi MacPherson Magnusson Marchetti Mbeki McAllister Mortensen Nakamura Nethercott Nguyen
Norrington Obadiah Okafor Ollerenshaw Ostrander Pankhurst Papadakis Pemberton Penhallow Petrovna Prendergast Quenneville
Quigley Rasmussen Ravenscroft Rosenthal Rutherglen Salvatore Santorini Satterthwaite Silvestri Skarsgard Sommerville
Stavropoulos Szymanski Takahashi Thackeray Tiberius Tomlinson Trevelyan Ullrich Underhill Vandermeer Vasquez Villanueva
Wainwright Weatherby Whitlock Wolverton Yamaguchi Yevgeny Zielinski
""".split())  # fmt: skip
TUNING_NAMES = tuple("""
Alderton Antonelli Bagshaw Bartholomew Bickerstaff Bonaventure Buchanan Carmichael Cavendish Cholmondeley Dandridge
Davenport Donatello Ellsworth Erikson Featherstone Fitzwilliam Gillespie Giordano Gustafson Halvorsen Henriksen Huxtable
Isherwood Jacobsen Jovanovic Kensington Kowalski Kristofferson Lancashire Leibowitz Littlewood Lundgren Malinowski
Mendelson Montague Moriarty Nakagawa Nightingale Oberlin Ocampo Oppenheim Palmerston Pasquale Peregrine Pickering
Ramanujan Rodriguez Rothwell Sakamoto Schumacher Sinclair Strickland Tanaka Throckmorton Uchida Valentino Wakefield
Winterbourne Zimmerman
""".split())  # fmt: skip
TEMPLATES = (
    "I spoke with {} about the house yesterday.",
    "Please ask {} to call me back this afternoon.",
    "{} will be here at nine in the morning.",
    "The letter was signed by {}.",
    "Do you know where {} lives now?",
    "We have a table for {} at eight.",
    "My name is {} and I have a question.",
    "She told {} that the train was late.",
    "Can you put me through to {}, please?",
    "There is a package for {} at the front door.",
    "Doctor {} can see you on Monday.",
    "It was {} who found the old book.",
    "{} and his brother went to the river.",
    "Send the papers to {} as soon as you can.",
    "I think that {} has never been there before.",
    "The meeting with {} was very short.",
    "Nobody had seen {} since the summer.",
    "Is {} still working in the other office?",
    "He gave the money to {} last week.",
    "Good evening, this is {} speaking.",
)


def scored(text: str) -> str:
    return " ".join(scored_words(text))


def has_name(text: str, name: str) -> bool:
    return f" {scored(name)} " in f" {scored(text)} "


def names_wrong_percent(names: Sequence[str], texts: Sequence[str]) -> float:
    return round(100 * sum(not has_name(text, name) for name, text in zip(names, texts, strict=True)) / len(names), 1)


def word_error_percent(said: Sequence[str], heard: Sequence[str]) -> float:
    return round(100 * jiwer.wer([scored(s) for s in said], [scored(h) for h in heard]), 2)


def ordinary_sentences(folder: Path, count: int, names: Sequence[str]) -> list[str]:
    """The first held-out sentences of at least four words, without digits and without the names."""
    known = {scored(name) for name in names}
    chosen = (
        sentence
        for sentence in load_sentences(folder)
        if held_out(sentence) and not re.search(r"\d", sentence) and len(words := scored_words(sentence)) >= 4
        and not known.intersection(words)
    )  # fmt: skip
    return [sentence for sentence, _ in zip(chosen, range(count), strict=False)]


def speak(speaker: Speaker, sentences: Sequence[str], kind: str) -> list[Floats]:
    voices = held_out_settings(kind)
    return [speaker.say(text, voices[index % len(voices)]).pcm * LEVEL for index, text in enumerate(sentences)]


def among(names: Sequence[str], size: int) -> Callable[[int], tuple[str, ...]]:
    """For each window, so many terms: its own name and those that follow in the list."""
    return lambda row: tuple(names[(row + other) % len(names)] for other in range(min(size, len(names))))


def measure(recognizer: Recognizer, kind: str, names: Sequence[str], ordinary: Sequence[str]) -> dict[str, float]:
    """Percentages for one kind of voice."""
    speaker = Speaker()
    sentences = [TEMPLATES[(index * 7) % len(TEMPLATES)].format(name) for index, name in enumerate(names)]
    spoken = speak(speaker, sentences, kind)
    everything = tuple(names)
    plain = transcribe(recognizer, spoken, lambda row: ())
    helped = transcribe(recognizer, spoken, lambda row: everything)
    row = {
        "names wrong": names_wrong_percent(names, plain),
        f"of {len(names)} terms": names_wrong_percent(names, helped),
    }
    for size in SMALL_LISTS:
        row[f"of {size} terms"] = names_wrong_percent(names, transcribe(recognizer, spoken, among(names, size)))
    row["sentence WER"] = word_error_percent(sentences, plain)
    row["WER with terms"] = word_error_percent(sentences, helped)
    spoken = speak(speaker, ordinary, kind)
    plain, biased = (transcribe(recognizer, spoken, lambda row, terms=terms: terms) for terms in ((), everything))  # type: ignore[misc]
    row["ordinary WER"] = word_error_percent(ordinary, plain)
    row["ordinary with terms"] = word_error_percent(ordinary, biased)
    row["false names"] = sum(has_name(text, name) for text in biased for name in names)
    return row


def print_table(table: dict[str, dict[str, float]]) -> None:
    print("percent")
    for column in next(iter(table.values())):
        print(f"  {column:24}" + "".join(f"{kind}: {row[column]:<10}" for kind, row in table.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--names", choices=("test", "tuning"), default="test")
    parser.add_argument("--ordinary", type=int, default=100, help="sentences without the names")
    parser.add_argument("--engines", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--model", default="whisper", help="model family")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of torch; more are slower beside other work")
    parser.add_argument("--record", action="store_true", help="append the line to benchmarks/results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recognizer = load_recognizer(arguments.model, arguments.device, max_batch=16)
    names = TEST_NAMES if arguments.names == "test" else TUNING_NAMES
    ordinary = ordinary_sentences(arguments.text_folder, arguments.ordinary, names)
    started = time.perf_counter()
    table: dict[str, dict[str, float]] = {}
    for engine in arguments.engines:
        table[KINDS[engine]] = measure(recognizer, KINDS[engine], names, ordinary)
        print(f"{engine} done", file=sys.stderr, flush=True)
    print_table(table)
    digest = hashlib.sha256("\n".join([*names, *TEMPLATES, *ordinary]).encode()).hexdigest()[:12]
    config = {
        "names": arguments.names, "terms": len(names), "ordinary": len(ordinary), "data_hash": digest,
        "model": arguments.model, "device": arguments.device,
    }  # fmt: skip
    publish("keyterms", config, {"percent": table, "seconds": round(time.perf_counter() - started, 1)}, keep=arguments.record)


if __name__ == "__main__":
    main()

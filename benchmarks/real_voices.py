"""Kokoro in our engine beside its published ONNX graph: the same int8 weights, the same sentences, one core each.

    OMP_NUM_THREADS=1 python -m benchmarks.real_voices [--voices af_heart ...] [--sentences 50] [--no-record]

Installs the pinned packages (`benchmarks.real.material`) and imports the graph with ``descant models import``. Both read the
phones of our front end. Word errors are counted of what whisper-base (faster-whisper, int8) writes down of each; processor
seconds per second of speech by the process's clock, the voices in turns sentence by sentence. First audio is what a listener
waits for the first sound of a paragraph of three sentences, by wall clock: ours gives the first clause, kokoro-onnx the first
piece that its users get, a sentence.

Prints a table, and appends a JSON line to benchmarks/results/real_voices.jsonl.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.real.installed import installed_model
from benchmarks.real.kokoro import RATE_HZ, Floats, KokoroVoice
from benchmarks.real.material import material
from benchmarks.real.packages import KOKORO, WHISPER_BASE
from benchmarks.real.readers import FasterWhisper, Reader
from benchmarks.real.scoring import Errors, errors, total
from benchmarks.real.speech_sets import OWN_SENTENCES, VOICES, Clip
from benchmarks.result_lines import publish
from models.registry import load_synthesizer
from models.speaking import audio_of, steps_of
from models.speech import Synthesizer, Utterance
from models.voices import Voice
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd

OURS, THEIRS = "descant", "onnxruntime"
PARAGRAPH = (
    "When the ferry had left, the harbour fell silent again. Nobody spoke until the lights were out of sight. "
    "Then, one after another, they walked home along the wall."
)


@dataclass(slots=True)
class Tally:
    """What one engine did."""

    clips: list[Clip] = field(default_factory=list)
    errors: list[Errors] = field(default_factory=list)
    processor_s: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(clip.seconds for clip in self.clips)


class OurVoice:
    """The installed Kokoro in our engine, from text on."""

    def __init__(self, folder: Path) -> None:
        self.model: Synthesizer = load_synthesizer("kokoro", "cpu", 1, folder=folder)
        self.voices = {voice.id: voice for voice in self.model.info.voices}
        self._front_end = TextFrontEnd({voice.tongue for voice in self.model.info.voices})

    def utterances(self, text: str, voice: Voice) -> list[Utterance]:
        return [segment.utterance for segment in read_whole(self._front_end, text, language=voice.tongue)]

    def say(self, text: str, voice_id: str) -> Floats:
        """Samples [S] at 16 kHz."""
        voice = self.voices[voice_id]
        spoken = list(steps_of(self.model, [(voice, self.utterances(text, voice))]))
        pcm = soxr.resample(audio_of(given[0] for given in spoken), self.model.info.sample_rate_hz, RATE_HZ)
        return np.asarray(pcm, np.float32)

    def first_audio_s(self, text: str, voice_id: str) -> float:
        voice = self.voices[voice_id]
        begin_s = time.perf_counter()
        for given in steps_of(self.model, [(voice, self.utterances(text, voice))]):
            if len(given[0].pcm):
                return time.perf_counter() - begin_s
        raise ValueError(f"{text!r} gave no audio")


def compare(
    ours: OurVoice, theirs: KokoroVoice, texts: Sequence[str], voices: Sequence[str], reader: Reader
) -> dict[str, Tally]:
    """Every text in every voice by both."""
    tallies = {OURS: Tally(), THEIRS: Tally()}
    for voice in voices:
        for number, text in enumerate(texts):
            for name, say in ((OURS, ours.say), (THEIRS, theirs.say)):
                begin_s = time.process_time()
                pcm = say(text, voice)
                tallies[name].processor_s += time.process_time() - begin_s
                clip = Clip(f"{number:03}-{voice}", ours.voices[voice].language, text, pcm)
                tallies[name].clips.append(clip)
                tallies[name].errors.append(errors(text, reader(clip), clip.language))
    return tallies


def first_audio_s(ours: OurVoice, theirs: KokoroVoice, voice: str, rounds: int) -> dict[str, float]:
    """The least of several, in turns."""
    least = {OURS: float("inf"), THEIRS: float("inf")}
    first_sentence = PARAGRAPH.partition(". ")[0] + "."
    for _ in range(rounds):
        least[OURS] = min(least[OURS], ours.first_audio_s(PARAGRAPH, voice))
        begin_s = time.perf_counter()
        theirs.say(first_sentence, voice)
        least[THEIRS] = min(least[THEIRS], time.perf_counter() - begin_s)
    return least


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", nargs="+", default=list(VOICES))
    parser.add_argument("--sentences", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="of the paragraph whose first audio is measured")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    folder = material(KOKORO)
    ours, theirs = OurVoice(installed_model(KOKORO.name)), KokoroVoice(folder)
    reader = FasterWhisper(material(WHISPER_BASE), threads=1)
    texts = OWN_SENTENCES.read_text(encoding="utf-8").splitlines()[: args.sentences]
    tallies = compare(ours, theirs, texts, args.voices, reader)
    waits = first_audio_s(ours, theirs, args.voices[0], args.rounds)
    figures = {
        name: {
            "word errors, %": round(total(tally.errors).percent, 2),
            "speech, s": round(tally.seconds, 1),
            "processor s per s": round(tally.processor_s / tally.seconds, 3),
            "first audio, s": round(waits[name], 3),
        }
        for name, tally in tallies.items()
    }
    for name, row in figures.items():
        print(f"{name:<12}" + "  ".join(f"{title}: {value}" for title, value in row.items()))
    config = {"voices": args.voices, "sentences": len(texts), "threads": 1, "weights": "int8, published"}
    publish("real_voices", config, figures, keep=not args.no_record)


if __name__ == "__main__":
    main()

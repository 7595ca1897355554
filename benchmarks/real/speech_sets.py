"""Sets of natural speech with its words: sentences said by Kokoro, people, nine languages, and what is said twice.

    python -m benchmarks.real.speech_sets [--human-folder FOLDER] [--text-folder FOLDER]

makes the sets that Kokoro says, NAME.wav of 16 bits with NAME.txt beside it, in the cache, and prints where they are.
The same texts give the same samples on every run.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.listening_conditions import condition, held_out_sentences
from benchmarks.real.kokoro import RATE_HZ, KokoroVoice
from benchmarks.real.material import cache_folder, made_once, material
from benchmarks.real.packages import KOKORO, LANGUAGES

Floats = NDArray[np.float32]

OWN_SENTENCES = Path(__file__).parent / "sentences.en.txt"
"""Written for these sets, so that they need no other folder; no recipe trains on them."""
DEFAULT_HUMAN_FOLDER = Path("../shared/real-speech")
VOICES = ("af_heart", "am_michael", "bf_emma", "am_puck", "bm_george", "af_bella")
SENTENCES = 120
CONDITIONS = {"kokoro": "clean", "kokoro-mulaw": "8 kHz mu-law", "kokoro-noise": "white noise 10 dB"}
"""Sets of the same sentences, by what happens to them on the way (`benchmarks.listening_conditions.condition`)."""
TWICE = (
    "Ah, that's a good story. Ah, that's a good story.",
    "It was the best of times, it was the worst of times, it was the age of wisdom.",
    "No, no, no. I said no.",
    "Try again. Fail again. Fail better. Try again. Fail again. Fail better.",
)
"""What is said is written as often as it is said. The voices say each of them."""
BEST_OF_TIMES_S = 6.4
"""The human recording two_cities.wav holds "... it was the age of wisdom" up to here, in the middle of a pause."""
LEVEL_STEPS = 2**15


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of speech and what is said in it."""

    name: str
    language: str
    """ISO 639-1."""
    text: str
    pcm: Floats
    """[S] at 16 kHz."""

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE_HZ


def read_audio(path: Path) -> Floats:
    """Mono at 16 kHz."""
    pcm, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mixed = pcm.mean(axis=1)
    resampled: Floats = mixed if rate_hz == RATE_HZ else soxr.resample(mixed, rate_hz, RATE_HZ).astype(np.float32)
    return resampled


def recordings(folder: Path) -> list[Clip]:
    """English, NAME.wav with its words in NAME.txt. Raises FileNotFoundError if there are none."""
    paths = sorted(path for path in folder.glob("*.wav") if path.with_suffix(".txt").is_file())
    if not paths:
        raise FileNotFoundError(f"{folder}: no recordings (NAME.wav with the words in NAME.txt)")
    return [Clip(path.stem, "en", path.with_suffix(".txt").read_text("utf-8").strip(), read_audio(path)) for path in paths]


def languages() -> list[Clip]:
    """Three short clips in each of nine languages."""
    paths = sorted(material(LANGUAGES).glob("*/*.wav"))
    texts = [path.with_suffix(".txt").read_text("utf-8").strip() for path in paths]
    return [
        Clip(f"{path.parent.name}/{path.stem}", path.parent.name, text, read_audio(path))
        for path, text in zip(paths, texts, strict=True)
    ]


def sentences_of(text_folder: Path | None) -> list[str]:
    """Our own, or the held-out ones of a folder with sentences.en.txt."""
    if text_folder is not None:
        return held_out_sentences(text_folder, SENTENCES)
    return OWN_SENTENCES.read_text("utf-8").splitlines()


def kokoro(name: str, text_folder: Path | None) -> list[Clip]:
    """Sentences by six voices in turn, in one of `CONDITIONS`."""
    sentences = sentences_of(text_folder)
    said = [(sentence, VOICES[index % len(VOICES)]) for index, sentence in enumerate(sentences)]
    if name == "kokoro":
        return _said(name, said)
    clean = kokoro("kokoro", text_folder)

    def make(unfinished: Path) -> None:
        for seed, clip in enumerate(clean):
            _write(unfinished, clip.name, clip.text, condition(CONDITIONS[name], clip.pcm, seed))

    return recordings(made_once(_folder(name, said), make))


def twice(human_folder: Path) -> list[Clip]:
    """Phrases that are said again, by every voice, and the beginning of A Tale of Two Cities by a person."""
    clips = _said("twice", [(text, voice) for text in TWICE for voice in VOICES])
    recording = human_folder / "two_cities.wav"
    if recording.is_file():
        clips.append(Clip("two_cities beginning", "en", TWICE[1], read_audio(recording)[: round(BEST_OF_TIMES_S * RATE_HZ)]))
    return clips


def _said(name: str, texts: Sequence[tuple[str, str]]) -> list[Clip]:
    """Texts, each by its voice."""

    def make(unfinished: Path) -> None:
        speaker = KokoroVoice(material(KOKORO))
        for index, (text, voice) in enumerate(texts):
            _write(unfinished, f"{index:03}-{voice}", text, speaker.say(text, voice))

    return recordings(made_once(_folder(name, texts), make))


def _folder(name: str, texts: Sequence[tuple[str, str]]) -> Path:
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:8]
    return cache_folder() / "speech" / f"{name}-{digest}"


def _write(folder: Path, name: str, text: str, pcm: Floats) -> None:
    soundfile.write(folder / f"{name}.wav", np.clip(pcm, -1, 1 - 1 / LEVEL_STEPS), RATE_HZ, subtype="PCM_16")
    (folder / f"{name}.txt").write_text(text, "utf-8")


SETS: dict[str, Callable[[Path | None, Path], list[Clip]]] = {
    **{name: lambda texts, _, name=name: kokoro(name, texts) for name in CONDITIONS},  # type: ignore[misc]
    "human": lambda _, folder: recordings(folder),
    "languages": lambda *_: languages(),
    "twice": lambda _, folder: twice(folder),
}
"""By name; made from the folder of sentences, if there is one, and the folder of recordings."""


def data_hash(clips: Sequence[Clip]) -> str:
    """Twelve hex digits of all samples and words."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.text.encode() + clip.pcm.tobytes())
    return digest.hexdigest()[:12]


def add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text-folder", type=Path, help="folder with sentences.en.txt; default: the sentences in this folder")
    parser.add_argument("--human-folder", type=Path, default=DEFAULT_HUMAN_FOLDER, help="recordings NAME.wav, words NAME.txt")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    arguments = parser.parse_args(argv)
    for name, make in SETS.items():
        clips = make(arguments.text_folder, arguments.human_folder)
        minutes = sum(clip.seconds for clip in clips) / 60
        print(f"{name}: {len(clips)} clips, {minutes:.1f} minutes, data {data_hash(clips)}")
    print(f"in {cache_folder() / 'speech'}")


if __name__ == "__main__":
    main()

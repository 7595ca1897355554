"""Clones of ten speakers that neither training nor tuning heard: does each sound like its own speaker, and is it understood?

    python -m benchmarks.cloning [--smoke] [--no-record] [--pictures FOLDER]

Each speaker gives one clip of about 6 s to clone and four other recordings. Its clone says four further sentences. Judged,
by every judge of `benchmarks.speaker_judges`: to whom of the ten and of the stock voices is a clone nearest, and whose
clone is nearest to a speaker. Needs Debian's flite and festival with their voices, and espeakng-loader; the smoke run
needs only the last. Prints a table and, as the last line, JSON, which is also appended to benchmarks/results/.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.result_lines import publish
from benchmarks.speaker_judges import RATE_HZ, Judge, judges, spread_out
from benchmarks.speech_measures import recognise, word_error_percent
from benchmarks.spoken_sentences import utterances_of
from models.audio import Pcm
from models.conv_tts.cloning import speak_together
from models.conv_tts.model import ConvTtsSynthesizer, load
from models.conv_tts.record import Timbre
from models.registry import load_cloner
from models.silero_vad import SileroDetector
from models.voices import Voice
from server.engine.speech.cloning import Cloning
from server.text.frontend import TextFrontEnd
from training.ears.speech import Speaker
from training.ears.voices import VoiceSettings
from training.speaker.speakers import HELD_OUT_SPEAKERS

SMOKE_SPEAKERS = tuple(pair for pair in HELD_OUT_SPEAKERS if pair[1].engine == "espeak")[:2]
CLIP = "My brother keeps the old boat behind the house. On Sundays we paint it, and nobody asks how long it will take."
RECORDED = (
    "The train was late again, so we walked home along the river.",
    "Please put the blue cups on the shelf next to the window.",
    "She thought about the question for a while and then began to laugh.",
    "Every morning the baker opens his shop before the sun is up.",
)
SPOKEN = (
    "The garden is quiet now that the children have gone to school.",
    "You can leave your coat here and come back for it later.",
    "He found a letter in the drawer that nobody had ever opened.",
    "We should buy bread, cheese and two bottles of water for the road.",
)
Floats = NDArray[np.float64]


def recordings(settings: VoiceSettings, speaker: Speaker) -> tuple[Pcm, list[Pcm]]:
    """The clip and the other recordings of one speaker, at 16 kHz."""
    waves = [speaker.say(text, settings).pcm * np.float32(0.5) for text in (CLIP, *RECORDED)]
    return waves[0], waves[1:]


def say(model: ConvTtsSynthesizer, voice: Voice, texts: Sequence[str], front_end: TextFrontEnd) -> list[Pcm]:
    return [speak_together(model, [(voice, utterances_of(front_end, text))])[0] for text in texts]


def rank(judge: Judge, known: Mapping[str, list[Pcm]], clones: Mapping[str, list[Pcm]], scaled: bool) -> dict[str, object]:
    """How many clones are nearest to their own speaker, among everybody known; and the other way round."""
    points = {name: [judge(pcm) for pcm in waves] for name, waves in known.items()}
    normal = spread_out(points) if scaled else _unit
    places = {name: _unit(np.mean([normal(point) for point in rows], axis=0)) for name, rows in points.items()}
    cloned = {name: _unit(np.mean([normal(judge(pcm)) for pcm in waves], axis=0)) for name, waves in clones.items()}
    speakers = {name: places[name] for name in clones}
    among_all = {name: _nearest(places, cloned[name]) for name in clones}
    return {
        "speaker_nearest_to_own_clone": sum(name == _nearest(cloned, speakers[name]) for name in clones),
        "clone_nearest_to_own_speaker": sum(name == _nearest(speakers, cloned[name]) for name in clones),
        "also_among_stock_voices": sum(name == found for name, found in among_all.items()),
        "similarity": round(float(np.mean([places[name] @ cloned[name] for name in clones])), 3),
        "mistaken_for": {name: found for name, found in among_all.items() if name != found},
    }


def _nearest(voices: Mapping[str, Floats], point: Floats) -> str:
    return max(voices, key=lambda name: float(voices[name] @ point))


def _unit(point: Floats) -> Floats:
    return np.asarray(point / np.linalg.norm(point))


def understood(waves: Mapping[str, Sequence[Pcm]]) -> dict[str, float]:
    """Word error rates of `SPOKEN` by pocketsphinx, per voice."""
    return {name: round(word_error_percent(list(SPOKEN), [recognise(p) for p in said]), 1) for name, said in waves.items()}


def measure(speakers: Sequence[tuple[str, VoiceSettings]], pictures: Path | None) -> dict[str, object]:
    """All figures."""
    front_end, model, speaker = TextFrontEnd(), load("cpu", 1), Speaker()
    cloning = Cloning(lambda: load_cloner("conv_tts"), SileroDetector())
    known: dict[str, list[Pcm]] = {}
    clones: dict[str, list[Pcm]] = {}
    took_s = []
    for name, settings in speakers:
        clip, known[name] = recordings(settings, speaker)
        started_s = time.process_time()
        cloned = cloning.clone_now(clip, "clip")
        took_s.append(time.process_time() - started_s)
        voice = Voice(name, name, "", "en", "en-US", "", cloned.family, cloned.record)
        timbre = Timbre.of(cloned.record)
        clones[name] = say(model, voice, SPOKEN, front_end)
        print(f"{name:18} {took_s[-1]:5.2f} s  {dict(timbre.speakers)}  {_short(asdict(timbre.character))}", flush=True)
        if pictures:
            draw(pictures / f"{name.replace(' ', '_')}.png", known[name][0], clones[name][0], name)
    stock = {voice.name: say(model, voice, SPOKEN, front_end) for voice in model.info.voices}
    everybody = {**known, **{voice.name: say(model, voice, RECORDED, front_end) for voice in model.info.voices}}
    rows = {name: rank(judge, everybody, clones, name == "cepstra") for name, judge in judges().items()}
    errors = understood(clones)
    return {
        "clones": len(clones),
        "judges": rows,
        "wer_percent_clones": round(float(np.mean(list(errors.values()))), 1),
        "wer_percent_stock": round(float(np.mean(list(understood(stock).values()))), 1),
        "wer_percent_each": errors,
        "clone_cpu_s_max": round(max(took_s), 2),
    }


def _short(character: Mapping[str, object]) -> str:
    numbers = (f"{name} {value:+.2f}" for name, value in character.items() if isinstance(value, float))
    return ", ".join(numbers)


def draw(path: Path, recorded: Pcm, cloned: Pcm, name: str) -> None:
    """Spectrograms of a recording and of the clone, one above the other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(2, 1, figsize=(14, 9))
    for axis, pcm, title in ((axes[0], recorded, f"{name}: {RECORDED[0]}"), (axes[1], cloned, f"its clone: {SPOKEN[0]}")):
        axis.specgram(pcm + 1e-6, NFFT=512, Fs=RATE_HZ, noverlap=448, vmin=-130, vmax=-40, cmap="magma")
        axis.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


def table(figures: Mapping[str, object]) -> str:
    rows = figures["judges"]
    assert isinstance(rows, dict)
    count = figures["clones"]
    lines = [f"{'judge':10} {'speaker -> clone':>17} {'clone -> speaker':>17} {'and stock voices':>17} {'similarity':>11}"]
    for name, row in rows.items():
        ranks = ("speaker_nearest_to_own_clone", "clone_nearest_to_own_speaker", "also_among_stock_voices")
        shown = " ".join(f"{f'{row[rank]}/{count}':>17}" for rank in ranks)
        mistaken = ", ".join(f"{clone} for {other}" for clone, other in row["mistaken_for"].items()) or "none"
        lines += [f"{name:10} {shown} {row['similarity']:>11}", f"{'':10} mistaken: {mistaken}"]
    lines.append(
        f"word errors by pocketsphinx: clones {figures['wer_percent_clones']} %, stock {figures['wer_percent_stock']} %; "
        f"a clone takes at most {figures['clone_cpu_s_max']} s of one core"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="two speakers, nothing recorded")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results alone")
    parser.add_argument("--pictures", type=Path, help="write spectrograms here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    speakers = SMOKE_SPEAKERS if arguments.smoke else HELD_OUT_SPEAKERS
    figures = measure(speakers, arguments.pictures)
    print(table(figures))
    content = json.dumps([[name, asdict(settings)] for name, settings in speakers] + [CLIP, *RECORDED, *SPOKEN])
    config = {
        "speakers": len(speakers),
        "data_hash": hashlib.sha256(content.encode()).hexdigest()[:12],
        "torch": torch.__version__,
    }
    publish("cloning", config, figures, keep=not (arguments.smoke or arguments.no_record))


if __name__ == "__main__":
    main()

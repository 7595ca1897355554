"""How near the aligner of the recordings' recipe comes to phone ends that are known, on voices that it never saw.

    python -m benchmarks.phone_alignment --text-folder FOLDER [--voice ked] [--sentences 50]

Festival's ``ked`` and ``slt_hts`` and flite's ``rms``, ``slt`` and ``awb`` say which phones they speak and when. The aligner
gets audio and text. Phones that both have (the dictionaries differ) are compared by their ends. The last
figures are mismatches with the right transcripts and with those of other sentences: what tells a wrong transcript.
"""

import argparse
import json
import random
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from training.ears.festival import VOICES as FESTIVAL_VOICES
from training.ears.festival import Festival
from training.sentences import held_out, load_sentences
from training.voice.acoustics import pack
from training.voice.aligner import Alignment, PhoneModels, SpokenPhone, align, align_recordings, speaker_features
from training.voice.analysis import Floats, analyse
from training.voice.data import IPA_TO_ARPABET
from training.voice.flite import speak
from training.voice.recordings import first_models
from training.voice.shipped import load_network, read_phones

_FRAME_MS = 5
Ends = list[tuple[str, float]]


def spoken(voice: str, texts: list[str]) -> list[tuple[str, Floats, int, Ends]]:
    """Text, audio, its rate, and phones in ARPABET with their ends in ms, of each sentence that the voice can speak."""
    rows: list[tuple[str, Floats, int, Ends]] = []
    festival = Festival() if voice in FESTIVAL_VOICES else None
    for text in texts:
        if festival is None:
            said = speak(voice, text)
            ends = [(segment.phone, 1000 * segment.end_s) for segment in said.segments]
            rows.append((text, said.pcm / 32768, said.sample_rate_hz, ends))
            continue
        try:
            other = festival.speak(text, voice)
        except ValueError:
            continue
        ends = [(phone, 1000 * end / other.sample_rate_hz) for phone, end in other.phones]
        rows.append((text, other.pcm / 32768, other.sample_rate_hz, ends))
    if festival is not None:
        festival.close()
    return rows


def end_errors_ms(true: Ends, found: Alignment) -> list[float]:
    """Found minus true ends of phones that are followed by the same phone in both."""
    names = [phone if phone.isalpha() and phone not in ("pau", "sil") else "pause" for phone, _ in true]
    own = ["pause" if phone.is_pause else IPA_TO_ARPABET[phone.symbol] for phone in found.phones]
    ends_ms = np.cumsum(found.durations_frames) * _FRAME_MS
    blocks = SequenceMatcher(None, names, own, autojunk=False).get_matching_blocks()
    return [ends_ms[block.b + i] - true[block.a + i][1] for block in blocks for i in range(block.size - 1)]


def mismatches(models: PhoneModels, features: list[Floats], transcripts: list[list[SpokenPhone]]) -> list[float]:
    """With each recording's transcript; infinite where it is too short for it."""
    values = []
    for x, transcript in zip(features, transcripts, strict=True):
        try:
            values.append(align(models, x, transcript)[0].mismatch)
        except ValueError:
            values.append(float("inf"))
    return values


def evaluate(voice: str, texts: list[str]) -> dict[str, object]:
    """All figures of one voice."""
    network = load_network()
    order = network.config.cepstrum_order
    rows = spoken(voice, texts)
    transcripts = [read_phones(text) for text, _, _, _ in rows]
    features = speaker_features([pack(*analyse(pcm, rate_hz, order)) for _, pcm, rate_hz, _ in rows], order)
    models = first_models(network, transcripts)
    figures: dict[str, object] = {"voice": voice, "sentences": len(rows)}
    for rounds in (0, 3):
        found = align_recordings(features, transcripts, models, rounds)
        errors = [error for (_, _, _, true), one in zip(rows, found, strict=True) for error in end_errors_ms(true, one)]
        size = np.abs(errors)
        figures[f"after_{rounds}_rounds"] = {
            "phone_ends": len(errors),
            "median_ms": round(float(np.median(size)), 1),
            "p90_ms": round(float(np.quantile(size, 0.9)), 1),
            "bias_ms": round(float(np.mean(errors)), 1),
        }
    right = [alignment.mismatch for alignment in found]
    wrong = mismatches(models, features, transcripts[1:] + transcripts[:1])
    return figures | {"largest_mismatch": round(max(right), 1), "smallest_mismatch_of_wrong_text": round(min(wrong), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--voice", default="ked", help=f"one of {', '.join([*FESTIVAL_VOICES, 'rms', 'slt', 'awb'])}")
    parser.add_argument("--sentences", type=int, default=50)
    options = parser.parse_args()
    texts = [text for text in load_sentences(options.text_folder) if held_out(text) and 25 <= len(text) <= 110]
    random.Random(5).shuffle(texts)
    print(json.dumps(evaluate(options.voice, texts[: options.sentences])))


if __name__ == "__main__":
    main()

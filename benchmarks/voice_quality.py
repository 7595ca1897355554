"""The embedded voice beside its teacher, on sentences that training never saw.

    python -m benchmarks.voice_quality --text-folder FOLDER [--sentences 100] [--pictures FOLDER]

Text goes through the server's front end, as in a request, and is spoken in chunks by
the packaged model; flite speaks the same sentences with its own front end. Prints a
table and, as the last line, JSON, which is also appended to benchmarks/results/.
"""

import argparse
import hashlib
import json
import os
import random
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.speech_measures import (
    Floats,
    border_click_ratio,
    mel_cepstral_distortion_db,
    octave_levels_db,
    periodicity,
    recognise,
    word_error_percent,
)
from models.base import Phone, PhoneTime, Segment, Synthesizer, Voice
from models.conv_tts.config import FRAME_MS, SAMPLE_RATE_HZ, ConvTtsConfig
from models.conv_tts.model import load
from models.phones import PAUSES, PHONES
from server.bench.stats import append_line, record
from server.text.frontend import TextFrontEnd
from server.types import Controls
from training.sentences import held_out, load_sentences
from training.voice.data import make_utterance, read_words
from training.voice.flite import speak

RESULTS_PATH = Path("benchmarks/results/voice_quality.jsonl")
FRICATIVES = frozenset("s ʃ f θ".split())
_EVALUATION_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence of our voice."""

    pcm: Floats
    """At 24 kHz."""
    borders_samples: list[int]
    phones: tuple[Phone, ...]
    times: tuple[PhoneTime, ...]
    first_chunk_s: float
    total_s: float


def unseen_sentences(folder: Path, count: int) -> list[str]:
    """Held-out sentences of 20 to 110 characters made of plain words, shuffled."""
    sentences = [s for s in load_sentences(folder) if held_out(s) and 20 <= len(s) <= 110 and read_words(s)]
    random.Random(7).shuffle(sentences)
    return sentences[:count]


def segments_of(front_end: TextFrontEnd, sentence: str) -> list[Segment]:
    """What the server would send to the model."""
    stream = front_end.open(Controls())
    stream.push(sentence)
    return [text.segment for text in stream.take("end")]


def say(model: Synthesizer, voice: Voice, segments: list[Segment]) -> Spoken:
    """Speak segments in the model's own chunks, timing the first step and all of them in CPU time."""
    started_s = time.process_time()
    model.admit(0, voice)
    for segment in segments:
        model.feed(0, segment)
    steps = [model.step([0])[0]]
    first_chunk_s = time.process_time() - started_s
    while (frames := model.step([0])[0]).pcm.size:
        steps.append(frames)
    model.release(0)
    total_s = time.process_time() - started_s
    borders = np.cumsum([step.pcm.size for step in steps])[:-1].tolist()
    times = tuple(time for step in steps for time in step.phone_times or ())
    phones = tuple(phone for segment in segments for phone in segment.phones)
    return Spoken(np.concatenate([step.pcm for step in steps]), borders, phones, times, first_chunk_s, total_s)


def evaluate_voice(
    model: Synthesizer, front_end: TextFrontEnd, voice: Voice, sentences: list[str], timed_distortion: int
) -> dict[str, float | list[float]]:
    """All figures of one voice."""
    teacher = voice.speakers[0][0]
    ours, theirs, heard_ours, heard_theirs = [], [], [], []
    our_spans, their_periodicity, our_periodicity = [], [], []
    for sentence in sentences:
        spoken = say(model, voice, segments_of(front_end, sentence))
        source = speak(teacher, sentence)
        pcm = np.asarray(soxr.resample(spoken.pcm, SAMPLE_RATE_HZ, _EVALUATION_HZ, quality="VHQ"))
        source_pcm = source.pcm.astype(np.float64) / 32768
        heard_ours.append(recognise(pcm))
        heard_theirs.append(recognise(source_pcm))
        ours.append(spoken)
        theirs.append(source_pcm)
        our_spans = [
            (time.start_samples / SAMPLE_RATE_HZ, time.end_samples / SAMPLE_RATE_HZ)
            for phone, time in zip(spoken.phones, spoken.times, strict=True)
            if phone.symbol in FRICATIVES
        ]
        starts = [0.0, *(segment.end_s for segment in source.segments)]
        their_spans = [
            (start, s.end_s) for start, s in zip(starts, source.segments, strict=False) if s.phone in ("s", "sh", "f", "th")
        ]
        our_periodicity.append(periodicity(spoken.pcm, SAMPLE_RATE_HZ, our_spans))
        their_periodicity.append(periodicity(source_pcm, _EVALUATION_HZ, their_spans))
    audio_s = sum(len(spoken.pcm) for spoken in ours) / SAMPLE_RATE_HZ
    resampled = np.concatenate([soxr.resample(s.pcm, SAMPLE_RATE_HZ, _EVALUATION_HZ) for s in ours])
    octaves = octave_levels_db(resampled) - octave_levels_db(np.concatenate(theirs))
    octaves -= octaves.mean()
    distortion, pace = _timed_distortion(model, voice, teacher, sentences[:timed_distortion])
    return {
        "wer_percent": word_error_percent(sentences, heard_ours),
        "teacher_wer_percent": word_error_percent(sentences, heard_theirs),
        "distortion_db": distortion,
        "length_ratio": pace,
        "fricative_periodicity": float(np.nanmean(our_periodicity)),
        "teacher_fricative_periodicity": float(np.nanmean(their_periodicity)),
        "border_roughness": float(np.nanmean([border_click_ratio(s.pcm, s.borders_samples) for s in ours])),
        "roughness_between_borders": float(np.nanmean([border_click_ratio(s.pcm, _between(s.borders_samples)) for s in ours])),
        "octaves_db": [round(float(value), 1) for value in octaves],
        "peak": float(max(np.abs(s.pcm).max() for s in ours)),
        "real_time_factor": sum(s.total_s for s in ours) / audio_s,
        "first_chunk_ms_p50": 1000 * float(np.median([s.first_chunk_s for s in ours])),
    }


def _between(borders_samples: list[int]) -> list[int]:
    """Places halfway between borders, where there can be no click."""
    return [(one + other) // 2 for one, other in pairwise(borders_samples)]


def _timed_distortion(model: Synthesizer, voice: Voice, teacher: str, sentences: list[str]) -> tuple[float, float]:
    """Mel-cepstral distortion with the teacher's durations, and how long our words are over the teacher's."""
    distances, our_samples, their_samples = [], 0, 0
    for sentence in sentences:
        words = read_words(sentence)
        assert words is not None
        utterance = make_utterance(words, teacher, ConvTtsConfig())
        if utterance is None:
            continue
        timed = _segment_like(utterance.phones, utterance.durations_frames)
        spoken = say(model, voice, [timed])
        source = speak(teacher, words.text, words.arpabet).pcm.astype(np.float64) / 32768
        pcm = np.asarray(soxr.resample(spoken.pcm, SAMPLE_RATE_HZ, _EVALUATION_HZ))
        source = source[len(source) - len(pcm) :] if len(source) >= len(pcm) else source
        gain = np.sqrt(np.square(source).mean() / np.square(pcm).mean())
        distances.append(mel_cepstral_distortion_db(pcm * gain, source))
        free = say(model, voice, [Segment(tuple(replace(phone, duration_ms=None) for phone in timed.phones))])
        our_samples += _words_samples(free)
        their_samples += _words_samples(spoken)
    return float(np.mean(distances)), our_samples / their_samples


def _words_samples(spoken: Spoken) -> int:
    """Samples in all words, without pauses."""
    pairs = zip(spoken.phones, spoken.times, strict=True)
    return sum(time.end_samples - time.start_samples for phone, time in pairs if phone.symbol not in PAUSES)


def _segment_like(phones: np.ndarray, durations_frames: np.ndarray) -> Segment:
    """The teacher's phones as a segment with the teacher's durations."""
    return Segment(
        tuple(
            Phone(PHONES[int(symbol)], int(stress), 0, bool(starts), duration_ms=float(frames) * FRAME_MS)
            for (symbol, stress, starts), frames in zip(phones, durations_frames, strict=True)
        )
    )


def draw(model: Synthesizer, front_end: TextFrontEnd, voice: Voice, sentence: str, path: Path) -> None:
    """Spectrograms of our voice (0..12 kHz) above the teacher's (0..8 kHz)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    spoken = say(model, voice, segments_of(front_end, sentence))
    source = speak(voice.speakers[0][0], sentence).pcm.astype(np.float64) / 32768
    figure, axes = plt.subplots(2, 1, figsize=(16, 10))
    for axis, pcm, rate_hz, label in (
        (axes[0], spoken.pcm, SAMPLE_RATE_HZ, f"{voice.name} (conv_tts)"),
        (axes[1], source, _EVALUATION_HZ, f"flite {voice.speakers[0][0]}"),
    ):
        axis.specgram(pcm + 1e-6, NFFT=512, Fs=rate_hz, noverlap=448, vmin=-130, vmax=-40, cmap="magma")
        axis.set_title(f"{label}: {sentence}")
    for phone, times in zip(spoken.phones, spoken.times, strict=True):
        axes[0].text(times.start_samples / SAMPLE_RATE_HZ, 11_300, phone.symbol, color="white", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--all-voices", action="store_true", help="the mixtures too, beside their first speaker")
    parser.add_argument("--pictures", type=Path, help="write spectrograms here")
    parser.add_argument("--speed-only", action="store_true", help="no recogniser: seconds instead of minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load("cpu", 1)
    if arguments.speed_only:
        print(json.dumps(measure_speed(model, TextFrontEnd(), unseen_sentences(arguments.text_folder, arguments.sentences))))
        return
    front_end = TextFrontEnd()
    sentences = unseen_sentences(arguments.text_folder, arguments.sentences)
    voices = [v for v in model.info.voices if arguments.all_voices or len(v.speakers) == 1]
    rows = {}
    for voice in voices:
        rows[voice.name] = evaluate_voice(model, front_end, voice, sentences, min(20, len(sentences)))
        print(voice.name)
        for name, value in rows[voice.name].items():
            print(f"  {name:32s}{value if isinstance(value, list) else round(value, 4)}", flush=True)
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            for number, sentence in enumerate(sentences[:2]):
                draw(model, front_end, voice, sentence, arguments.pictures / f"{voice.name}_{number}.png")
    print(json.dumps(_line(sentences, rows)))


def measure_speed(model: Synthesizer, front_end: TextFrontEnd, sentences: list[str]) -> dict[str, float]:
    """CPU time of all steps over audio, and of the first step, on one thread."""
    spoken = [say(model, model.info.voices[0], segments_of(front_end, sentence)) for sentence in sentences]
    return {
        "real_time_factor": round(sum(s.total_s for s in spoken) / sum(len(s.pcm) / SAMPLE_RATE_HZ for s in spoken), 4),
        "first_chunk_ms_p50": round(1000 * float(np.median([s.first_chunk_s for s in spoken])), 2),
    }


def _line(sentences: list[str], voices: dict[str, dict[str, float | list[float]]]) -> dict[str, object]:
    """The result with what is needed to compare it; appended to the results file."""
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:12]
    config = {"sentences": len(sentences), "data_hash": digest, "threads": 1, "torch": torch.__version__}
    figures = {
        name: {key: value if isinstance(value, list) else round(value, 4) for key, value in row.items()}
        for name, row in voices.items()
    }
    line = record("voice_quality", config, {"load_average": round(os.getloadavg()[0], 1), "voices": figures})
    append_line(RESULTS_PATH, line)
    return line


if __name__ == "__main__":
    main()

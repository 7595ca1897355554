"""The embedded voice beside its teacher, on sentences that training never saw.

    python -m benchmarks.voice_quality --text-folder FOLDER [--sentences 100 | 300] [--pictures FOLDER]

Text goes through the server's front end, as in a request, and is spoken in chunks by the packaged model; flite speaks
the same sentences with its own front end. Distortion, level, pitch and pace are measured on 40 of them with the
teacher's phones and durations. "Copy" is the teacher's own parameters through our vocoder: what no model of it can
beat. Prints the figures of each voice, a table against the bars that the voice has to pass, and, as the last line,
JSON, which is also appended to benchmarks/results/ unless ``--no-record`` is given. Long texts have their own measure,
`benchmarks.long_texts`.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.result_lines import publish
from benchmarks.speech_measures import (
    Floats,
    border_click_ratio,
    mel_cepstral_distortion_db,
    mel_error_db,
    octave_levels_db,
    periodicity,
    pitch_error_cents,
    recognise_all,
    word_error_percent,
)
from benchmarks.spoken_sentences import (
    EVALUATION_HZ,
    FRICATIVES,
    VOWELS,
    Spoken,
    say,
    teacher_spans_s,
    timed_utterance,
    unseen_sentences,
    utterances_of,
)
from models.conv_tts.config import SAMPLE_RATE_HZ, ConvTtsConfig
from models.conv_tts.model import WEIGHTS, load
from models.conv_tts.record import Timbre
from models.conv_tts.vocoder import Vocoder
from models.phones import PAUSES
from models.speech import Synthesizer, Utterance
from models.voices import Voice
from server.text.frontend import TextFrontEnd
from training.voice.acoustics import translate
from training.voice.data import make_utterance, read_words
from training.voice.flite import FliteSpeech, speak

Figures = dict[str, float | list[float]]
TIMED_SENTENCES = 40
VOWEL_BANDS_HZ = ((100, 1000), (1000, 2000), (2000, 3000), (3000, 7600))
_DELAY_SAMPLES = 18
"""How much later than ours the teacher's sound is, at 16 kHz: its band filters take 23.5 samples, our pulses 5.3."""

BARS: tuple[tuple[str, Callable[[Figures], float], float], ...] = (
    ("word errors above the teacher's, points", lambda f: _number(f, "wer_percent") - _number(f, "teacher_wer_percent"), 1.0),
    ("mel-cepstral distortion, dB", lambda f: _number(f, "distortion_db"), 2.5),
    ("largest error of an octave's level, dB", lambda f: float(np.abs(f["octaves_db"]).max()), 0.5),
    ("periodicity of fricatives, difference", lambda f: _difference(f, "fricative_periodicity"), 0.05),
    ("periodicity of vowels above 3 kHz, difference", lambda f: _difference(f, "vowel_periodicity"), 0.05),
    ("real-time factor on one thread", lambda f: _number(f, "real_time_factor"), 0.03),
    ("size of the weights, MB", lambda f: _number(f, "size_mb"), 20.0),
)
"""What a voice that stands for one teacher has to reach, as "at most"."""


def _number(figures: Figures, name: str) -> float:
    value = figures[name]
    return float(value[-1] if isinstance(value, list) else value)


def _difference(figures: Figures, name: str) -> float:
    """Of the highest band, if there are several."""
    return abs(_number(figures, name) - _number(figures, f"teacher_{name}"))


def evaluate_voice(model: Synthesizer, front_end: TextFrontEnd, voice: Voice, sentences: list[str]) -> Figures:
    """All figures of one voice."""
    teacher = Timbre.of(voice.record).speakers[0][0]
    spoken = [say(model, voice, utterances_of(front_end, sentence)) for sentence in sentences]
    sources = [speak(teacher, sentence) for sentence in sentences]
    ours = [one.at_16_khz() for one in spoken]
    theirs = [_samples(source) for source in sources]
    figures: Figures = {
        "wer_percent": word_error_percent(sentences, recognise_all(ours)),
        "teacher_wer_percent": word_error_percent(sentences, recognise_all(theirs)),
        "octaves_from_text_db": _octaves_db(ours, theirs),
        "fricative_periodicity": _mean_periodicity(ours, [s.spans_s(FRICATIVES) for s in spoken]),
        "teacher_fricative_periodicity": _mean_periodicity(theirs, [teacher_spans_s(s, FRICATIVES) for s in sources]),
    }
    our_vowels, their_vowels = [s.spans_s(VOWELS) for s in spoken], [teacher_spans_s(s, VOWELS) for s in sources]
    figures["vowel_periodicity"] = [_mean_periodicity(ours, our_vowels, band) for band in VOWEL_BANDS_HZ]
    figures["teacher_vowel_periodicity"] = [_mean_periodicity(theirs, their_vowels, band) for band in VOWEL_BANDS_HZ]
    return figures | _timed_figures(model, voice, teacher, sentences[:TIMED_SENTENCES]) | _technical_figures(spoken)


def _octaves_db(ours: list[Floats], theirs: list[Floats]) -> list[float]:
    """How much louder each octave of ours is, beyond the mean of all octaves."""
    octaves = octave_levels_db(np.concatenate(ours)) - octave_levels_db(np.concatenate(theirs))
    return [float(value) for value in octaves - octaves.mean()]


def _samples(speech: FliteSpeech) -> Floats:
    return np.asarray(speech.pcm.astype(np.float64) / 32768)


def _mean_periodicity(
    pcm: list[Floats], spans_s: list[list[tuple[float, float]]], band_hz: tuple[float, float] = (0, 8000)
) -> float:
    heights = [height for one, spans in zip(pcm, spans_s, strict=True) for height in periodicity(one, spans, band_hz)]
    return float(np.mean(heights))


def _technical_figures(spoken: list[Spoken]) -> Figures:
    """Clicks, clipping, speed and size."""
    between = [[(one + other) // 2 for one, other in pairwise(s.borders_samples)] for s in spoken]
    with as_file(files("models.conv_tts") / "weights" / WEIGHTS) as path:
        size_mb = path.stat().st_size / 1e6
    return {
        "border_roughness": float(np.nanmean([border_click_ratio(s.pcm, s.borders_samples) for s in spoken])),
        "roughness_between_borders": float(
            np.nanmean([border_click_ratio(s.pcm, places) for s, places in zip(spoken, between, strict=True)])
        ),
        "peak": float(max(np.abs(s.pcm).max() for s in spoken)),
        "real_time_factor": sum(s.total_s for s in spoken) / (sum(len(s.pcm) for s in spoken) / SAMPLE_RATE_HZ),
        "first_chunk_ms_p50": 1000 * float(np.median([s.first_chunk_s for s in spoken])),
        "size_mb": size_mb,
    }


def _timed_figures(model: Synthesizer, voice: Voice, teacher: str, sentences: list[str]) -> Figures:
    """What compares moment by moment, with the teacher's durations, and how long our words are over the teacher's."""
    distances, copies, by_octave, cents, lengths = [], [], [], [], []
    ours, theirs = [], []
    for sentence in sentences:
        words = read_words(sentence)
        assert words is not None
        utterance = make_utterance(words, teacher, ConvTtsConfig())
        if utterance is None:
            continue
        timed = timed_utterance(utterance)
        spoken = say(model, voice, [timed])
        speech = speak(teacher, words.text, words.arpabet)
        pcm, source = _in_step(spoken.at_16_khz(), _samples(speech))
        ours.append(pcm)
        theirs.append(source)
        distances.append(mel_cepstral_distortion_db(pcm, source))
        by_octave.append(mel_error_db(pcm, source))
        cents.append(pitch_error_cents(pcm, source))
        copies.append(mel_cepstral_distortion_db(*_in_step(_copy(speech, teacher), _samples(speech))))
        free = say(model, voice, [Utterance(phones=tuple(replace(phone, duration_ms=None) for phone in timed.phones))])
        lengths.append((_words_samples(free), _words_samples(spoken)))
    our_length, their_length = np.sum(lengths, 0)
    return {
        "distortion_db": float(np.mean(distances)),
        "copy_distortion_db": float(np.mean(copies)),
        "octaves_db": _octaves_db(ours, theirs),
        "mel_error_by_octave_db": np.mean(by_octave, 0).tolist(),
        "pitch_error_cents": float(np.nanmean(cents)),
        "length_ratio": float(our_length / their_length),
    }


def _in_step(pcm: Floats, source: Floats) -> tuple[Floats, Floats]:
    """Both at 16 kHz with the same timing and power; ours may lack the start of the source's first pause."""
    delayed = np.concatenate([np.zeros(_DELAY_SAMPLES), pcm])[: len(pcm)]
    source = source[max(len(source) - len(delayed), 0) :]
    delayed = delayed[: len(source)]
    return delayed * np.sqrt(np.square(source).mean() / np.square(delayed).mean()), source


def _copy(speech: FliteSpeech, teacher: str) -> Floats:
    """The teacher's exact parameters through our vocoder, at 16 kHz."""
    order = ConvTtsConfig().cepstrum_order
    vocoder = Vocoder(order)
    cepstra, voicing, log_f0 = (torch.from_numpy(a).float()[None, 1:] for a in translate(speech, teacher, order))
    with torch.inference_mode():
        pcm, _ = vocoder(cepstra, voicing, log_f0.exp(), vocoder.init_state(1))
    return np.asarray(soxr.resample(pcm[0].numpy().astype(np.float64), SAMPLE_RATE_HZ, EVALUATION_HZ, quality="VHQ"))


def _words_samples(spoken: Spoken) -> int:
    """Samples in all words, without pauses."""
    pairs = zip(spoken.phones, spoken.times, strict=True)
    return sum(time.end_samples - time.start_samples for phone, time in pairs if phone.symbol not in PAUSES)


def draw(model: Synthesizer, voice: Voice, sentence: str, path: Path) -> None:
    """Spectrograms, 0..8 kHz, of the teacher's sound, of its copy and of our voice, all with the teacher's durations."""
    import matplotlib
    from PIL import Image

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    teacher, words = Timbre.of(voice.record).speakers[0][0], read_words(sentence)
    utterance = make_utterance(words, teacher, ConvTtsConfig()) if words else None
    if words is None or utterance is None:
        return
    speech = speak(teacher, words.text, words.arpabet)
    ours, source = _in_step(say(model, voice, [timed_utterance(utterance)]).at_16_khz(), _samples(speech))
    copied, _ = _in_step(_copy(speech, teacher), _samples(speech))
    figure, axes = plt.subplots(3, 1, figsize=(11, 8), sharex=True, layout="constrained")
    for axis, pcm, label in zip(axes, (source, copied, ours), (f"flite {teacher}", "copy", voice.name), strict=True):
        axis.specgram(pcm[-len(source) :] + 1e-6, NFFT=400, Fs=EVALUATION_HZ, noverlap=320, vmin=-120, vmax=-40, cmap="gray_r")
        axis.set_ylabel(label)
    axes[0].set_title(sentence)
    figure.savefig(path, dpi=72)
    plt.close(figure)
    Image.open(path).convert("L").quantize(16).save(path, optimize=True)


def print_bars(voices: dict[str, Figures]) -> None:
    """Each bar with each voice's value; ``*`` marks one that is missed."""
    print(f"{'at most':>56}" + "".join(f"{name:>12}" for name in voices))
    for label, value_of, limit in BARS:
        values = [value_of(figures) for figures in voices.values()]
        print(f"{label:46}{limit:10g}" + "".join(f"{value:11.3f}{' *'[value > limit]}" for value in values))


def measure_speed(model: Synthesizer, front_end: TextFrontEnd, sentences: list[str]) -> dict[str, float]:
    """CPU time of all steps over audio, and of the first step, on one thread."""
    figures = _technical_figures([say(model, model.info.voices[0], utterances_of(front_end, s)) for s in sentences])
    return {name: round(_number(figures, name), 4) for name in ("real_time_factor", "first_chunk_ms_p50")}


def _publish(sentences: list[str], voices: dict[str, Figures], *, keep: bool) -> None:
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()[:12]
    config = {"sentences": len(sentences), "data_hash": digest, "threads": 1, "torch": torch.__version__}
    rounded = {name: {key: np.round(value, 4).tolist() for key, value in row.items()} for name, row in voices.items()}
    publish("voice_quality", config, {"load_average": round(os.getloadavg()[0], 1), "voices": rounded}, keep=keep)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True, help="folder with sentences.en.txt")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--all-voices", action="store_true", help="the mixtures too, beside their first speaker")
    parser.add_argument("--pictures", type=Path, help="write spectrograms of the first sentence here")
    parser.add_argument("--speed-only", action="store_true", help="no recogniser: seconds instead of minutes")
    parser.add_argument("--no-record", action="store_true", help="leave benchmarks/results alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, front_end = load("cpu", 1), TextFrontEnd()
    sentences = unseen_sentences(arguments.text_folder, arguments.sentences)
    if arguments.speed_only:
        print(json.dumps(measure_speed(model, front_end, sentences)))
        return
    voices: dict[str, Figures] = {}
    for voice in (v for v in model.info.voices if arguments.all_voices or len(Timbre.of(v.record).speakers) == 1):
        voices[voice.name] = evaluate_voice(model, front_end, voice, sentences)
        print(voice.name)
        for name, value in voices[voice.name].items():
            print(f"  {name:32s}{np.round(value, 3 if isinstance(value, list) else 4)}", flush=True)
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            draw(model, voice, sentences[0], arguments.pictures / f"{voice.name.lower()}.png")
    print_bars(voices)
    _publish(sentences, voices, keep=not arguments.no_record)


if __name__ == "__main__":
    main()

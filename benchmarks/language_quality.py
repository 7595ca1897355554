"""The languages besides American English, against espeak-ng, which taught them: front end and voices.

    python -m benchmarks.language_quality --text-folder FOLDER --sentences 200
    python -m benchmarks.phone_recogniser --text-folder FOLDER
    python -m benchmarks.language_quality --text-folder FOLDER --voices --sentences 20

The front end: how many phones of held-out sentences differ from espeak-ng's (edit distance, stress and pauses
apart). The voices, on held-out sentences: with espeak-ng's phones and durations, mel-cepstral distortion and pitch error
against its audio; left to themselves, the error of the durations of the phones. And how many phones the recogniser of
`benchmarks.phone_recogniser` hears otherwise than espeak-ng pronounces the sentence: in espeak-ng's own audio, in its
parameters through our vocoder ("copy"), in our voice given its phones, and in our voice from text. That recogniser was
taught by espeak-ng alone; no recogniser of another origin hears these languages here, so only listeners can say how well
and how gladly they are understood.
"""

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch

from benchmarks.phone_recogniser import PhoneRecogniser, load
from benchmarks.speech_measures import Floats, mel_cepstral_distortion_db, octave_levels_db, pitch_error_cents
from benchmarks.spoken_sentences import EVALUATION_HZ, say, timed_utterance, utterances_of
from models.conv_tts.config import FRAME_MS, SAMPLE_RATE_HZ
from models.conv_tts.record import Timbre
from models.conv_tts.vocoder import Vocoder
from models.phones import PAUSES
from models.registry import load_synthesizer
from models.speech import Synthesizer, Utterance
from models.voices import Voice
from server.text.frontend import TextFrontEnd
from server.text.tongues import TONGUES
from training.ears.synthesizers import Speech
from training.espeak_phones import VOICE_OF, EspeakPhones
from training.letter_to_sound.measure import edit_distance
from training.voice.data import Utterance as TaughtUtterance
from training.voice.espeak import MULTILINGUAL, RATE, VARIANTS, make_utterance, sentences_of

Figures = dict[str, float | list[float]]
DEFAULT_JUDGE = Path("data/voice-multi/phone-recogniser.pt")


def expected_phones(espeak: EspeakPhones, sentence: str, language: str) -> list[str]:
    """What espeak-ng says; nothing where it reads a word as another language's."""
    clauses = espeak.pronounce(sentence, language) or []
    return [phone.symbol for clause in clauses for word in clause.words for phone in word]


def without_pauses(symbols: Sequence[str]) -> list[str]:
    return [symbol for symbol in symbols if symbol not in PAUSES]


class Errors:
    """Phones counted against those expected."""

    def __init__(self) -> None:
        self._wrong = self._phones = self._right_sentences = self._sentences = 0

    def add(self, expected: Sequence[str], given: Sequence[str]) -> None:
        wrong = edit_distance(list(expected), without_pauses(given))
        self._wrong, self._phones = self._wrong + wrong, self._phones + len(expected)
        self._right_sentences, self._sentences = self._right_sentences + (wrong == 0), self._sentences + 1

    @property
    def sentences(self) -> int:
        return self._sentences

    @property
    def phone_percent(self) -> float:
        return round(100 * self._wrong / max(self._phones, 1), 2)

    @property
    def right_sentences_percent(self) -> float:
        return round(100 * self._right_sentences / max(self._sentences, 1), 1)


def front_end_agreement(espeak: EspeakPhones, folder: Path, language: str, count: int) -> Figures:
    """Percent of phones and of whole sentences that our front end says as espeak-ng does."""
    front_end, errors = TextFrontEnd([language]), Errors()
    for sentence in itertools.islice(sentences_of(folder, language, 1, testing=True), count):
        if expected := expected_phones(espeak, sentence, language):
            segments = utterances_of(front_end, sentence, language=language)
            errors.add(expected, [phone.symbol for segment in segments for phone in segment.phones])
    return {
        "sentences": errors.sentences,
        "phone_error_percent": errors.phone_percent,
        "sentences_right_percent": errors.right_sentences_percent,
    }


class VoiceMeasure:
    """Distance of one voice from the espeak-ng voice that it learnt from."""

    def __init__(self, espeak: EspeakPhones, model: Synthesizer, voice: Voice, judge: PhoneRecogniser | None) -> None:
        self._espeak, self._model, self._voice, self._judge = espeak, model, voice, judge
        ((self._speaker, _),) = Timbre.of(voice.record).speakers
        self._language, _, variant = self._speaker.rpartition("-")
        self._espeak_voice = VOICE_OF[self._language] + VARIANTS[variant]
        self._front_end = TextFrontEnd([voice.tongue])
        self._distortion: list[float] = []
        self._copy_distortion: list[float] = []
        self._cents: list[float] = []
        self._levels: list[Floats] = []
        self._duration_errors: list[float] = []
        self._lengths_ms = np.zeros(2)
        self._heard = {name: Errors() for name in ("source", "copy", "given_phones", "from_text")}

    def add(self, sentence: str) -> None:
        utterance = make_utterance(self._espeak, sentence, self._speaker, MULTILINGUAL)
        if utterance is None:
            return
        timed = timed_utterance(utterance)
        source = source_pcm(self._espeak.speak(sentence, self._espeak_voice, rate=RATE), utterance)
        pcm = say(self._model, self._voice, [timed]).at_16_khz()
        ours, theirs = equally_loud(pcm, source)
        self._distortion.append(mel_cepstral_distortion_db(ours, theirs))
        copy = copied_pcm(utterance)
        self._copy_distortion.append(mel_cepstral_distortion_db(*equally_loud(copy, source)))
        self._cents.append(pitch_error_cents(pcm, source))
        self._levels.append(np.array(octave_levels_db(ours)) - np.array(octave_levels_db(theirs)))
        free = say(
            self._model, self._voice, [Utterance(phones=tuple(replace(phone, duration_ms=None) for phone in timed.phones))]
        )
        for phone, time in zip(timed.phones, free.times, strict=True):
            if phone.symbol not in PAUSES and phone.duration_ms:
                said_ms = (time.end_samples - time.start_samples) / 24
                self._duration_errors.append(abs(np.log(said_ms / phone.duration_ms)))
                self._lengths_ms += (said_ms, phone.duration_ms)
        if self._judge is not None:
            read = say(self._model, self._voice, utterances_of(self._front_end, sentence, language=self._voice.tongue))
            expected = expected_phones(self._espeak, sentence, self._language)
            ways = {"source": source, "copy": copy, "given_phones": free.at_16_khz(), "from_text": read.at_16_khz()}
            for name, audio in ways.items():
                self._heard[name].add(expected, self._judge.hear(audio, self._language))

    def figures(self) -> Figures:
        heard = {f"{name}_phone_error_percent": errors.phone_percent for name, errors in self._heard.items()}
        return {
            "sentences": len(self._distortion),
            "distortion_db": round(float(np.mean(self._distortion)), 2),
            "copy_distortion_db": round(float(np.mean(self._copy_distortion)), 2),
            "pitch_error_cents": round(float(np.nanmean(self._cents)), 1),
            "octave_levels_db": np.mean(self._levels, axis=0).round(1).tolist(),
            "duration_error_percent": round(100 * float(np.expm1(np.mean(self._duration_errors))), 1),
            "length_ratio": round(float(self._lengths_ms[0] / self._lengths_ms[1]), 3),
        } | (heard if self._judge is not None else {})


def source_pcm(speech: Speech, utterance: TaughtUtterance) -> Floats:
    """espeak-ng's audio at 16 kHz with the pause before it that the utterance has, as long as the utterance."""
    pcm = soxr.resample(speech.pcm / 32768, speech.sample_rate_hz, EVALUATION_HZ, quality="VHQ")
    lead_frames = int(utterance.durations_frames[0]) if speech.phones[0][0] != "pau" else 0
    length = int(utterance.durations_frames.sum()) * FRAME_MS * EVALUATION_HZ // 1000
    padded = np.concatenate([np.zeros(lead_frames * FRAME_MS * EVALUATION_HZ // 1000), pcm, np.zeros(length)])
    return np.asarray(padded[:length])


def copied_pcm(utterance: TaughtUtterance) -> Floats:
    """The source's own parameters through our vocoder, at 16 kHz: what no model of it can beat."""
    order = MULTILINGUAL.cepstrum_order
    vocoder, frames = Vocoder(order), torch.from_numpy(utterance.frames.astype(np.float32))[None]
    with torch.inference_mode():
        pcm, _ = vocoder(frames[..., :order], frames[..., order:-1], frames[..., -1].exp(), vocoder.init_state(1))
    return np.asarray(soxr.resample(pcm[0].double().numpy(), SAMPLE_RATE_HZ, EVALUATION_HZ, quality="VHQ"))


def equally_loud(pcm: Floats, source: Floats) -> tuple[Floats, Floats]:
    """Both at the source's level and of one length, over a noise floor at -80 dB."""
    count = min(len(pcm), len(source))
    scale = np.sqrt(np.square(source[:count]).mean() / max(np.square(pcm[:count]).mean(), 1e-12))
    noise = np.random.default_rng(0).standard_normal(count) * 1e-4
    return pcm[:count] * scale + noise, source[:count] + noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--voices", action="store_true", help="measure the voices; without it the front end")
    parser.add_argument("--voice-file", type=Path, help="weights of the multilingual network; default: the package's")
    parser.add_argument("--judge", type=Path, default=DEFAULT_JUDGE, help="what `benchmarks.phone_recogniser` wrote")
    options = parser.parse_args()
    espeak = EspeakPhones()
    if not options.voices:
        for language in sorted(set(TONGUES) - {"en"}):
            figures = front_end_agreement(espeak, options.text_folder, language, options.sentences)
            print(json.dumps({"language": language} | figures), flush=True)
        return
    judge = load(options.judge) if options.judge.exists() else None
    model = load_synthesizer("conv_tts", "cpu", 1, [options.voice_file] if options.voice_file else [])
    for voice in model.info.voices:
        if Timbre.of(voice.record).speakers[0][0] in MULTILINGUAL.speakers:
            measure = VoiceMeasure(espeak, model, voice, judge)
            for sentence in itertools.islice(
                sentences_of(options.text_folder, voice.tongue, 1, testing=True), options.sentences
            ):
                measure.add(sentence)
            print(json.dumps({"voice": voice.name, "locale": voice.locale} | measure.figures()), flush=True)


if __name__ == "__main__":
    main()

"""espeak-ng as a teacher of the other languages: phones with exact times, and the targets of its sound.

    python -m training.voice.espeak --text-folder FOLDER --hours-per-language 0.5
    python -m training.voice.train --voice multi train --minutes 120
    python -m training.voice.train --voice multi export

espeak-ng reports each phoneme's first sample; stress and words come from its phonemic transcription
of the same sentence, which lists the same phonemes. Targets are what `training.voice.analysis` finds
in the audio. The voices are formant synthesis, as smooth and as artificial as that is.
"""

import argparse
import itertools
import math
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import EDGE_PAUSE_FRAMES, ConvTtsConfig
from models.conv_tts.record import Timbre
from models.phones import PAUSES, PHONES
from server.text.pronunciation import PhoneWithStress
from training.ears.synthesizers import Speech
from training.espeak_phones import VOICE_OF, Clause, EspeakPhones, to_phones
from training.sentences import held_out, load_sentences
from training.voice.analysis import analyse
from training.voice.data import PHONE_INDEX, Utterance, save_shard

LANGUAGES = ("de", "en-GB", "es", "fr", "it")
RATE = 165
"""Words per minute."""
VARIANTS = {"m": "", "f": "+f2"}
"""Variants of espeak-ng's voice, by what the speaker's name ends in."""

MULTILINGUAL = ConvTtsConfig(
    speakers=tuple(f"{language}-{variant}" for language in LANGUAGES for variant in VARIANTS),
    phones=len(PHONES),
    channels=160,
    expansion=480,
)
"""Formant synthesis is smoother than recordings: narrower than the English voice, 2.6 M parameters."""

_GENDERS = {"m": "masculine", "f": "feminine"}
_VOICE_ROWS = (
    ("ecb0e5bc-a5fa-4bbc-ad34-953c99a44f14", "Felix", "de-DE", "de-m"),
    ("bd6c6855-e8cc-4742-98cb-5a1b81b13c6e", "Greta", "de-DE", "de-f"),
    ("f0bdb475-a5e6-47f4-87d6-bc2665d2b795", "Arthur", "en-GB", "en-GB-m"),
    ("7822362e-80af-4b5e-b873-4940e9a11fa8", "Imogen", "en-GB", "en-GB-f"),
    ("27da5d40-29f1-462a-baaa-d85872fcf617", "Mateo", "es-ES", "es-m"),
    ("0c32a010-3475-4391-976f-673d34320a26", "Lucía", "es-ES", "es-f"),
    ("de20bee5-6050-401f-a98e-8d5082b57b18", "Hugo", "fr-FR", "fr-m"),
    ("eafb2658-3b33-4129-ae89-33a6aee15073", "Camille", "fr-FR", "fr-f"),
    ("6efe1800-2fac-4b8f-be52-10ae90673dae", "Luca", "it-IT", "it-m"),
    ("71085498-ee3f-453d-bb24-eb00f8b490a4", "Giulia", "it-IT", "it-f"),
)
VOICES = tuple(
    Timbre(((speaker, 1.0),)).to_voice(
        id=id,
        name=name,
        description="Plain and clear, learnt from formant synthesis",
        language=locale[:2],
        locale=locale,
        gender=_GENDERS[speaker[-1]],
        pronunciation=locale if locale == "en-GB" else "",
    )
    for id, name, locale, speaker in _VOICE_ROWS
)
"""What the exported file offers, one voice per speaker."""

_FRAME_S = 0.005
_SHORTEST_PAUSE_S = 0.05
"""What is silent for less belongs to the phone before it: espeak-ng's glottal stops."""
_END_FRAMES = 30
"""The pause after a sentence: 150 ms."""
_PAUSES = frozenset(PAUSES)
_LEVEL_DBFS = -22.0
_NOISE = 1e-4
"""Digital silence has no spectrum to learn; this is 80 dB down."""
_MARK = re.compile(r"[,;:.!?…]+")
_PAUSE_OF = {",": ",", ";": ",", ":": ",", ".": ".", "?": "?", "!": "!", "…": "."}


@dataclass(frozen=True, slots=True)
class _Label:
    """A phone of ours with the sample where it ends."""

    symbol: str
    stress: int
    starts_word: bool
    end_samples: int


def align(speech: Speech, clauses: list[Clause], marks: list[str], language: str) -> list[_Label] | None:
    """Our phones with their ends; None where the sound and the transcription list other phonemes."""
    expected = [
        (phone, place == 0, clause)
        for clause, words in enumerate(clauses)
        for word in words.words
        for place, phone in enumerate(word)
    ]
    heard = [(_mapped(symbol, language), end) for symbol, end in speech.phones]
    labels: list[_Label] = []
    start = taken = clause = 0
    for index, (phones, end) in enumerate(heard):
        if phones is None:
            return None
        if not phones:
            _add_silence(labels, marks[clause] if labels else "_", start, end, speech.sample_rate_hz)
        if _is_long(phones, expected[taken : taken + 2], heard[index + 1 :]):
            phones *= 2
        for place, phone in enumerate(phones):
            if taken == len(expected) or expected[taken][0].symbol != phone:
                return None
            given, starts_word, clause = expected[taken]
            taken += 1
            labels.append(_Label(phone, given.stress, starts_word, start + (end - start) * (place + 1) // len(phones)))
        start = end
    return labels if taken == len(expected) else None


def _mapped(symbol: str, language: str) -> tuple[str, ...] | None:
    return to_phones(symbol, language) if symbol != "pau" else ()


def _is_long(
    phones: tuple[str, ...],
    expected: list[tuple[PhoneWithStress, bool, int]],
    coming: list[tuple[tuple[str, ...] | None, int]],
) -> bool:
    """Whether one event stands for a doubled consonant, whose length mark events do not carry."""
    doubled = len(expected) == 2 and not expected[1][1] and (expected[0][0].symbol,) == phones == (expected[1][0].symbol,)
    return doubled and next((phones for phones, _ in coming if phones != ()), None) != phones


def _add_silence(labels: list[_Label], mark: str, start: int, end: int, rate_hz: int) -> None:
    """Lengthen the pause or the phone before; begin a pause where the silence is long enough."""
    last = labels[-1] if labels else None
    if last and (last.symbol in _PAUSES or end - start < _SHORTEST_PAUSE_S * rate_hz):
        labels[-1] = _Label(last.symbol, last.stress, last.starts_word, end)
    elif end > start:
        labels.append(_Label(mark, 0, False, end))


def make_utterance(espeak: EspeakPhones, sentence: str, speaker: str, config: ConvTtsConfig) -> Utterance | None:
    """Let one voice say one sentence; None if its phonemes are not all ours."""
    language, _, variant = speaker.rpartition("-")
    clauses = espeak.pronounce(sentence, language)
    if not clauses:
        return None
    speech = espeak.speak(sentence, VOICE_OF[language] + VARIANTS[variant], rate=RATE)
    found = [_PAUSE_OF[mark[0]] for mark in _MARK.findall(sentence)]
    marks = found if len(found) == len(clauses) else [","] * (len(clauses) - 1) + found[-1:]
    labels = align(speech, clauses, marks if len(marks) == len(clauses) else [*marks, "."], language)
    if not labels or len(labels) < 3:
        return None
    lead = EDGE_PAUSE_FRAMES if labels[0].symbol != "_" else 0
    hop = _FRAME_S * speech.sample_rate_hz
    silence = (np.zeros(round(lead * hop)), np.zeros(round(_END_FRAMES * hop)))
    pcm = np.concatenate([silence[0], speech.pcm / 32768, silence[1]])
    frames = _targets(pcm, speech.sample_rate_hz, config.cepstrum_order)
    if labels[-1].symbol not in _PAUSES:
        labels.append(_Label(marks[-1] if marks else ".", 0, False, len(speech.pcm) + len(silence[1])))
    ends = [lead + round(label.end_samples / hop) for label in labels]
    rows = [(PHONE_INDEX[label.symbol], label.stress, int(label.starts_word)) for label in labels]
    if lead:
        rows, ends = [(PHONE_INDEX["_"], 0, 0), *rows], [lead, *ends]
    ends[-1] = min(ends[-1], len(frames), ends[-2] + _END_FRAMES)
    durations = np.diff(ends, prepend=0)
    if durations.min() < 1:
        return None
    return Utterance(
        config.speakers.index(speaker), np.array(rows, dtype=np.int16), durations.astype(np.int16), frames[: ends[-1]]
    )


def _targets(pcm: NDArray[np.float64], rate_hz: int, order: int) -> NDArray[np.float16]:
    """[N, order + bands + 1] of a wave at the level that all voices share."""
    loud = np.abs(pcm) > 0.02
    rms = float(np.sqrt(np.mean(np.square(pcm[loud])))) if loud.any() else 1.0
    noise = np.random.default_rng(0).standard_normal(len(pcm)) * _NOISE
    # Of a vowel's wave the loud samples are about half, hence 3 dB.
    cepstrum, voicing, log_f0 = analyse(pcm * 10 ** ((_LEVEL_DBFS + 3) / 20) / rms + noise, rate_hz, order)
    return np.concatenate([cepstrum, voicing, log_f0[:, None]], 1).astype(np.float16)


def sentences_of(folder: Path, language: str, seed: int, testing: bool = False) -> Iterator[str]:
    """Shuffled sentences without digits, the held-out ones for testing, the others for training."""
    lines = [s for s in load_sentences(folder, language[:2], 150) if held_out(s) == testing and not re.search(r"\d", s)]
    random.Random(seed).shuffle(lines)
    return iter(lines)


def make_data(folder: Path, out_folder: Path, hours: float, shard_minutes: float = 10) -> None:
    """Write shards until every language has its hours, all speakers in turn; shards that are there stay as they are."""
    out_folder.mkdir(parents=True, exist_ok=True)
    espeak = EspeakPhones()
    started_s = time.monotonic()
    for shard in range(math.ceil(hours * len(LANGUAGES) * 60 / shard_minutes)):
        path = out_folder / f"voice-{shard:03d}.npz"
        if not path.exists():
            utterances = make_shard(espeak, folder, shard, shard_minutes)
            save_shard(path, utterances)
            print(f"{path}: {len(utterances)} utterances, {time.monotonic() - started_s:.0f} s", flush=True)


def make_shard(espeak: EspeakPhones, folder: Path, shard: int, minutes: float) -> list[Utterance]:
    """So many minutes of speech; the shard's number decides which sentences."""
    speakers = MULTILINGUAL.speakers
    texts = {
        speaker: sentences_of(folder, speaker.rpartition("-")[0], shard * len(speakers) + place)
        for place, speaker in enumerate(speakers)
    }
    utterances: list[Utterance] = []
    frames = 0
    for speaker in itertools.cycle(speakers):
        utterance = make_utterance(espeak, next(texts[speaker]), speaker, MULTILINGUAL)
        if utterance is not None:
            utterances.append(utterance)
            frames += len(utterance.frames)
        if frames * _FRAME_S >= minutes * 60:
            break
    return utterances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("data/voice-multi"))
    parser.add_argument("--hours-per-language", type=float, default=0.5)
    options = parser.parse_args()
    make_data(options.text_folder, options.out, options.hours_per_language)


if __name__ == "__main__":
    main()

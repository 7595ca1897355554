"""Makes the voice's training data: text -> our phones -> flite's prosody and vocoder parameters.

    python -m training.voice.train data --text-folder FOLDER --hours 10

Every sentence is spoken by one of the teacher's voices in turn. What is stored per
utterance: phones with stress and word starts, frames per phone, and 5 ms frames of
the targets of `training.voice.acoustics`.
"""

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.conv_tts.config import EDGE_PAUSE_FRAMES, ConvTtsConfig
from models.phones import ARPABET_TO_IPA, PHONES
from server.text.languages.english.pronounce import pronounce_words
from training.sentences import held_out, load_prose, load_sentences
from training.voice.acoustics import pack, translate
from training.voice.flite import FRAME_S, FliteSpeech, speak

PHONE_INDEX = {symbol: index for index, symbol in enumerate(PHONES)}
IPA_TO_ARPABET = {ipa: arpabet for arpabet, ipa in ARPABET_TO_IPA.items()}
_VOWEL_ARPABET = frozenset("aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw".split())
_TOKEN = re.compile(r"[\"'(]*([A-Za-z][A-Za-z'-]*?)[\"')]*([,;:.!?]*)[\"')]*")
_PAUSE_OF = {",": ",", ";": ",", ":": ",", ".": ".", "?": "?", "!": "!"}


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence as words with the punctuation mark behind each, and its pronunciation in our phones."""

    words: tuple[str, ...]
    marks: tuple[str, ...]
    """A symbol of PAUSES or nothing."""
    phones: tuple[tuple[tuple[str, int], ...], ...]
    """Per word (symbol, stress)."""

    @property
    def text(self) -> str:
        """What flite reads: it phrases by the punctuation and by function words."""
        return " ".join(word.lower() + mark for word, mark in zip(self.words, self.marks, strict=True))

    @property
    def arpabet(self) -> list[str]:
        """Per word the phones in flite's notation."""
        return [" ".join(_arpabet(symbol, stress) for symbol, stress in phones) for phones in self.phones]


def _arpabet(symbol: str, stress: int) -> str:
    phone = IPA_TO_ARPABET[symbol]
    return f"{phone}{int(stress == 1)}" if phone in _VOWEL_ARPABET else phone


def read_words(sentence: str) -> Words | None:
    """Cut a sentence into words and marks; None if it holds anything but plain words."""
    words, marks = [], []
    for token in sentence.replace("--", ", ").replace(" - ", ", ").split():
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        words.append(match[1])
        marks.append(_PAUSE_OF[match[2][-1]] if match[2] else "")
    if not words:
        return None
    phones = tuple(tuple((phone.symbol, phone.stress) for phone in word) for word in pronounce_words(words))
    if not all(phones) or any(before == after for before, after in pairwise(phones)):
        return None  # flite drops a token that has the phones of the one before
    return Words(tuple(words), tuple(marks), phones)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One training example; P phones, N frames."""

    speaker: int
    phones: NDArray[np.int16]
    """[P, 3]: index into PHONES, stress, whether a word starts."""
    durations_frames: NDArray[np.int16]
    """[P], at least 1; they add up to N."""
    frames: NDArray[np.float16]
    """[N, order + bands + 1]: cepstrum, voicing, log F0."""


def align(speech: FliteSpeech, words: Words) -> tuple[list[tuple[int, int, int]], list[int]] | None:
    """Our phones (index, stress, word start) with the frame after each one's last; None if flite spoke others."""
    labels: list[tuple[int, int, int]] = []
    ends: list[int] = []
    expected = iter([(w, p) for w, phones in enumerate(words.phones) for p in range(len(phones))])
    word = -1
    for segment in speech.segments:
        end = int(np.floor(segment.end_s / FRAME_S + 1e-3)) + 1
        if segment.token < 0:
            mark = words.marks[word] if word >= 0 else ""
            labels.append((PHONE_INDEX[mark or "_"], 0, 0))
        else:
            word, place = next(expected, (-1, -1))
            symbol, stress = words.phones[word][place] if word >= 0 else ("", 0)
            if segment.token != word or IPA_TO_ARPABET.get(symbol) != segment.phone:
                return None
            labels.append((PHONE_INDEX[symbol], stress, int(place == 0)))
        ends.append(min(end, len(speech.f0_hz)))
    if next(expected, None) is not None or ends[-1] < len(speech.f0_hz) - 2:
        return None
    ends[-1] = len(speech.f0_hz)
    return labels, ends


def make_utterance(words: Words, voice: str, config: ConvTtsConfig) -> Utterance | None:
    """Let a teacher's voice speak; None if its phones are not the ones we asked for."""
    speech = speak(voice, words.text, words.arpabet, rough_audio=True)
    aligned = align(speech, words)
    if aligned is None:
        return None
    labels, ends = aligned
    starts = [1, *ends[:-1]]  # the audio up to the first frame does not exist
    durations = np.array(ends) - np.array(starts)
    if durations.min() < 1:
        return None
    frames = pack(*translate(speech, voice, config.cepstrum_order))
    skipped = max(int(durations[0]) - EDGE_PAUSE_FRAMES, 0)
    durations[0] -= skipped
    return Utterance(
        config.speakers.index(voice), np.array(labels, dtype=np.int16), durations.astype(np.int16), frames[1 + skipped :]
    )


def training_texts(folder: Path, seed: int) -> Iterator[Words]:
    """Shuffled sentences that are not held out: three quarters from the sentence list, the rest prose;
    every fifth is two sentences in one breath."""
    rng = random.Random(seed)
    sentences = [s for s in load_sentences(folder) if len(s) >= 8 and not held_out(s)]
    prose = [s for s in load_prose(folder) if not held_out(s)]
    rng.shuffle(sentences)
    rng.shuffle(prose)
    waiting: Words | None = None
    for number, sentence in enumerate(sentences):
        words = read_words(prose.pop() if number % 4 == 3 and prose else sentence)
        if words is None:
            continue
        if waiting is not None:
            words = Words(waiting.words + words.words, waiting.marks + words.marks, waiting.phones + words.phones)
            waiting = None
        elif number % 5 == 4 and words.marks[-1] and len(words.words) < 14:
            waiting = words
            continue
        yield words


def make_data(text_folder: Path, out_folder: Path, hours: float, shard_minutes: float = 20, seed: int = 0) -> None:
    """Write shards ``voice-000.npz`` ... until there are ``hours`` of speech; shards that are there already are kept."""
    out_folder.mkdir(parents=True, exist_ok=True)
    config = ConvTtsConfig()
    used, total_s, shard = _made_so_far(out_folder)
    started_s, refused, pending_s = time.monotonic(), 0, 0.0
    pending: list[Utterance] = []
    for number, words in enumerate(training_texts(text_folder, seed)):
        if total_s >= hours * 3600:
            break
        if number < used:
            continue
        utterance = make_utterance(words, config.speakers[number % len(config.speakers)], config)
        if utterance is None:
            refused += 1
            continue
        pending.append(utterance)
        pending_s += len(utterance.frames) * FRAME_S
        if pending_s >= shard_minutes * 60 or total_s + pending_s >= hours * 3600:
            save_shard(out_folder / f"voice-{shard:03d}.npz", pending, number + 1)
            total_s, shard = total_s + pending_s, shard + 1
            pending, pending_s = [], 0.0
            print(f"{total_s / 3600:.2f} h, {refused} refused, {time.monotonic() - started_s:.0f} s", flush=True)


def _made_so_far(folder: Path) -> tuple[int, float, int]:
    """How many texts the shards of a folder used up, how much speech they hold in seconds, and how many they are."""
    used, total_s, count = 0, 0.0, 0
    for path in _shard_paths(folder):
        with np.load(path) as shard:
            used, total_s, count = int(shard["texts_used"]), total_s + float(shard["frame_counts"].sum()) * FRAME_S, count + 1
    return used, total_s, count


def _shard_paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("voice-[0-9][0-9][0-9].npz"))


def save_shard(path: Path, utterances: list[Utterance], texts_used: int = 0) -> None:
    """Write utterances as flat arrays, uncompressed, and, for a maker that resumes, how many texts the data used so far."""
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez(
        unfinished,
        texts_used=np.int64(texts_used),
        speaker=np.array([u.speaker for u in utterances], dtype=np.int16),
        phone_counts=np.array([len(u.phones) for u in utterances], dtype=np.int32),
        frame_counts=np.array([len(u.frames) for u in utterances], dtype=np.int32),
        phones=np.concatenate([u.phones for u in utterances]),
        durations=np.concatenate([u.durations_frames for u in utterances]),
        frames=np.concatenate([u.frames for u in utterances]),
    )
    unfinished.rename(path)


def load_shards(folder: Path) -> list[Utterance]:
    """All utterances of a folder of shards."""
    utterances = []
    for path in _shard_paths(folder):
        with np.load(path) as shard:
            arrays = {name: shard[name] for name in shard.files}
        phone_ends, frame_ends = np.cumsum(arrays["phone_counts"]), np.cumsum(arrays["frame_counts"])
        for index, speaker in enumerate(arrays["speaker"]):
            phones = slice(phone_ends[index] - arrays["phone_counts"][index], phone_ends[index])
            frames = slice(frame_ends[index] - arrays["frame_counts"][index], frame_ends[index])
            utterances.append(
                Utterance(int(speaker), arrays["phones"][phones], arrays["durations"][phones], arrays["frames"][frames])
            )
    return utterances

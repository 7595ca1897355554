"""A folder of somebody's recordings to training data for the voice.

    python -m training.voice.recordings --folder FOLDER --out DATA

The folder holds audio (wav, flac, mp3, ogg, m4a) and transcripts: ``metadata.csv`` as in LJSpeech
(``name|text`` or ``name|text|normalised text``, audio in the folder or in ``wavs/`` of it), or NAME.txt
beside each NAME.wav. Every file is either used or named with the reason why not.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from models.conv_tts.config import EDGE_PAUSE_FRAMES, FRAME_MS
from models.conv_tts.network import ConvTts
from training.voice.acoustics import pack
from training.voice.aligner import Alignment, PhoneModels, SpokenPhone, align_recordings, speaker_features
from training.voice.analysis import analyse
from training.voice.data import Utterance, save_shard
from training.voice.shipped import load_network, phone_rows, predict, read_phones

Floats = NDArray[np.floating[Any]]

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
SHORTEST_S, LONGEST_S = 0.5, 20.0
LEVEL_DB = -22.0
"""Mean power of all frames within 30 dB of the loud ones, as in the package's voices."""
MOST_CLIPPED = 1e-3
LEAST_SNR_DB = 15.0
MOST_MISMATCH = 5.0
"""Of `aligner.Alignment`: 50 sentences of a diphone voice had 0.4 to 3.7 with their own text, 9.3 to 16 with another's."""
_MARGIN_S = 0.15
_LAST_PAUSE_FRAMES = 24
_BOOTSTRAP_SENTENCES = 60
_FEWEST = 5


class Unusable(Exception):
    """A recording cannot be learned from; the message says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    name: str
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Heard:
    """A recording that passed the checks of its sound."""

    name: str
    phones: list[SpokenPhone]
    frames: NDArray[np.float16]
    seconds: float


def list_recordings(folder: Path) -> tuple[list[Recording], list[Skipped]]:
    """The pairs of audio and transcript in a folder, and what has no partner. Names of ``metadata.csv`` are looked up among
    the files that are there, so none leads out of the folder.

    Raises FileNotFoundError if there is no such folder.
    """
    found = sorted(path for place in (folder, folder / "wavs") if place.is_dir() for path in place.iterdir())
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    audio = {path.stem: path for path in found if path.suffix.lower() in SUFFIXES}
    skipped: list[Skipped] = []
    if (folder / "metadata.csv").exists():
        texts = dict(_metadata(folder / "metadata.csv", skipped))
    else:
        texts = {path.stem: path.read_text("utf-8") for path in found if path.suffix == ".txt"}
    recordings = []
    for name in sorted(audio.keys() | texts.keys()):
        text = " ".join(texts.get(name, "").split())
        if name not in audio:
            skipped.append(Skipped(name, f"no audio file of this name ({', '.join(SUFFIXES)})"))
        elif not text:
            skipped.append(Skipped(name, "no transcript"))
        else:
            recordings.append(Recording(name, audio[name], text))
    return recordings, skipped


def _metadata(path: Path, skipped: list[Skipped]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        name, bar, rest = line.partition("|")
        if bar:
            yield name.strip().removesuffix(".wav"), rest.rpartition("|")[2]
        elif line.strip():
            skipped.append(Skipped(f"metadata.csv line {number}", "is not name|text"))


def read_audio(path: Path) -> tuple[Floats, int]:
    """Mono samples in -1..1 and their rate in Hz. Raises Unusable."""
    mono = AudioResampler(format="flt", layout="mono")
    try:
        with av.open(str(path)) as container:
            pieces = [piece.to_ndarray()[0] for frame in container.decode(audio=0) for piece in mono.resample(frame)]
            rate_hz = int(container.streams.audio[0].rate)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise Unusable(f"cannot be read: {error}") from None
    if not pieces:
        raise Unusable("holds no audio")
    return np.concatenate(pieces).astype(np.float64), rate_hz


def check_sound(pcm: Floats, rate_hz: int) -> Floats:
    """The speech with a little silence around it, at `LEVEL_DB`.

    Raises Unusable: too short or long, a rate below 16 kHz, clipped, noisy, silent.
    """
    seconds = len(pcm) / rate_hz
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise Unusable(f"{seconds:.1f} s long; {SHORTEST_S:g} to {LONGEST_S:g} s are taken")
    if rate_hz < 16_000:
        raise Unusable(f"recorded at {rate_hz} Hz; at least 16000 are needed")
    peak = float(np.abs(pcm).max())
    clipped = float((np.abs(pcm) > 0.985 * peak).mean()) if peak > 0.9 else 0.0
    if clipped > MOST_CLIPPED:
        raise Unusable(f"clipped: {clipped:.1%} of the samples are at full scale")
    hop = rate_hz // 100
    power_db = 10 * np.log10(np.square(pcm[: len(pcm) // hop * hop].reshape(-1, hop)).mean(1) + 1e-10)
    loud_db, quiet_db = (float(level) for level in np.quantile(power_db, [0.9, 0.05]))
    if loud_db < -60:
        raise Unusable("silent")
    if loud_db - quiet_db < LEAST_SNR_DB:
        raise Unusable(f"noisy: speech is only {loud_db - quiet_db:.0f} dB above the quietest moments")
    speech = np.flatnonzero(power_db > max(quiet_db + 6, loud_db - 40))
    margin = int(_MARGIN_S * rate_hz)
    kept = pcm[max(int(speech[0]) * hop - margin, 0) : (int(speech[-1]) + 1) * hop + margin]
    active = 10 ** (power_db[power_db > loud_db - 30] / 10)
    return np.asarray(kept * 10 ** ((LEVEL_DB - 10 * np.log10(active.mean())) / 20))


def _hear(recording: Recording, order: int) -> _Heard:
    phones = read_phones(recording.text)
    if not any(not phone.is_pause for phone in phones):
        raise Unusable("nothing in its transcript is spoken")
    pcm, rate_hz = read_audio(recording.path)
    pcm = check_sound(pcm, rate_hz)
    frames = pack(*analyse(pcm, rate_hz, order))
    if len(frames) < 4 * len(phones):
        raise Unusable(f"{len(frames) * FRAME_MS / 1000:.1f} s of speech are too short for {len(phones)} phones")
    return _Heard(recording.name, phones, frames, len(pcm) / rate_hz)


def first_models(network: ConvTts, transcripts: Sequence[Sequence[SpokenPhone]]) -> PhoneModels:
    """Phone models from what the network's speakers would say of these transcripts."""
    features, alignments = [], []
    for speaker in range(len(network.config.speakers)):
        said = [predict(network, speaker, phones) for phones in transcripts]
        features += speaker_features([frames for frames, _ in said], network.config.cepstrum_order)
        alignments += [alignment for _, alignment in said]
    return PhoneModels.estimate(features, alignments, None, None)


def _covering(heard: Sequence[_Heard]) -> list[list[SpokenPhone]]:
    """Some transcripts, and whatever more it takes to have every phone of all."""
    chosen = [h.phones for h in heard[:_BOOTSTRAP_SENTENCES]]
    known = {phone.symbol for phones in chosen for phone in phones}
    for h in heard[_BOOTSTRAP_SENTENCES:]:
        if new := {phone.symbol for phone in h.phones} - known:
            chosen.append(h.phones)
            known |= new
    return chosen


def to_utterance(speaker: int, frames: NDArray[np.float16], alignment: Alignment) -> Utterance:
    """A training example: the pauses at the ends cut to what the voice makes there."""
    phones, durations = list(alignment.phones), alignment.durations_frames.copy()
    if not phones[0].is_pause:
        phones.insert(0, SpokenPhone("_"))
        durations = np.concatenate([[0], durations])
        durations[:2] += np.array([1, -1])
    if len(phones) > 1 and phones[0].is_pause:
        phones[0] = replace(phones[0], symbol="_")
    skipped = max(int(durations[0]) - EDGE_PAUSE_FRAMES, 0)
    durations[0] -= skipped
    if phones[-1].is_pause:
        durations[-1] = min(int(durations[-1]), _LAST_PAUSE_FRAMES)
    end = skipped + int(durations.sum())
    return Utterance(speaker, phone_rows(phones), durations.astype(np.int16), frames[skipped:end])


def prepare(recordings: Sequence[Recording], network: ConvTts) -> tuple[list[tuple[str, Utterance]], list[Skipped]]:
    """Examples of one speaker, by name, and what was left out."""
    order = network.config.cepstrum_order
    heard: list[_Heard] = []
    skipped: list[Skipped] = []
    for recording in recordings:
        try:
            heard.append(_hear(recording, order))
        except Unusable as reason:
            skipped.append(Skipped(recording.name, str(reason)))
    if len(heard) < _FEWEST:
        return [], skipped + [Skipped(h.name, f"fewer than {_FEWEST} usable recordings in all") for h in heard]
    models = first_models(network, _covering(heard))
    alignments = align_recordings(speaker_features([h.frames for h in heard], order), [h.phones for h in heard], models)
    used = []
    for h, alignment in zip(heard, alignments, strict=True):
        if alignment.mismatch > MOST_MISMATCH:
            skipped.append(Skipped(h.name, f"something else is said than its transcript (mismatch {alignment.mismatch:.1f})"))
        else:
            used.append((h.name, to_utterance(0, h.frames, alignment)))
    return used, skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the data")
    arguments = parser.parse_args()
    recordings, skipped = list_recordings(arguments.folder)
    used, unusable = prepare(recordings, load_network())
    for entry in sorted([*skipped, *unusable], key=lambda entry: entry.name):
        print(f"skipped {entry.name}: {entry.reason}")
    if not used:
        raise SystemExit("no recording can be used")
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_shard(arguments.out / "voice-000.npz", [utterance for _, utterance in used])
    seconds = sum(len(utterance.frames) for _, utterance in used) * FRAME_MS / 1000
    print(f"{len(used)} of {len(used) + len(skipped) + len(unusable)} recordings, {seconds / 60:.1f} min of speech")


if __name__ == "__main__":
    main()

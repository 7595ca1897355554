"""Texts of several readers for the same clips, side by side: errors by set, and the clips where they differ."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.real.readers import Reader
from benchmarks.real.scoring import COUNTED_BY_CHARACTER, HALF_CHARACTER, Errors, errors, total
from benchmarks.real.speech_sets import Clip

PEER = "faster-whisper"
Row = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class ReadClip:
    """One clip and what each reader wrote."""

    clip: Clip
    texts: Mapping[str, str]
    """By reader."""

    def errors(self, reader: str) -> Errors:
        return errors(self.clip.text, self.texts[reader], self.clip.language)

    @property
    def is_counted_by_character(self) -> bool:
        return self.clip.language in COUNTED_BY_CHARACTER


def read_all(clips: Sequence[Clip], readers: Mapping[str, Reader]) -> list[ReadClip]:
    """Each clip by every reader; faster-whisper has a thread to itself, so that two cores are busy."""
    ours = {name: read for name, read in readers.items() if name != PEER}
    with ThreadPoolExecutor(1) as beside:
        peer = beside.submit(lambda: [readers[PEER](clip) for clip in clips])
        texts = [{name: read(clip) for name, read in ours.items()} for clip in clips]
        return [ReadClip(clip, {**own, PEER: text}) for clip, own, text in zip(clips, texts, peer.result(), strict=True)]


def error_rate(read: Sequence[ReadClip], reader: str) -> float:
    """Percent of the words, or of the characters, of all clips together."""
    return total([clip.errors(reader) for clip in read]).percent


def lost(read: Sequence[ReadClip], reader: str) -> list[ReadClip]:
    """Clips of which a reader wrote nothing, though faster-whisper wrote something."""
    return [clip for clip in read if not clip.texts[reader].strip() and clip.texts[PEER].strip()]


def half_characters(read: Sequence[ReadClip], reader: str) -> int:
    """Replacement characters: bytes of a character whose other bytes are missing."""
    return sum(clip.texts[reader].count(HALF_CHARACTER) for clip in read)


def groups(name: str, read: Sequence[ReadClip]) -> dict[str, list[ReadClip]]:
    """What is counted together: a set of one language whole; of several, all whose words are counted, those whose
    characters are, and each language by itself."""
    codes = sorted({clip.clip.language for clip in read})
    if len(codes) == 1:
        return {name: list(read)}
    parts = {
        f"{name}, words": [clip for clip in read if not clip.is_counted_by_character],
        f"{name}, characters": [clip for clip in read if clip.is_counted_by_character],
        **{f"{name}, {code}": [clip for clip in read if clip.clip.language == code] for code in codes},
    }
    return {title: clips for title, clips in parts.items() if clips}


def row_of(read: Sequence[ReadClip], readers: Sequence[str]) -> Row:
    """Figures of one group, error rates in percent."""
    row: Row = {"clips": len(read), "said": total([clip.errors(PEER) for clip in read]).said}
    row[PEER] = round(error_rate(read, PEER), 2)
    for reader in readers:
        row[reader] = round(error_rate(read, reader), 2)
        row[f"{reader} - {PEER}"] = round(error_rate(read, reader) - error_rate(read, PEER), 2)
        row[f"{reader}: empty"] = len(lost(read, reader))
        row[f"{reader}: U+FFFD"] = half_characters(read, reader)
    return row


def worse_clips(read: Sequence[ReadClip], reader: str) -> list[ReadClip]:
    """Clips with more errors than faster-whisper's, the worst first."""
    worse = [clip for clip in read if clip.errors(reader).count > clip.errors(PEER).count]
    return sorted(worse, key=lambda clip: clip.errors(PEER).count - clip.errors(reader).count)

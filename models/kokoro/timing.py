"""From predicted durations to frames, and from the network's samples to the utterance: pauses of an exact length, the times of
phones, and volume. Arithmetic on numbers, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm
from models.kokoro.config import CURVE_STEPS, FRAME_SAMPLES, SAMPLE_RATE_HZ
from models.kokoro.letters import Letters
from models.phones import PAUSES
from models.speech import Phone, SampleSpan

LEAD_FRAMES = 4
"""Frames kept before the first phone; the network makes 13 to 17, mostly silence. Sound begins up to 3 frames before its letter
does. They are cut off afterwards: with fewer asked for, first words come out half mute."""
RAMP_SAMPLES = 120
"""Cuts fade out and in over 5 ms."""
VOLUME_RAMP_SAMPLES = 240
_LONGEST_FRAMES = 2400
"""Of one letter, whatever the speed: a minute."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The frames of one part of an utterance. Letters count with an edge at both ends."""

    frames: tuple[int, ...]
    """Of each letter."""
    skipped_samples: int
    """Of what the network makes, cut off its start."""
    ends_samples: NDArray[np.int64]
    """[P]; where each phone ends in the rest. The first begins after the lead."""
    lead_samples: int
    lengths_samples: NDArray[np.int64]
    """[P]; how long each phone is to be."""


def lay_out(phones: Sequence[Phone], letters: Letters, durations_frames: NDArray[np.float64]) -> Timing:
    """``durations_frames`` [letters + 2] as predicted at the voice's own speed, the edges counted in."""
    owners = _owners(phones, letters)
    speeds = np.array([phones[owner].speed for owner in _speakers(owners)])
    frames = np.clip(np.rint(durations_frames / speeds), 1, _LONGEST_FRAMES).astype(np.int64)
    asked = {place: phone.duration_ms for place, phone in enumerate(phones) if phone.duration_ms is not None}
    for place, duration_ms in asked.items():
        own = np.flatnonzero(np.array(owners) == place)
        if own.size:
            room = int(duration_ms * SAMPLE_RATE_HZ / 1000 // FRAME_SAMPLES)
            frames[own] = _within(frames[own], room, grows=phones[place].symbol not in PAUSES)
    skipped = max(0, int(frames[0]) - LEAD_FRAMES) * FRAME_SAMPLES
    ends = _ends(owners, frames, len(phones)) - skipped
    lead = int(frames[0]) * FRAME_SAMPLES - skipped
    lengths = np.diff(ends, prepend=lead)
    for place, duration_ms in asked.items():
        if phones[place].symbol in PAUSES:
            lengths[place] = round(duration_ms * SAMPLE_RATE_HZ / 1000)
    return Timing(tuple(frames.tolist()), skipped, ends, lead, lengths)


def _owners(phones: Sequence[Phone], letters: Letters) -> list[int]:
    """Of every letter with the edges: the phone whose it is, -1 for a space that two share, -2 for the lead, -3 for an end that
    belongs to none."""
    return [-2, *letters.owners, len(phones) - 1 if phones[-1].symbol in PAUSES else -3]


def _speakers(owners: Sequence[int]) -> list[int]:
    """For every letter the phone whose speed it has: its own, else the next one's, else the last one's."""
    speakers, following = [], max(owners)
    for owner in reversed(owners):
        following = owner if owner >= 0 else following
        speakers.append(following)
    return speakers[::-1]


def _within(frames: NDArray[np.int64], room: int, grows: bool) -> NDArray[np.int64]:
    """The same shares of at most ``room`` frames, of exactly so many if it ``grows``; at least one each."""
    total = int(frames.sum())
    if total <= room and not grows:
        return frames
    edges = np.rint(np.concatenate([[0], np.cumsum(frames)]) * max(room, len(frames)) / total)
    return np.maximum(np.diff(edges), 1).astype(np.int64)


def _ends(owners: Sequence[int], frames: NDArray[np.int64], phones: int) -> NDArray[np.int64]:
    """Where each phone ends, in samples; phones without letters where the one before does."""
    ends = np.full(phones, -1)
    at = last = 0
    for owner, count in zip(owners, frames.tolist(), strict=True):
        at += count * FRAME_SAMPLES
        if owner == -2:
            lead = at
        elif owner == -1:  # half of a space belongs to the word before it
            ends[last] = at - count * FRAME_SAMPLES // 2
        elif owner >= 0:
            ends[owner], last = at, owner
    before = lead
    for place in range(phones):
        before = ends[place] = before if ends[place] < 0 else ends[place]
    return ends


def assemble(pcm: Pcm, phones: Sequence[Phone], timing: Timing) -> tuple[Pcm, tuple[SampleSpan, ...]]:
    """What the network made [S], with pauses of the lengths that were asked for, and where each phone sounds in it."""
    pieces: list[Pcm] = []
    spans, at = [], 0
    starts = np.concatenate([[timing.lead_samples], timing.ends_samples[:-1]])
    speaking = pcm[timing.skipped_samples :].astype(np.float32, copy=True)
    taken = 0
    lead_given = False
    for start, end, wanted in zip(starts.tolist(), timing.ends_samples.tolist(), timing.lengths_samples.tolist(), strict=True):
        own = end - start
        if own and not lead_given:
            at, lead_given = at + timing.lead_samples, True
        if not own and not lead_given:  # pauses before the first sound come before the lead
            pieces.append(np.zeros(wanted, np.float32))
        elif wanted != own:
            half = min(own, wanted) // 2
            pieces += [speaking[taken : start + half], np.zeros(max(0, wanted - own), np.float32)]
            _fade(pieces[-2], out=True)
            taken = end - (min(own, wanted) - half)
            _fade(speaking[taken:], out=False)
        spans.append(SampleSpan(at, at + wanted))
        at += wanted
    pieces.append(speaking[taken:])
    _fade(speaking[:RAMP_SAMPLES], out=False)
    whole = np.concatenate(pieces)
    _fade(whole, out=True)
    return _with_volume(whole, phones, spans), tuple(spans)


def _fade(pcm: Pcm, out: bool) -> None:
    """In place, over the end or the start."""
    size = min(RAMP_SAMPLES, len(pcm))
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / max(1, size)
    if size:
        part = pcm[-size:] if out else pcm[:size]
        part *= ramp[::-1] if out else ramp


def _with_volume(pcm: Pcm, phones: Sequence[Phone], spans: Sequence[SampleSpan]) -> Pcm:
    """Each phone as loud as it is to be; the volume moves over 10 ms."""
    volumes = [phone.volume for phone in phones]
    if set(volumes) == {1.0}:
        return pcm
    if len(set(volumes)) == 1:
        return pcm * np.float32(volumes[0])
    gain = np.full(len(pcm), volumes[-1], np.float32)
    gain[: spans[0].start_samples] = volumes[0]
    for span, volume in zip(spans, volumes, strict=True):
        gain[span.start_samples : span.end_samples] = volume
    kernel = np.ones(VOLUME_RAMP_SAMPLES) / VOLUME_RAMP_SAMPLES
    padded = np.pad(gain, (VOLUME_RAMP_SAMPLES // 2, VOLUME_RAMP_SAMPLES - VOLUME_RAMP_SAMPLES // 2 - 1), mode="edge")
    smooth: Pcm = (np.convolve(padded, kernel, mode="valid") * pcm).astype(np.float32)
    return smooth


def curve_phones(timing: Timing) -> NDArray[np.int64]:
    """[2T]: the phone in which each value of pitch lies, the first one's before it and the last one's after it."""
    frames = sum(timing.frames)
    middles = (np.arange(CURVE_STEPS * frames) + 0.5) * FRAME_SAMPLES / CURVE_STEPS
    ends = timing.ends_samples + timing.skipped_samples
    return np.minimum(np.searchsorted(ends, middles, side="right"), len(timing.ends_samples) - 1)

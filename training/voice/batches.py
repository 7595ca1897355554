"""Utterances to padded batches of about equal work."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from models.phones import PAUSES
from training.voice.data import PHONE_INDEX, Utterance

_PAUSE_INDICES = frozenset(PHONE_INDEX[symbol] for symbol in PAUSES)
_DROP_EDGE_PAUSE = 0.2
_PLAIN_PAUSE = 0.08
_CUT_AT_PAUSE = 0.3
_LONG_PAUSE = 0.02
_LONG_PAUSE_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole utterances; B rows, P phones and T frames at most."""

    phones: Tensor
    """[B, P, 3] int64: index, stress, word start."""
    phone_mask: Tensor
    """[B, P, 1]."""
    durations: Tensor
    """[B, P] float, frames; 1 past a row's end."""
    timed: Tensor
    """[B, P], 1 where the duration is one to learn: a phone, not a pause made long."""
    speakers: Tensor
    """[B, speakers] weights."""
    frame_phone: Tensor
    """[B, T] int64, which phone each frame belongs to."""
    frame_index: Tensor
    """[B, T], the frame's place in its phone."""
    frame_weight: Tensor
    """[B, T], 0 past a row's end, less than 1 in pauses."""
    targets: Tensor
    """[B, T, order + bands + 1]."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def augment(utterance: Utterance, rng: random.Random) -> Utterance:
    """Make the segments a server sends out of whole sentences.

    Some are cut at a pause inside, as text that streams in is; some lack the pause before
    their first word, as all but the first of a context do; some pauses become plain ones,
    and of these some last half a second to a second, as a ``<break>`` may.
    """
    phones, durations, frames = utterance.phones, utterance.durations_frames, utterance.frames
    inside = [k for k in range(3, len(phones) - 3) if phones[k, 0] in _PAUSE_INDICES]
    if inside and rng.random() < _CUT_AT_PAUSE:
        cut = rng.choice(inside) + 1
        frame = int(durations[:cut].sum())
        if rng.random() < 0.5:
            phones, durations, frames = phones[:cut], durations[:cut], frames[:frame]
        else:
            phones, durations, frames = phones[cut:], durations[cut:], frames[frame:]
    if phones[0, 0] in _PAUSE_INDICES and rng.random() < _DROP_EDGE_PAUSE:
        frames, phones, durations = frames[int(durations[0]) :], phones[1:], durations[1:]
    plain = [k for k in range(len(phones)) if phones[k, 0] in _PAUSE_INDICES and rng.random() < _PLAIN_PAUSE]
    if plain:
        phones = phones.copy()
        phones[plain, 0] = PHONE_INDEX["_"]
    long = [k for k in plain if rng.random() < _LONG_PAUSE / _PLAIN_PAUSE]
    if long:
        extra = np.zeros(len(frames), dtype=np.int64)
        middles = (np.cumsum(durations) - durations // 2 - 1)[long]
        extra[middles] = rng.randint(_LONG_PAUSE_FRAMES, 2 * _LONG_PAUSE_FRAMES)
        frames = np.repeat(frames, 1 + extra, axis=0)
        durations = durations.copy()
        durations[long] += extra[middles].astype(np.int16)
    return Utterance(utterance.speaker, phones, durations, frames)


def collate(utterances: list[Utterance], speakers: int) -> Batch:
    """Pad utterances to one batch."""
    rows = len(utterances)
    longest_phones = max(len(u.phones) for u in utterances)
    longest_frames = max(len(u.frames) for u in utterances)
    phones = np.zeros((rows, longest_phones, 3), dtype=np.int64)
    durations = np.ones((rows, longest_phones), dtype=np.float32)
    timed = np.zeros((rows, longest_phones), dtype=np.float32)
    phone_mask = np.zeros((rows, longest_phones, 1), dtype=np.float32)
    frame_phone = np.zeros((rows, longest_frames), dtype=np.int64)
    frame_index = np.zeros((rows, longest_frames), dtype=np.float32)
    frame_weight = np.zeros((rows, longest_frames), dtype=np.float32)
    targets = np.zeros((rows, longest_frames, utterances[0].frames.shape[1]), dtype=np.float32)
    for row, u in enumerate(utterances):
        p, t = len(u.phones), len(u.frames)
        phones[row, :p], durations[row, :p], phone_mask[row, :p] = u.phones, u.durations_frames, 1
        timed[row, :p] = (u.durations_frames < _LONG_PAUSE_FRAMES) | (u.phones[:, 0] != PHONE_INDEX["_"])
        frame_phone[row, :t] = np.repeat(np.arange(p), u.durations_frames)
        starts = np.cumsum(u.durations_frames) - u.durations_frames
        frame_index[row, :t] = np.arange(t) - starts[frame_phone[row, :t]]
        is_pause = np.isin(u.phones[:, 0], list(_PAUSE_INDICES))
        frame_weight[row, :t] = np.where(is_pause[frame_phone[row, :t]], 0.3, 1.0)
        targets[row, :t] = u.frames
    one_hot = np.eye(speakers, dtype=np.float32)[[u.speaker for u in utterances]]
    arrays = (phones, phone_mask, durations, timed, one_hot, frame_phone, frame_index, frame_weight, targets)
    return Batch(*(torch.from_numpy(array) for array in arrays))


def batches(utterances: list[Utterance], frames_per_batch: int, speakers: int, seed: int) -> Iterator[Batch]:
    """Endless batches; utterances of like length go together, in another mixture each round."""
    rng = random.Random(seed)
    while True:
        noisy = sorted((len(u.frames) * rng.uniform(0.9, 1.1), index) for index, u in enumerate(utterances))
        groups: list[list[int]] = [[]]
        longest = 0
        for _, index in noisy:
            longest = max(longest, len(utterances[index].frames))
            if groups[-1] and longest * (len(groups[-1]) + 1) > frames_per_batch:
                groups.append([])
                longest = len(utterances[index].frames)
            groups[-1].append(index)
        rng.shuffle(groups)
        for group in groups:
            yield collate([augment(utterances[index], rng) for index in group], speakers)

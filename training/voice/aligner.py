"""Phones to frames of recorded speech, without given times.

A hidden Markov model with three states per phone and pauses that may be there or not between
words. Nobody labels anything: its first means come from the embedded voice itself, which says
the same sentences with phone ends that it knows (alignment by synthesis, Malfrere and Dutoit 1997). Then
it is estimated again on the recordings by Viterbi training (Juang and Rabiner 1990).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.phones import PAUSES

Floats = NDArray[np.floating[Any]]

STATES_PER_PHONE = 3
PAUSE = "_"
_CEPSTRA = 16
_DELTA_FRAMES = (2, 5)
_PRIOR_FRAMES = 20.0
"""A state's old mean weighs as much as this many frames of new speech."""
_PAUSE_COST = 6.0
"""Log probability against a pause that no punctuation announces."""
_SHORTEST_PAUSE_FRAMES = 6
_QUIET_NEPER = 3.5
"""Frames this much below the loudest do not count for a speaker's mean and spread."""


@dataclass(frozen=True, slots=True)
class SpokenPhone:
    """One phone of a transcript. Pauses are phones too; they may turn out to be absent."""

    symbol: str
    stress: int = 0
    starts_word: bool = False

    @property
    def is_pause(self) -> bool:
        return self.symbol in PAUSES


@dataclass(frozen=True, slots=True)
class Alignment:
    """What was found in a recording of T frames."""

    phones: tuple[SpokenPhone, ...]
    """The transcript's phones with the pauses that are really there."""
    durations_frames: NDArray[np.int64]
    """[P], at least 1; they add up to T."""
    mismatch: float
    """How much better the best free choice of states explains the speech than the transcript's: mean over frames of the
    difference in log likelihood. Large where something else was said."""


def speaker_features(recordings: Sequence[Floats], order: int) -> list[Floats]:
    """Features [T, F] of one speaker's frame targets [T, order + bands + 1]: cepstra and voicing with the speaker's mean and
    spread taken out, so that speakers compare, and their changes over 10 and 25 ms."""
    raw = [np.concatenate([f[:, :_CEPSTRA], f[:, order:-1].mean(1, keepdims=True)], 1).astype(np.float64) for f in recordings]
    speech = np.concatenate([r[r[:, 0] > np.quantile(r[:, 0], 0.95) - _QUIET_NEPER] for r in raw])
    mean, spread = speech.mean(0), speech.std(0) + 1e-3
    return [_with_changes((r - mean) / spread) for r in raw]


def _with_changes(x: Floats) -> Floats:
    parts = [x]
    for reach in _DELTA_FRAMES:
        padded = np.pad(x, ((reach, reach), (0, 0)), mode="edge")
        parts.append((padded[2 * reach :] - padded[: -2 * reach]) / 2)
    return np.concatenate(parts, 1)


class PhoneModels:
    """Means per state of a phone, and one covariance for all."""

    def __init__(self, means: dict[str, Floats], covariance: Floats) -> None:
        """``means`` [3, F] per symbol, all pauses under `PAUSE`; ``covariance`` [F, F]."""
        self.means = means
        self.symbols = tuple(means)
        self._index = {symbol: index for index, symbol in enumerate(self.symbols)}
        lower = np.linalg.cholesky(covariance + 0.02 * np.eye(len(covariance)))
        self._whiten = np.linalg.inv(lower).T
        self._white_means = np.concatenate([means[symbol] for symbol in self.symbols]) @ self._whiten

    @classmethod
    def estimate(
        cls,
        features: Sequence[Floats],
        alignments: Sequence[Alignment],
        states: Sequence[NDArray[np.int64]] | None,
        prior: "PhoneModels | None",
    ) -> "PhoneModels":
        """From aligned speech. ``states`` [T] gives each frame's state in its phone; None cuts phones in three equal parts."""
        sums: dict[str, Floats] = {}
        counts: dict[str, Floats] = {}
        width = features[0].shape[1]
        labels: list[tuple[str, int]] = []
        for number, (x, alignment) in enumerate(zip(features, alignments, strict=True)):
            place = _thirds(alignment.durations_frames) if states is None else states[number]
            owner = np.repeat(np.arange(len(alignment.phones)), alignment.durations_frames)
            names = [PAUSE if phone.is_pause else phone.symbol for phone in alignment.phones]
            for symbol in set(names):
                sums.setdefault(symbol, np.zeros((STATES_PER_PHONE, width)))
                counts.setdefault(symbol, np.zeros(STATES_PER_PHONE))
            for phone, state in {(int(p), int(s)) for p, s in zip(owner, place, strict=True)}:
                rows = (owner == phone) & (place == state)
                sums[names[phone]][state] += x[rows].sum(0)
                counts[names[phone]][state] += rows.sum()
            labels += [(names[p], int(s)) for p, s in zip(owner, place, strict=True)]
        means = dict(prior.means) if prior else {}
        for symbol, total in sums.items():
            count = counts[symbol][:, None]
            old = prior.means.get(symbol) if prior else None
            if old is None:
                means[symbol] = total / np.maximum(count, 1)
            else:
                means[symbol] = (total + _PRIOR_FRAMES * old) / (count + _PRIOR_FRAMES)
        residual = np.concatenate(features) - np.stack([means[symbol][state] for symbol, state in labels])
        return cls(means, residual.T @ residual / len(residual))

    def log_likelihoods(self, x: Floats) -> Floats:
        """[T, symbols * 3], up to a constant."""
        white = x @ self._whiten
        squares = np.square(white).sum(1)[:, None] - 2 * white @ self._white_means.T + np.square(self._white_means).sum(1)
        return np.asarray(-0.5 * squares)

    def columns(self, symbol: str) -> range:
        """Which columns of `log_likelihoods` are a phone's. KeyError: it was in none of the speech."""
        first = self._index[symbol] * STATES_PER_PHONE
        return range(first, first + STATES_PER_PHONE)


def _thirds(durations: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(n) * STATES_PER_PHONE // max(int(n), 1) for n in durations]).astype(np.int64)


def align(models: PhoneModels, x: Floats, transcript: Sequence[SpokenPhone]) -> tuple[Alignment, NDArray[np.int64]]:
    """The best way of one recording's frames [T, F] through its transcript, and each frame's state [T] in its phone.

    Pauses of the transcript may be left out, and there may be one more before any word.

    Raises:
        ValueError: there are fewer frames than states; a phone has no model.
    """
    phones = _with_possible_pauses(transcript)
    columns, owner, within, enters = _chain(models, phones)
    likelihood = models.log_likelihoods(x)
    if len(x) < sum(STATES_PER_PHONE for phone in phones if not phone.is_pause):
        raise ValueError(f"{len(x)} frames are too few for {len(phones)} phones")
    path = _viterbi(likelihood[:, columns], enters)
    found = owner[path]
    speech = np.array([not phone.is_pause for phone in phones])[found]
    free = likelihood.max(1) - likelihood[np.arange(len(x)), np.asarray(columns)[path]]
    kept, counts = np.unique(found, return_counts=True)
    kept_phones = [phones[int(index)] for index in kept]
    mismatch = float(free[speech].mean()) if speech.any() else float("inf")
    alignment = _without_short_pauses(kept_phones, counts.astype(np.int64), mismatch)
    return alignment, _thirds_where_merged(alignment, counts, within[path])


def _with_possible_pauses(transcript: Sequence[SpokenPhone]) -> list[SpokenPhone]:
    phones: list[SpokenPhone] = []
    for phone in transcript:
        if phone.starts_word and not (phones and phones[-1].is_pause):
            phones.append(SpokenPhone(PAUSE))
        phones.append(phone)
    if not phones[-1].is_pause:
        phones.append(SpokenPhone("."))
    return phones


def _chain(
    models: PhoneModels, phones: Sequence[SpokenPhone]
) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64], Floats]:
    """Per state of the chain: column of the likelihoods, phone, state in the phone; and [2, S] what it costs to come
    from the state before, and to skip the pause before. A pause is one state."""
    columns: list[int] = []
    owner: list[int] = []
    within: list[int] = []
    step: list[float] = []
    skip: list[float] = []
    for index, phone in enumerate(phones):
        after_pause = index > 0 and phones[index - 1].is_pause
        try:
            own = models.columns(PAUSE if phone.is_pause else phone.symbol)
        except KeyError:
            raise ValueError(f"no speech with the phone {phone.symbol!r} to learn it from") from None
        if phone.is_pause:
            announced = phone.symbol != PAUSE or index == 0
            columns.append(own[1])
            owner.append(index)
            within.append(1)
            step.append(0.0 if announced else -_PAUSE_COST)
            skip.append(-np.inf)
            continue
        for state, column in enumerate(own):
            columns.append(column)
            owner.append(index)
            within.append(state)
            step.append(0.0)
            skip.append(0.0 if state == 0 and after_pause else -np.inf)
    return columns, np.array(owner), np.array(within), np.array([step, skip])


def _viterbi(emission: Floats, enters: Floats) -> NDArray[np.int64]:
    """[T] best state of each frame; staying is free, and the first and the last state may be skipped if they are pauses."""
    frames, states = emission.shape
    score = np.full(states, -np.inf)
    score[0] = emission[0, 0]
    if np.isfinite(enters[1, 1:2]).any():
        score[1] = emission[0, 1]
    came_from = np.zeros((frames, states), dtype=np.int8)
    moved = np.full((3, states), -np.inf)
    for frame in range(1, frames):
        moved[0] = score
        moved[1, 1:] = score[:-1] + enters[0, 1:]
        moved[2, 2:] = score[:-2] + enters[1, 2:]
        choice = moved.argmax(0)
        came_from[frame] = choice
        score = np.take_along_axis(moved, choice[None], 0)[0] + emission[frame]
    path = np.zeros(frames, dtype=np.int64)
    path[-1] = states - 1 if score[-1] >= score[-2] else states - 2
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - came_from[frame, path[frame]]
    return path


def _without_short_pauses(phones: list[SpokenPhone], counts: NDArray[np.int64], mismatch: float) -> Alignment:
    """Pauses inside the sentence of less than 30 ms are a part of the phone behind them: a stop's closure, mostly."""
    kept: list[SpokenPhone] = []
    durations: list[int] = []
    carried = 0
    for index, (phone, count) in enumerate(zip(phones, counts, strict=True)):
        if phone.is_pause and 0 < index < len(phones) - 1 and count < _SHORTEST_PAUSE_FRAMES:
            carried += int(count)
            continue
        kept.append(phone)
        durations.append(int(count) + carried)
        carried = 0
    return Alignment(tuple(kept), np.array(durations, dtype=np.int64), mismatch)


def _thirds_where_merged(alignment: Alignment, counts: NDArray[np.int64], states: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames' states, except that frames of dropped pauses belong to the first state of the phone behind."""
    if len(counts) == len(alignment.phones):
        return states
    merged, start = states.copy(), 0
    for phone, count in zip(alignment.phones, alignment.durations_frames, strict=True):
        end = start + int(count)
        if not phone.is_pause:
            inside = merged[start:end]
            first_own = int(np.argmax(inside == 0))
            inside[:first_own] = 0
        start = end
    return merged


def align_recordings(
    features: Sequence[Floats], transcripts: Sequence[Sequence[SpokenPhone]], first: PhoneModels, rounds: int = 3
) -> list[Alignment]:
    """Align all recordings of one speaker, estimating the models again on them ``rounds`` times."""
    models = first
    found = [align(models, x, transcript) for x, transcript in zip(features, transcripts, strict=True)]
    for _ in range(rounds):
        # What does not fit its transcript teaches nothing.
        limit = 2 * float(np.median([alignment.mismatch for alignment, _ in found])) + 1
        good = [n for n, (alignment, _) in enumerate(found) if alignment.mismatch <= limit]
        models = PhoneModels.estimate(
            [features[n] for n in good], [found[n][0] for n in good], [found[n][1] for n in good], first
        )
        found = [align(models, x, transcript) for x, transcript in zip(features, transcripts, strict=True)]
    return [alignment for alignment, _ in found]

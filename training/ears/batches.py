"""Batches for the ears: shards from disk, augmented as mel spectra, which costs almost nothing.

Noise, tilt, gain and vocal-tract warps are all cheap on a mel spectrum (power adds, filters are offsets, a
warp is an interpolation between bands), so that one process feeds the trainer: about 3 % of a step.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.whisper.features import normalize
from training.ears.tokenizer import token_id

Floats = NDArray[np.float32]
MEL_BANDS = 80
IGNORED = -100
FLITE_PHONES = 64
"""Labels below belong to flite, those from here to `ALL_PHONES` to espeak-ng."""
ALL_PHONES = 224
FRAMES_PER_SECOND = 50
ROUND_S = 7200
"""Audio between two looks at the folder for new shards."""
ROUND_TO_FRAMES = 20
LONG_PADDING_ITEMS = 2
PROMPTED_SHARE = 0.25
"""Of batches: one prompt makes all rows of its batch longer."""
LONG_S = 8.0
LONG_URGENCY = 0.3
"""Long items come late and seldom: they cost most and are chains of sentences like those of short items."""
FLITE_URGENCY = 4.5
"""How much oftener flite's items are heard than others: they are fewer and harder."""
JOINED_SHARE = 0.2
"""Of short items: another one follows behind a pause, as in the windows of a stream."""
SHORT_S = 5.0
SILENCE_SHARE = 0.06
"""Of items: up to eight seconds of silence follow, or come first."""
WRONG_INPUT_SHARE = 0.03
"""Tokens that the decoder is given wrongly, so that it listens rather than remembers the sentence."""


@dataclass(frozen=True, slots=True)
class NoiseMix:
    """Which noises are added, and to how much of the speech."""

    share: float = 0.65
    """Of the items with speech, at full strength."""
    steady: float = 0.6
    """Of the noises: white to pink ones, which take the consonants of voices whose upper bands are weak."""
    white: float = 0.5
    """Of the steady ones."""
    steady_decades: tuple[float, float] = (0.8, 2.4)
    """How much stronger in mel power the speech is; white noise 10 dB below the speech is 1.4 by this measure."""


FOR_WHITE_NOISE = NoiseMix(share=1.0, steady=0.8, white=0.8, steady_decades=(0.9, 2.0))
"""What a last, short run hears."""


@dataclass(frozen=True, slots=True)
class Item:
    shard: int
    first_frame: int
    frames: int
    engine: str
    tokens: tuple[int, ...]
    previous: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Take:
    """What one row of a batch hears: items with silence before, between and after them."""

    items: tuple[Item, ...]
    gaps_frames: tuple[int, ...]
    """One more than there are items."""

    @property
    def frames(self) -> int:
        return sum(item.frames for item in self.items) + sum(self.gaps_frames)

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(token for item in self.items for token in item.tokens)

    @property
    def previous(self) -> tuple[int, ...]:
        return self.items[0].previous


@dataclass(frozen=True, slots=True)
class Batch:
    """``phones`` and ``targets`` are `IGNORED` where nothing is to be learnt."""

    mel: Floats
    """[B, T, M]"""
    phones: NDArray[np.int64]
    """[B, T / 2]"""
    inputs: NDArray[np.int64]
    """[B, N]"""
    targets: NDArray[np.int64]
    """[B, N]"""
    audio_s: float


class SpecialTokens:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.end = token_id(tokenizer, "<|endoftext|>")
        self.start = token_id(tokenizer, "<|startoftranscript|>")
        self.previous = token_id(tokenizer, "<|startofprev|>")
        self.no_speech = token_id(tokenizer, "<|nospeech|>")
        self.no_timestamps = token_id(tokenizer, "<|notimestamps|>")


class Corpus:
    """The shards that exist in a folder; `refresh` picks up new ones."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        self._folder, self._tokenizer = folder, tokenizer
        self.items: list[Item] = []
        self.phone_ids: dict[str, int] = {}
        self._shards: dict[int, tuple[NDArray[np.float16], NDArray[np.uint8], NDArray[np.int64]]] = {}
        self._next = {"flite": 0, "espeak": FLITE_PHONES}
        self.noise = np.load(folder / "noise.npy", mmap_mode="r")

    def refresh(self) -> None:
        for path in sorted(self._folder.glob("items-*.json")):
            number = int(path.stem.partition("-")[2])
            if number not in self._shards:
                self._read(number, json.loads(path.read_text("utf-8")))

    def know_phones(self, phone_ids: dict[str, int]) -> None:
        """Keep the ids that a checkpoint was trained with; to be called before `refresh`."""
        self.phone_ids.update(phone_ids)
        for engine in self._next:
            self._next[engine] += sum(symbol.startswith(f"{engine}:") for symbol in phone_ids)

    def _phone_id(self, symbol: str) -> int:
        """Ids in the order of first sight; shards are read in order, so a run can be resumed."""
        engine = symbol.partition(":")[0]
        if symbol not in self.phone_ids:
            new = self._next[engine]
            limit = FLITE_PHONES if engine == "flite" else ALL_PHONES
            self.phone_ids[symbol] = new if new < limit else IGNORED
            self._next[engine] += 1
        return self.phone_ids[symbol]

    def _read(self, number: int, content: dict[str, list[dict[str, str]]]) -> None:
        lookup = np.full(256, IGNORED, np.int64)
        for index, symbol in enumerate(content["phones"]):
            lookup[index] = self._phone_id(str(symbol))
        mels = np.load(self._folder / f"mels-{number:04}.npy", mmap_mode="r")
        phones = np.load(self._folder / f"phones-{number:04}.npy", mmap_mode="r")
        self._shards[number] = (mels, phones, lookup)
        first = 0
        texts = [f" {item['text']}" if item["text"] else "" for item in content["items"]]
        previous = [f" {item['previous']}" if item["previous"] else "" for item in content["items"]]
        encoded = [e.ids for e in self._tokenizer.encode_batch(texts)]
        prompts = [e.ids for e in self._tokenizer.encode_batch(previous)]
        for item, tokens, prompt in zip(content["items"], encoded, prompts, strict=True):
            frames = int(item["frames"])
            self.items.append(Item(number, first, frames, item["engine"], tuple(tokens), tuple(prompt)))
            first += frames

    @property
    def hours(self) -> float:
        return sum(item.frames for item in self.items) / FRAMES_PER_SECOND / 3600

    def mel(self, item: Item) -> Floats:
        """log10 of mel power, [T, M]."""
        mels = self._shards[item.shard][0]
        return np.asarray(mels[item.first_frame : item.first_frame + item.frames], np.float32)

    def phones(self, item: Item) -> NDArray[np.int64]:
        """One label per 20 ms frame."""
        _, phones, lookup = self._shards[item.shard]
        return lookup[phones[item.first_frame : item.first_frame + item.frames]]

    def take(self, take: Take, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """mel and phones of a take; its silences are the noise floor of their neighbours."""
        if len(take.items) == 1 and not any(take.gaps_frames):
            return self.mel(take.items[0]), self.phones(take.items[0])
        mels, phones = [], []
        for place, gap in enumerate(take.gaps_frames):
            if gap:
                floor = np.quantile(self.mel(take.items[min(place, len(take.items) - 1)]), 0.05, axis=0)
                mels.append((floor + _steady_noise(gap, rng, tilt=0.0)).astype(np.float32))
                phones.append(np.full(gap, IGNORED, np.int64))
            if place < len(take.items):
                mels.append(self.mel(take.items[place]))
                phones.append(self.phones(take.items[place]))
        return np.concatenate(mels), np.concatenate(phones)


def _warp(mel: Floats, phones: NDArray[np.int64], rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Another vocal tract (bands shifted by up to 12 %) and another tempo (up to 12 %)."""
    factor = rng.uniform(0.88, 1.13)
    source = np.clip(np.arange(MEL_BANDS) * factor + rng.uniform(-1.0, 1.0), 0, MEL_BANDS - 1.001)
    low = source.astype(np.int64)
    weight = (source - low).astype(np.float32)
    frames = int(len(mel) / rng.uniform(0.88, 1.12))
    rows = np.minimum((np.arange(frames) * (len(mel) / frames)).astype(np.int64), len(mel) - 1)
    mel = mel[rows]
    warped: Floats = mel[:, low] * (1 - weight) + mel[:, low + 1] * weight
    return warped, phones[rows]


def _colour(mel: Floats, rng: np.random.Generator) -> Floats:
    """A random smooth equaliser, or the band of a telephone."""
    knots = rng.normal(0, 0.35, 6) + rng.uniform(-1.2, 1.2) * np.linspace(-0.5, 0.5, 6)
    curve = np.interp(np.linspace(0, 5, MEL_BANDS), np.arange(6), knots)
    if rng.random() < 0.25:
        curve[int(rng.integers(52, 58)) :] -= rng.uniform(2, 6)
        curve[: int(rng.integers(2, 8))] -= rng.uniform(0, 3)
    coloured: Floats = mel + curve.astype(np.float32)
    return coloured


def _steady_noise(frames: int, rng: np.random.Generator, tilt: float) -> Floats:
    """log10 of the mel power of steady noise, ``tilt`` decades weaker in the highest band than in the lowest:
    a band sums as many squares as it has independent bins."""
    bins = np.interp(np.arange(MEL_BANDS), [0, 30, MEL_BANDS - 1], [1.0, 1.0, 6.0])
    power = rng.gamma(bins, 1 / bins, (frames, MEL_BANDS))
    steady: Floats = (np.log10(np.maximum(power, 1e-6)) - tilt * np.linspace(0, 1, MEL_BANDS)).astype(np.float32)
    return steady


class Augmenter:
    """``strength`` 0 gives the shards as they are; 1 everything."""

    def __init__(self, noise: NDArray[np.float16], mix: NoiseMix) -> None:
        self._noise, self._mix = noise, mix

    def __call__(
        self, mel: Floats, phones: NDArray[np.int64], strength: float, speech: bool, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.int64]]:
        if rng.random() < 0.4 * strength:
            mel, phones = _warp(mel, phones, rng)
        if rng.random() < 0.35 * strength:
            mel = _colour(mel, rng)
        if speech and rng.random() < self._mix.share * strength:
            mel = self._add_noise(mel, rng)
        mel = normalize(mel + np.float32(rng.uniform(-2.2, 0.3)))
        if speech and rng.random() < 0.5 * strength:
            mel = mel.copy()
            for _ in range(2):
                width = int(rng.integers(0, 13))
                band = int(rng.integers(0, MEL_BANDS - width))
                mel[:, band : band + width] = 0.0
            if rng.random() < 0.5:
                start = int(rng.integers(0, len(mel)))
                mel[start : start + int(rng.integers(1, 9))] = 0.0
        return mel, phones

    def _add_noise(self, mel: Floats, rng: np.random.Generator) -> Floats:
        ratio_decades = rng.uniform(0.3, 2.6)
        if rng.random() < self._mix.steady:
            tilt = 0.0 if rng.random() < self._mix.white else rng.uniform(0, 1.2)
            noise = _steady_noise(len(mel), rng, tilt)
            ratio_decades = rng.uniform(*self._mix.steady_decades)
        else:
            start = int(rng.integers(0, len(self._noise) - len(mel)))
            noise = np.asarray(self._noise[start : start + len(mel)], np.float32)
        speech_power = np.power(10.0, mel)
        noise_power = np.power(10.0, noise)
        ratio = speech_power.mean() / max(float(noise_power.mean()), 1e-12) / 10**ratio_decades
        mixed: Floats = np.log10(speech_power + np.float32(ratio) * noise_power)
        return mixed


class BatchMaker:
    """Batches of the items of one process out of ``workers``: every ``workers``-th."""

    def __init__(
        self,
        corpus: Corpus,
        special: SpecialTokens,
        batch_s: float,
        worker: int = 0,
        workers: int = 1,
        noise_mix: NoiseMix = NoiseMix(),
    ) -> None:
        self._corpus, self._special, self._batch_s = corpus, special, batch_s
        self._worker, self._workers = worker, workers
        self._rng = np.random.default_rng(0)
        self._augment = Augmenter(corpus.noise, noise_mix)
        self.strength = 0.0
        self.prompts = False
        self.longest_s = 15.0
        self.long_padding_share = 0.0
        """Batches padded to as much as 60 s, which faster-whisper does to every window."""
        self._heard: NDArray[np.int64] = np.zeros(0, np.int64)

    def reseed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def round(self) -> Iterator[Batch]:
        """Two hours of the items heard least so far (up to ``longest_s``), in batches of similar length."""
        self._corpus.refresh()
        items = self._corpus.items[self._worker :: self._workers]
        self._heard = np.pad(self._heard, (0, len(items) - len(self._heard)))
        urgency = np.array([FLITE_URGENCY if item.engine == "flite" else 1.0 for item in items])
        urgency[[item.frames > LONG_S * FRAMES_PER_SECOND for item in items]] *= LONG_URGENCY
        order = np.argsort((self._heard + self._rng.random(len(items))) / urgency)
        frames = np.array([item.frames for item in items])[order]
        fits = frames <= self.longest_s * FRAMES_PER_SECOND
        order, frames = order[fits], frames[fits]
        chosen = order[: 1 + int(np.searchsorted(np.cumsum(frames), ROUND_S * FRAMES_PER_SECOND))]
        self._heard[chosen] += 1
        groups = self._groups(self._takes([items[int(index)] for index in chosen]))
        for index in self._rng.permutation(len(groups)):
            if self._rng.random() < self.long_padding_share:
                yield self.make(groups[int(index)][:LONG_PADDING_ITEMS], int(self._rng.choice([15, 20, 30, 45, 60, 60])))
            else:
                yield self.make(groups[int(index)])

    def _takes(self, items: list[Item]) -> list[Take]:
        """The items, some of them joined with pauses of 0.15 to 4 s or beside long silences."""
        rng, limit = self._rng, self.longest_s * FRAMES_PER_SECOND
        takes: list[Take] = []
        waiting: Item | None = None
        for item in items:
            short = item.frames <= SHORT_S * FRAMES_PER_SECOND
            if waiting is not None and short:
                takes.append(Take((waiting, item), (0, int(FRAMES_PER_SECOND * 10 ** rng.uniform(-0.82, 0.6)), 0)))
                waiting = None
            elif waiting is None and short and item.tokens and rng.random() < JOINED_SHARE / 2:
                waiting = item
            elif rng.random() < SILENCE_SHARE and item.frames < limit:
                silence = int(rng.uniform(0, min(limit - item.frames, 8 * FRAMES_PER_SECOND)))
                takes.append(Take((item,), (0, silence) if rng.random() < 0.75 else (silence, 0)))
            else:
                takes.append(Take((item,), (0, 0)))
        return takes if waiting is None else [*takes, Take((waiting,), (0, 0))]

    def _groups(self, takes: list[Take]) -> list[list[Take]]:
        keys = np.array([take.frames for take in takes]) * self._rng.uniform(0.96, 1.04, len(takes))
        groups: list[list[Take]] = [[]]
        for index in np.argsort(keys):
            take = takes[int(index)]
            longest = max([take.frames, *(other.frames for other in groups[-1])])
            if longest * (len(groups[-1]) + 1) > self._batch_s * FRAMES_PER_SECOND and groups[-1]:
                groups.append([])
            groups[-1].append(take)
        return groups

    def make(self, takes: list[Take], padded_s: int | None = None) -> Batch:
        """``padded_s`` asks for windows of that length, mostly padding."""
        rng = self._rng
        rows = []
        for take in takes:
            mel, phones = self._corpus.take(take, rng)
            rows.append(self._augment(mel, phones, self.strength, bool(take.tokens), rng))
        longest = max(len(mel) for mel, _ in rows)
        frames = -(-longest // ROUND_TO_FRAMES) * ROUND_TO_FRAMES + (FRAMES_PER_SECOND if rng.random() < 0.15 else 0)
        frames = min(max(frames, (padded_s or 0) * FRAMES_PER_SECOND), 3000)
        mels = np.zeros((len(rows), frames, MEL_BANDS), np.float32)
        phone_labels = np.full((len(rows), frames // 2), IGNORED, np.int64)
        for index, (mel, phones) in enumerate(rows):
            mels[index, : len(mel)] = mel
            if rng.random() < 0.1:  # padded as audio by silence, like Hugging Face's extractor
                mels[index, len(mel) :] = mel.min()
            labels = phones[::2][: frames // 2]
            phone_labels[index, : len(labels)] = labels
        inputs, targets = self._tokens(takes)
        audio_s = sum(len(mel) for mel, _ in rows) / FRAMES_PER_SECOND
        return Batch(mels, phone_labels, inputs, targets, audio_s)

    def _tokens(self, items: list[Take]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per row: [<|startofprev|> prompt] <|startoftranscript|> <|notimestamps|> text <|endoftext|>.

        After <|startoftranscript|> the target is <|nospeech|> for an empty transcript, as in Whisper.
        """
        special = self._special
        prompted = self.prompts and self._rng.random() < PROMPTED_SHARE
        prompts = [[special.previous, *item.previous] if prompted and item.previous else [] for item in items]
        longest = max(len(p) + len(item.tokens) + 2 for p, item in zip(prompts, items, strict=True))
        inputs = np.full((len(items), longest), special.end, np.int64)
        targets = np.full((len(items), longest), IGNORED, np.int64)
        for row, (prompt, item) in enumerate(zip(prompts, items, strict=True)):
            known = [*prompt, special.start, special.no_timestamps, *item.tokens]
            first = special.no_timestamps if item.tokens else special.no_speech
            learnt = [*[IGNORED] * len(prompt), first, *item.tokens, special.end]
            inputs[row, : len(known)] = known
            text = np.arange(len(known) - len(item.tokens), len(known))
            wrong = text[self._rng.random(len(text)) < WRONG_INPUT_SHARE]
            inputs[row, wrong] = self._rng.integers(0, special.end, len(wrong))
            targets[row, : len(learnt)] = learnt
        return inputs, targets

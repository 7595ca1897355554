"""Train the speaker encoder on what `training.speaker.data` made, and export it.

    python -m training.speaker.train [--data data/speaker] [--steps 800] [--out models/speaker_encoder/weights/...]

Loss: GE2E's softmax (Wan et al. 2018: an utterance against the centroids of its batch, its own without itself) plus the
squared error of the character and the cross-entropy of the base speakers where they are known. A checkpoint is written
every 50 steps; the same command goes on from it.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.speaker_encoder.network import CHARACTER_NAMES, Heard, SpeakerNetwork
from models.weights import save_weights
from training.speaker.data import SpeakerData

SPEAKERS, UTTERANCES = 20, 3
"""Of one batch."""
CROP_FRAMES = (90, 190)
HELD_OUT_ONE_IN = 12
"""Speakers that only the figures of the log are measured on."""
_LOG_STEPS = 25
_CHECKPOINT_STEPS = 50


@dataclass(frozen=True, slots=True)
class Batch:
    features: Tensor
    """[speakers * utterances, T, FEATURES], the utterances of a speaker together."""
    labels: Tensor
    """[speakers * utterances, characters + base speakers], NaN where unknown."""


class Batches:
    """Random crops of random speakers."""

    def __init__(self, data: SpeakerData, speakers: list[int], rng: np.random.Generator) -> None:
        self._data, self._speakers, self._rng = data, speakers, rng
        self._utterances = {number: np.flatnonzero(data.speakers == number) for number in speakers}

    def draw(self, speakers: int, utterances: int) -> Batch:
        frames = int(self._rng.integers(*CROP_FRAMES))
        chosen = self._rng.choice(self._speakers, speakers, replace=False)
        rows = [row for number in chosen for row in self._rng.choice(self._utterances[int(number)], utterances, replace=False)]
        features = torch.from_numpy(np.stack([self._crop(int(row), frames) for row in rows]))
        return Batch(features, torch.from_numpy(self._data.characters[rows]))

    def _crop(self, row: int, frames: int) -> np.ndarray:
        start, end = self._data.starts[row : row + 2]
        first = start + int(self._rng.integers(0, max(1, end - start - frames)))
        piece = np.asarray(self._data.frames[first : min(end, first + frames)], np.float32)
        return np.resize(piece, (frames, piece.shape[1]))  # a short utterance starts over


def speaker_loss(embedding: Tensor, speakers: int, scale: Tensor) -> Tensor:
    """GE2E softmax loss; ``embedding`` [speakers * utterances, E]."""
    grouped = embedding.view(speakers, -1, embedding.shape[1])
    utterances = grouped.shape[1]
    centroids = F.normalize(grouped.mean(1), dim=1)
    without = F.normalize((grouped.sum(1, keepdim=True) - grouped) / (utterances - 1), dim=2)
    similarity = torch.einsum("sue,ce->suc", grouped, centroids)
    own = torch.eye(speakers, dtype=torch.bool)[:, None].expand_as(similarity)
    alone = (grouped * without).sum(2, keepdim=True).expand_as(similarity)
    logits = scale.exp() * torch.where(own, alone, similarity)
    return F.cross_entropy(logits.flatten(0, 1), torch.arange(speakers).repeat_interleave(utterances))


def character_loss(heard: Heard, labels: Tensor, network: SpeakerNetwork) -> Tensor:
    """Of our own voices; 0 where the batch has none."""
    known = ~labels[:, 0].isnan()
    if not known.any():
        return torch.zeros(())
    count = len(CHARACTER_NAMES)
    wanted = (labels[known, :count] - network.character_mean) / network.character_spread
    regression = F.mse_loss(heard.character[known], wanted)
    return regression + 0.5 * F.cross_entropy(heard.speakers[known], labels[known, count:])


@torch.inference_mode()
def evaluate(network: SpeakerNetwork, batches: Batches, speakers: int) -> dict[str, float]:
    """Equal error rate over all pairs, and the head's root-mean-square errors, on held-out speakers."""
    network.eval()
    batch = batches.draw(speakers, 6)
    heard = network(batch.features)
    network.train()
    similarity = heard.embedding @ heard.embedding.T
    owner = torch.arange(speakers).repeat_interleave(6)
    pairs = torch.triu(torch.ones_like(similarity, dtype=torch.bool), 1)
    same = owner[:, None] == owner[None]
    accept, reject = similarity[pairs & same], similarity[pairs & ~same]
    thresholds = accept.sort().values
    missed = torch.arange(len(thresholds)) / len(thresholds)
    passed = torch.stack([(reject >= threshold).float().mean() for threshold in thresholds])
    figures = {"eer_percent": 100 * float(torch.maximum(missed, passed).min())}
    known = ~batch.labels[:, 0].isnan()
    said = heard.character[known] * network.character_spread + network.character_mean
    errors = (said - batch.labels[known, : len(CHARACTER_NAMES)]).square().mean(0).sqrt()
    return figures | {f"rms_{name}": float(error) for name, error in zip(CHARACTER_NAMES, errors, strict=True)}


def train(data: SpeakerData, folder: Path, steps: int, learning_rate: float, seed: int) -> SpeakerNetwork:
    """The network after ``steps``; the log goes to standard output, one JSON object a line."""
    torch.manual_seed(seed)
    network, scale = SpeakerNetwork(), torch.nn.Parameter(torch.tensor(math.log(10.0)))
    own = data.characters[~np.isnan(data.characters[:, 0])][:, : len(CHARACTER_NAMES)]
    network.character_mean.copy_(torch.from_numpy(own.mean(0)))
    network.character_spread.copy_(torch.from_numpy(own.std(0)))
    numbers = [int(number) for number in np.unique(data.speakers)]
    held_out = [number for number in numbers if number % HELD_OUT_ONE_IN == 0]
    testing = Batches(data, held_out, np.random.default_rng(7))
    parameters = [*network.parameters(), scale]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1, pct_start=0.1)
    path, first = folder / "checkpoint.pt", 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        network.load_state_dict(saved["network"])
        scale.data.copy_(saved["scale"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    batches = Batches(data, [number for number in numbers if number not in held_out], np.random.default_rng([seed, first]))
    started_s, sums = time.process_time(), np.zeros(2)
    for step in range(first + 1, steps + 1):
        batch = batches.draw(SPEAKERS, UTTERANCES)
        heard = network(batch.features)
        who, what = speaker_loss(heard.embedding, SPEAKERS, scale), character_loss(heard, batch.labels, network)
        optimizer.zero_grad()
        (who + 0.5 * what).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        sums += who.item(), what.item()
        if step % _LOG_STEPS == 0:
            row = {"step": step, "cpu_s": time.process_time() - started_s, "speaker_loss": sums[0] / _LOG_STEPS,
                   "character_loss": sums[1] / _LOG_STEPS}  # fmt: skip
            if step % (4 * _LOG_STEPS) == 0:
                row |= evaluate(network, testing, len(held_out))
            print(json.dumps({key: round(value, 4) for key, value in row.items()}), flush=True)
            sums[:] = 0
        if step % _CHECKPOINT_STEPS == 0 or step == steps:
            state = {"network": network.state_dict(), "scale": scale.data, "optimizer": optimizer.state_dict(),
                     "schedule": schedule.state_dict(), "step": step}  # fmt: skip
            torch.save(state, path)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/speaker"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("models/speaker_encoder/weights/speaker.safetensors"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = SpeakerData.load(arguments.data)
    network = train(data, arguments.data, arguments.steps, arguments.learning_rate, arguments.seed)
    save_weights(arguments.out, network.state_dict(), dtype=torch.float16)


if __name__ == "__main__":
    main()

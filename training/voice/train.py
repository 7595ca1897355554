"""Trains the embedded voice: data, train, export. ``make train-voice TEXT=folder`` does all and evaluates.

    python -m training.voice.train data --text-folder FOLDER --hours 6
    python -m training.voice.train train --minutes 180 [--device cuda] [--init OTHER.pt]
    python -m training.voice.train export
    python -m training.voice.train --voice multi train --minutes 120    (data: `training.voice.espeak`)

The teacher's own vocoder parameters are the targets (`training.voice.acoustics`), so no audio is
made while training: errors are log-spectral distances, and noise, which no model can predict,
never enters the loss. Every step can be stopped and started again: data are kept by the shard, a
checkpoint is written every three minutes and on SIGTERM, and the learning rate follows the wall time that
training has had, of ``--minutes`` in all.
"""

import argparse
import copy
import json
import math
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.conv_tts.config import CEPSTRUM_WARP, SAMPLE_RATE_HZ, ConvTtsConfig
from models.conv_tts.network import ConvTts, pitch_at, position_features
from models.conv_tts.voices import voices_record
from models.voices import Voice
from models.weights import save_weights
from training.voice.batches import Batch, batches
from training.voice.data import Utterance, load_shards, make_data
from training.voice.espeak import MULTILINGUAL, VOICES
from training.voice.fast_backward import speed_up

WEIGHTS_FOLDER = Path("models/conv_tts/weights")
CONFIGS = {"en": ConvTtsConfig(), "multi": MULTILINGUAL}
"""By the voice's name, which is in the names of the data folder and of the weights too."""
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP_STEPS = 200
EMA_DECAY = 0.997
FRAMES_PER_BATCH = 4000
CHECKPOINT_EVERY_S = 180
_GRID_POINTS = 80
_ANGLE_8_KHZ = 2.73
"""8 kHz on the warped axis."""
_OCTAVES_HZ = torch.tensor([100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 8000.0])
_INAUDIBLE = -10.4
"""Log amplitude, -90 dB: what is below counts as that, in the loss as in the measure of distortion."""


class Grid(NamedTuple):
    """Where spectra are compared: points spread evenly on the warped axis up to 12 kHz."""

    cosines: Tensor
    """[order, points], cepstrum to log amplitude."""
    weight: Tensor
    """[points], together 1: what is above 8 kHz counts a third, as nobody knows what belongs there."""
    octaves: Tensor
    """[points, octaves], how many Hz of each octave from 100 Hz to 6.4 kHz (the last to 8 kHz) a point stands for."""

    def to(self, device: torch.device) -> "Grid":
        return Grid(*(table.to(device) for table in self))


def spectral_grid(order: int) -> Grid:
    """The grid for cepstra of an order."""
    angle = (torch.arange(_GRID_POINTS) + 0.5) * (math.pi / _GRID_POINTS)
    weight = torch.where(angle < _ANGLE_8_KHZ, 1.0, 1 / 3)
    omega = angle - 2 * torch.atan2(CEPSTRUM_WARP * angle.sin(), 1 + CEPSTRUM_WARP * angle.cos())
    hz = omega * (SAMPLE_RATE_HZ / (2 * math.pi))
    inside = (hz[:, None] >= _OCTAVES_HZ[:-1]) & (hz[:, None] < _OCTAVES_HZ[1:])
    return Grid(torch.cos(torch.arange(order)[:, None] * angle), weight / weight.sum(), inside * torch.gradient(hz)[0][:, None])


def audible(log_amplitude: Tensor) -> Tensor:
    """Log amplitude with the power of a noise floor added."""
    return _INAUDIBLE + 0.5 * nn.functional.softplus(2 * (log_amplitude - _INAUDIBLE))


def level_error(ours: Tensor, target: Tensor, batch: Batch, grid: Grid) -> Tensor:
    """Mean difference in log amplitude of each octave's power over whole utterances. Errors of single frames are least at
    the median, which is below the mean: without this term, octaves came out up to 0.7 dB too soft."""
    real = (batch.frame_weight > 0)[..., None]
    ours, target = ((2 * spectrum).exp() * real @ grid.octaves for spectrum in (ours, target))
    return 0.5 * (ours.sum(1).log() - target.sum(1).log()).abs().mean()


def range_error(ours: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean difference in the log spread of log F0 over whole utterances, [B, T] each. The median of what a melody may do moves
    less than any melody: without this term, F0 spread 5 to 10 % less than the teacher's."""

    def log_variance(log_f0: Tensor) -> Tensor:
        share = weight / weight.sum(1, keepdim=True)
        mean = (share * log_f0).sum(1, keepdim=True)
        return ((share * (log_f0 - mean).square()).sum(1) + 1e-4).log()

    return 0.5 * (log_variance(ours) - log_variance(target)).abs().mean()


def losses(model: ConvTts, batch: Batch, grid: Grid) -> dict[str, Tensor]:
    """The weighted parts of the loss, all in natural-log units.

    The error of a spectrum is its root mean square over the points of a frame, averaged over
    frames: what mel-cepstral distortion counts too.
    """
    order = model.config.cepstrum_order
    with torch.autocast(grid.weight.device.type, torch.bfloat16):
        encoding = model.encode(
            batch.phones[..., 0], batch.phones[..., 1], batch.phones[..., 2], batch.speakers, batch.phone_mask
        )
        durations = batch.durations.gather(1, batch.frame_phone)
        at = batch.frame_phone[..., None].expand(-1, -1, encoding.phones.shape[2])
        cepstrum, voicing, _ = model.decode(
            encoding.phones.gather(1, at),
            position_features(batch.frame_index, durations),
            batch.speakers,
            model.init_state(len(batch.phones), grid.weight.device),
        )
    weight = batch.frame_weight / batch.frame_weight.sum()
    ours, target = audible(cepstrum @ grid.cosines), audible(batch.targets[..., :order] @ grid.cosines)
    error = ours - target
    change = (error[:, 1:] - error[:, :-1]) * (batch.frame_weight[:, 1:] > 0)[..., None]
    share = (batch.frame_index + 0.5) / durations
    log_f0 = (batch.speakers @ model.speaker_log_f0)[:, None] + model.pitch_spread * pitch_at(
        encoding.pitch, batch.frame_phone, share
    )
    target_voicing = batch.targets[..., order:-1]
    heard = weight * (0.2 + target_voicing.mean(-1))
    phones = batch.timed
    log_error = (encoding.log_durations - batch.durations.log()) * phones
    total = ((encoding.log_durations.clamp_max(6).exp() * phones).sum(1)).log() - (batch.durations * phones).sum(1).log()
    return {
        "spectrum": ((error.square() @ grid.weight + 1e-6).sqrt() * weight).sum(),
        "change": ((change.abs() @ grid.weight) * weight[:, 1:]).sum(),
        "level": 0.5 * level_error(ours, target, batch, grid),
        "voicing": 0.5 * ((voicing - target_voicing).abs().mean(-1) * weight).sum(),
        "pitch": 4 * ((log_f0 - batch.targets[..., -1]).abs() * heard).sum() / heard.sum(),
        "range": 0.5 * range_error(log_f0, batch.targets[..., -1], heard),
        "duration": 0.5 * log_error.abs().sum() / phones.sum(),
        "length": 0.5 * total.abs().mean(),
    }


def descend(
    model: ConvTts, average: ConvTts, optimizer: torch.optim.Optimizer, parts: dict[str, Tensor], ema_decay: float
) -> None:
    """One step of the optimiser down the sum of the losses; the running average of the weights follows."""
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(torch.stack(list(parts.values())).sum())
    nn.utils.clip_grad_norm_([parameter for group in optimizer.param_groups for parameter in group["params"]], 2.0)
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - ema_decay)


def set_statistics(model: ConvTts, utterances: list[Utterance]) -> None:
    """Fill the network's normalisation buffers from the data."""
    order = model.config.cepstrum_order
    sample = random.Random(0).sample(utterances, min(len(utterances), 600))
    cepstra = np.concatenate([u.frames[:, :order] for u in sample]).astype(np.float64)
    model.cepstrum_mean.copy_(torch.from_numpy(cepstra.mean(0)))
    model.cepstrum_spread.copy_(torch.from_numpy(cepstra.std(0)))
    for speaker in range(len(model.config.speakers)):
        tracks = [u.frames[u.frames[:, order] > 0.3, -1] for u in sample if u.speaker == speaker]
        model.speaker_log_f0[speaker] = float(np.concatenate(tracks).astype(np.float64).mean())


def learning_rate(step: int, share: float, peak: float) -> float:
    """Linear warm-up over steps, then a cosine over the share of the time that has passed."""
    return peak * min((step + 1) / WARM_UP_STEPS, 1) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1))))


def start_from(model: ConvTts, path: Path) -> None:
    """Take over the averaged weights of another run as far as shapes agree; of embeddings with another number of
    rows (more phones or speakers) the rows that both have. The rest, and the statistics of the data, stay."""
    state = torch.load(path, weights_only=True, map_location="cpu")["average"]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            other = state.get(name)
            if other is None or other.shape[1:] != parameter.shape[1:]:
                continue
            if other.shape == parameter.shape or name.endswith(("embedding.weight", "decoder_speaker.weight")):
                rows = min(len(other), len(parameter))
                parameter[:rows] = other[:rows]


class Training:
    """One run: network, running average, optimiser, and how far they have come."""

    def __init__(self, utterances: list[Utterance], options: argparse.Namespace) -> None:
        self.checkpoint_path: Path = options.checkpoint
        self.log_path = self.checkpoint_path.with_suffix(".jsonl")
        self.peak_rate, self.plan_s, self.seed = options.peak_learning_rate, options.minutes * 60, options.seed
        self.device = torch.device(options.device)
        torch.manual_seed(options.seed)
        self.model = ConvTts(CONFIGS[options.voice])
        set_statistics(self.model, utterances)
        if options.init:
            start_from(self.model, options.init)
        self.model.to(self.device)
        self.average = copy.deepcopy(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), self.peak_rate, betas=(0.9, 0.985), weight_decay=0.01)
        self.step, self.elapsed_s, self.stopped = 0, 0.0, False
        if self.checkpoint_path.exists():
            self._resume()
        speed_up(self.model)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def _resume(self) -> None:
        checkpoint = torch.load(self.checkpoint_path, weights_only=True, map_location=self.device)
        self.model.load_state_dict(checkpoint["model"])
        self.average.load_state_dict(checkpoint["average"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.step, self.elapsed_s = checkpoint["step"], checkpoint["elapsed_s"]

    def save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        unfinished = self.checkpoint_path.with_suffix(".unfinished")
        torch.save({**state, "step": self.step, "elapsed_s": self.elapsed_s}, unfinished)
        unfinished.rename(self.checkpoint_path)

    def run(self, utterances: list[Utterance]) -> None:
        """Train until the planned time is used up or SIGTERM comes."""
        grid = spectral_grid(self.model.config.cepstrum_order).to(self.device)
        source = batches(utterances, FRAMES_PER_BATCH, len(self.model.config.speakers), self.seed + self.step)
        started_s, saved_s, log = time.monotonic() - self.elapsed_s, self.elapsed_s, Averages()
        while self.elapsed_s < self.plan_s and not self.stopped:
            batch = next(source).to(self.device)
            parts = self.take_step(batch, grid)
            self.elapsed_s = time.monotonic() - started_s
            log.add(parts, float((batch.frame_weight > 0).sum()))
            if self.step % 50 == 0:
                log.report(self.step, self.elapsed_s, self.log_path)
            if self.elapsed_s - saved_s > CHECKPOINT_EVERY_S:
                saved_s = self.elapsed_s
                self.save()
        self.save()

    def take_step(self, batch: Batch, grid: Grid) -> dict[str, Tensor]:
        """One step of the optimiser; returns the parts of its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.elapsed_s / self.plan_s, self.peak_rate)
        parts = losses(self.model, batch, grid)
        descend(self.model, self.average, self.optimizer, parts, min(EMA_DECAY, (1 + self.step) / (10 + self.step)))
        self.step += 1
        return parts


def train(options: argparse.Namespace) -> None:
    """Train for so many minutes of wall time in all, going on from the last checkpoint if there is one."""
    torch.set_num_threads(1)
    utterances = load_shards(options.data_folder)
    training = Training(utterances, options)
    hours = sum(len(u.frames) for u in utterances) / 720_000
    parameters = sum(p.numel() for p in training.model.parameters()) / 1e6
    print(f"{len(utterances)} utterances, {hours:.2f} h, {parameters:.2f} M parameters, from step {training.step}", flush=True)
    training.run(utterances)


class Averages:
    """Means of the loss parts since the last report."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._frames, self._steps, self._since_s = 0.0, 0, time.monotonic()

    def add(self, parts: dict[str, Tensor], frames: float) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._frames, self._steps = self._frames + frames, self._steps + 1

    def report(self, step: int, elapsed_s: float, path: Path) -> None:
        """Print and append one JSON line, then start anew."""
        wall_s = time.monotonic() - self._since_s
        row: dict[str, Any] = {"step": step, "elapsed_s": round(elapsed_s, 1)}
        row |= {name: round(total / self._steps, 4) for name, total in self._sums.items()}
        row |= {"steps_per_s": round(self._steps / wall_s, 2), "audio_s_per_s": round(self._frames / 200 / wall_s, 1)}
        print(json.dumps(row), flush=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.__init__()  # type: ignore[misc]


def export(config: ConvTtsConfig, voices: Sequence[Voice], checkpoint_path: Path, out_path: Path) -> None:
    """Write the averaged weights of a checkpoint as half-precision safetensors; random ones if there is none."""
    model = ConvTts(config)
    metadata = {"format": "conv_tts/1", "step": "0"}
    if checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
        model.load_state_dict(checkpoint["average"])
        metadata |= {"step": str(checkpoint["step"]), "training_s": f"{checkpoint['elapsed_s']:.0f}"}
    out_path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(
        out_path, model.state_dict(), metadata | voices_record(voices) | model.config.to_metadata(), dtype=torch.float16
    )
    print(f"{out_path}: {out_path.stat().st_size / 1e6:.1f} MB, {metadata}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", choices=sorted(CONFIGS), default="en")
    parser.add_argument("--data-folder", type=Path, help="shards; default: data/voice, data/voice-multi")
    parser.add_argument("--checkpoint", type=Path, help="default: checkpoint.pt in the data folder; its log lies beside it")
    steps = parser.add_subparsers(dest="step", required=True)
    data = steps.add_parser("data", help="let the teacher speak")
    data.add_argument("--text-folder", type=Path, required=True)
    data.add_argument("--hours", type=float, default=6.0)
    learn = steps.add_parser("train", help="train, or go on training")
    learn.add_argument("--minutes", type=float, default=180.0)
    learn.add_argument("--seed", type=int, default=1)
    learn.add_argument("--peak-learning-rate", type=float, default=PEAK_LEARNING_RATE)
    learn.add_argument("--init", type=Path, help="start from the weights of this checkpoint")
    learn.add_argument("--device", default="cpu")
    out = steps.add_parser("export", help="write the package's weights")
    out.add_argument("--out", type=Path, help="default: the package's file of this voice")
    options = parser.parse_args()
    suffix = "" if options.voice == "en" else f"-{options.voice}"
    options.data_folder = options.data_folder or Path(f"data/voice{suffix}")
    options.checkpoint = options.checkpoint or options.data_folder / "checkpoint.pt"
    if options.step == "data":
        make_data(options.text_folder, options.data_folder, options.hours)
    elif options.step == "train":
        train(options)
    else:
        out_path = options.out or WEIGHTS_FOLDER / f"voice-{options.voice}.safetensors"
        export(CONFIGS[options.voice], VOICES if options.voice == "multi" else (), options.checkpoint, out_path)


if __name__ == "__main__":
    main()

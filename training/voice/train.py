"""Trains the embedded voice: data, train, export.

    python -m training.voice.train data --text-folder FOLDER --hours 9
    python -m training.voice.train train --minutes 55
    python -m training.voice.train export

The teacher's own vocoder parameters are the targets, so no audio is made while
training: errors are log-spectral distances, and noise, which no model can predict,
never enters the loss.
"""

import argparse
import copy
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.conv_tts.config import ConvTtsConfig
from models.conv_tts.network import ConvTts, pitch_at, position_features
from models.weights import save_weights
from training.voice.acoustics import bandwidth_continuation
from training.voice.batches import Batch, batches
from training.voice.data import Utterance, load_shards, make_data
from training.voice.fast_backward import speed_up

DATA_FOLDER = Path("data/voice")
WEIGHTS_PATH = Path("models/conv_tts/weights/voice-en.safetensors")
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP_STEPS = 200
EMA_DECAY = 0.997
FRAMES_PER_BATCH = 4000
CHECKPOINT_EVERY_S = 180
_GRID_POINTS = 64


def spectral_grid(order: int) -> Tensor:
    """[order, points]: cepstrum to log amplitude at points spread evenly on the warped axis up to 12 kHz."""
    angle = (torch.arange(_GRID_POINTS) + 0.5) * (math.pi / _GRID_POINTS)
    return torch.cos(torch.arange(order)[:, None] * angle)


def losses(model: ConvTts, batch: Batch, grid: Tensor) -> dict[str, Tensor]:
    """The weighted parts of the loss, all in natural-log units."""
    order = model.config.cepstrum_order
    with torch.autocast("cpu", torch.bfloat16):
        encoding = model.encode(
            batch.phones[..., 0], batch.phones[..., 1], batch.phones[..., 2], batch.speakers, batch.phone_mask
        )
        durations = batch.durations.gather(1, batch.frame_phone)
        at = batch.frame_phone[..., None].expand(-1, -1, encoding.phones.shape[2])
        cepstrum, voicing, _ = model.decode(
            encoding.phones.gather(1, at),
            position_features(batch.frame_index, durations),
            batch.speakers,
            model.init_state(len(batch.phones)),
        )
    weight = batch.frame_weight / batch.frame_weight.sum()
    error = (cepstrum - batch.targets[..., :order]) @ grid
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
        "spectrum": (error.abs().mean(-1) * weight).sum(),
        "change": 1.5 * (change.abs().mean(-1) * weight[:, 1:]).sum(),
        "voicing": 0.5 * ((voicing - target_voicing).abs().mean(-1) * weight).sum(),
        "pitch": 4 * ((log_f0 - batch.targets[..., -1]).abs() * heard).sum() / heard.sum(),
        "duration": 0.5 * log_error.abs().sum() / phones.sum(),
        "length": 0.5 * total.abs().mean(),
    }


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


def train(data_folder: Path, minutes: float, seed: int, peak: float) -> None:
    """Train for ``minutes`` of wall time in all, going on from the last checkpoint if there is one."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = ConvTtsConfig()
    model = ConvTts(config)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), peak, betas=(0.9, 0.985), weight_decay=0.01)
    checkpoint_path = data_folder / "checkpoint.pt"
    step, elapsed_s = 0, 0.0
    utterances = load_shards(data_folder)
    if checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(checkpoint["model"])
        average.load_state_dict(checkpoint["average"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        step, elapsed_s = checkpoint["step"], checkpoint["elapsed_s"]
    else:
        set_statistics(model, utterances)
        average.load_state_dict(model.state_dict())
    hours = sum(len(u.frames) for u in utterances) / 720_000
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"{len(utterances)} utterances, {hours:.2f} h, {parameters:.2f} M parameters, from step {step}", flush=True)
    grid = spectral_grid(config.cepstrum_order)
    speed_up(model)
    source = batches(utterances, FRAMES_PER_BATCH, len(config.speakers), seed + step)
    started_s, saved_s, log = time.monotonic() - elapsed_s, elapsed_s, Averages()
    while elapsed_s < minutes * 60:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, elapsed_s / (minutes * 60), peak)
        batch = next(source)
        parts = losses(model, batch, grid)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(parts.values())).sum())
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            decay = min(EMA_DECAY, (1 + step) / (10 + step))
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        elapsed_s = time.monotonic() - started_s
        log.add(parts, float((batch.frame_weight > 0).sum()))
        if step % 50 == 0:
            log.report(step, elapsed_s, data_folder / "log.jsonl")
        if elapsed_s - saved_s > CHECKPOINT_EVERY_S or elapsed_s >= minutes * 60:
            saved_s = elapsed_s
            state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
            unfinished = checkpoint_path.with_suffix(".unfinished")
            torch.save({**state, "step": step, "elapsed_s": elapsed_s}, unfinished)
            unfinished.rename(checkpoint_path)


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


def export(data_folder: Path, out_path: Path) -> None:
    """Write the averaged weights of the last checkpoint as half-precision safetensors; random ones if there is none."""
    model = ConvTts(ConvTtsConfig())
    checkpoint_path = data_folder / "checkpoint.pt"
    metadata = {"format": "conv_tts/1", "step": "0"}
    if checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, weights_only=True)
        model.load_state_dict(checkpoint["average"])
        metadata |= {"step": str(checkpoint["step"]), "training_s": f"{checkpoint['elapsed_s']:.0f}"}
    continue_bandwidth(model)
    out_path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(out_path, model.state_dict(), metadata | model.config.to_metadata(), dtype=torch.float16)
    print(f"{out_path}: {out_path.stat().st_size / 1e6:.1f} MB, {metadata}")


def continue_bandwidth(model: ConvTts) -> None:
    """Fold `acoustics.bandwidth_continuation` into the output layer, in place."""
    order = model.config.cepstrum_order
    matrix, offset = (torch.from_numpy(array) for array in bandwidth_continuation(order))
    spread = model.cepstrum_spread.double()
    with torch.no_grad():
        mixing = (spread[:, None] * matrix / spread).T
        weight, bias = model.decoder_out.weight, model.decoder_out.bias
        weight[:order] = (mixing @ weight[:order].double()).float()
        bias[:order] = (mixing @ bias[:order].double()).float()
        model.cepstrum_mean.copy_(model.cepstrum_mean.double() @ matrix + offset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-folder", type=Path, default=DATA_FOLDER, help="shards and checkpoints")
    steps = parser.add_subparsers(dest="step", required=True)
    data = steps.add_parser("data", help="let the teacher speak")
    data.add_argument("--text-folder", type=Path, required=True)
    data.add_argument("--hours", type=float, default=9.0)
    learn = steps.add_parser("train", help="train, or go on training")
    learn.add_argument("--minutes", type=float, default=55.0)
    learn.add_argument("--seed", type=int, default=1)
    learn.add_argument("--peak-learning-rate", type=float, default=PEAK_LEARNING_RATE)
    out = steps.add_parser("export", help="write the package's weights")
    out.add_argument("--out", type=Path, default=WEIGHTS_PATH)
    arguments = parser.parse_args()
    if arguments.step == "data":
        make_data(arguments.text_folder, arguments.data_folder, arguments.hours)
    elif arguments.step == "train":
        train(arguments.data_folder, arguments.minutes, arguments.seed, arguments.peak_learning_rate)
    else:
        export(arguments.data_folder, arguments.out)


if __name__ == "__main__":
    main()

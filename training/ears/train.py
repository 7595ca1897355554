"""Train the ears: cross-entropy of the text, helped by frame-level phone labels from the synthesisers.

    torchrun --nproc-per-node 2 -m training.ears.train --data data/ears --minutes 125

One process per core, each on its own half of the items; their gradients are averaged at every step. On a GPU one
process is enough: ``python -m training.ears.train --device cuda --batch-s 600``. The plan is in wall-clock time, which
the checkpoint keeps: the same command resumes (SIGTERM saves and stops).
Learning rate: warm-up, constant, linear decay over the last 40 % (75 % from trained weights). Short items
come first: attention finds its way through three seconds long before it does through fifteen; a run that
starts from trained weights (``--init``) goes straight to the longer ones. Phone labels fade between 45 and 55 %.
"""

import argparse
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, distributed, nn

from models.weights import load_weights
from models.whisper.network import Whisper
from training.ears.batches import FOR_WHITE_NOISE, Batch, BatchMaker, Corpus, NoiseMix, SpecialTokens
from training.ears.evaluation import evaluate
from training.ears.learner import Learner, make_config

EMA_EVERY_STEPS = 4
EMA_DECAY = 0.998


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that depends on how much of the time has passed (``done`` in 0..1)."""

    peak_rate: float
    warm: bool
    """Whether the weights were trained before."""

    def learning_rate(self, done: float, step: int) -> float:
        decay = min(1.0, (1.0 - done) / (0.75 if self.warm else 0.4))
        return self.peak_rate * min(1.0, (step + 1) / 400) * max(decay, 0.01)

    def phone_weight(self, done: float) -> float:
        return 1.0 - 0.9 * min(1.0, max(0.0, (done - 0.45) / 0.1))

    def augmentation(self, done: float) -> float:
        return 0.7 if self.warm else 0.25 * min(1.0, max(0.0, (done - 0.35) / 0.2))

    def longest_s(self, done: float) -> float:
        if self.warm:
            return 8.0 if done < 0.4 else 15.0
        return 5.0 if done < 0.35 else 8.0 if done < 0.7 else 15.0

    def long_padding_share(self, done: float) -> float:
        return 0.01 if self.warm else 0.05 if done > 0.95 else 0.0

    def prompts(self, done: float) -> bool:
        return self.warm or done > 0.5


class Workers:
    """This process among those that train together (torchrun); alone without it."""

    def __init__(self) -> None:
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        if self.count > 1:
            distributed.init_process_group("gloo")

    def average(self, parameters: list[nn.Parameter], values: list[float]) -> list[float]:
        """Gradients (in place) and some numbers, averaged over the processes."""
        if self.count == 1:
            return values
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([torch.tensor(values), *(g.flatten() for g in grads)])
        distributed.all_reduce(flat)
        flat /= self.count
        pieces = torch.split(flat[len(values) :], [p.numel() for p in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)
        return [float(x) for x in flat[: len(values)]]

    def share(self, parameters: list[nn.Parameter]) -> None:
        """Process r has brought every ``count``-th parameter from r on up to date: give them to the others."""
        for owner in range(self.count if self.count > 1 else 0):
            owned = [p.detach() for p in parameters[owner :: self.count]]
            flat = torch.cat([p.flatten() for p in owned])
            distributed.broadcast(flat, src=owner)
            if owner != self.rank:
                pieces = torch.split(flat, [p.numel() for p in owned])
                torch._foreach_copy_(owned, [piece.view_as(p) for p, piece in zip(owned, pieces, strict=True)])


class Optimizer:
    """Muon for the matrices of the layers, shared out among the processes; AdamW for everything else.

    Muon's orthogonal updates (Jordan et al. 2024) cost a third of a step on one core, yet after 330 s from
    the same weights the text loss stood at 1.40 against AdamW's 1.54 (48 s batches, learning rate 1.4e-3).
    """

    def __init__(self, learner: Learner, workers: Workers) -> None:
        self._workers = workers
        layers = (learner.network.encoder.layers, learner.network.decoder.layers)
        self._matrices = [p for group in layers for p in group.parameters() if p.ndim == 2]
        chosen = {id(p) for p in self._matrices}
        others = [p for p in learner.parameters() if p.requires_grad and id(p) not in chosen]
        self._adam = torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01, fused=True)
        own = self._matrices[workers.rank :: workers.count]
        self._muon = torch.optim.Muon(own, lr=1e-3, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw")

    def step(self, learning_rate: float) -> None:
        for optimizer in (self._adam, self._muon):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        self._workers.share(self._matrices)

    def state_dict(self) -> dict[str, object]:
        """AdamW's; Muon's momentum is back after twenty steps."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> None:
        self._adam.load_state_dict(state)


class Trainer:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.data
        self.total_s = arguments.minutes * 60
        self.batch_s: float = arguments.batch_s
        self.plan = Plan(arguments.learning_rate, arguments.init is not None)
        self.workers = Workers()
        torch.manual_seed(arguments.seed)
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.special = SpecialTokens(self.tokenizer)
        shape = (arguments.channels, arguments.encoder_layers, arguments.decoder_layers)
        self.config = make_config(self.tokenizer, *shape)
        self.device: str = arguments.device
        self.learner = Learner(self.config, self.device)
        for layer in (*self.learner.network.encoder.layers, *self.learner.network.decoder.layers):
            layer.compile(dynamic=True)  # 1.2 times as fast; the whole network takes minutes to compile
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]
        self.ema = [p.detach().clone() for p in self.parameters]
        self.optimizer = Optimizer(self.learner, self.workers)
        self.corpus = Corpus(self.folder, self.tokenizer)
        self.step, self.spent_s, self.heard_s, self.evaluations = 0, 0.0, 0.0, 0
        self.checkpoint: Path = arguments.checkpoint or self.folder / "checkpoint.pt"
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        mix = FOR_WHITE_NOISE if arguments.white_noise else NoiseMix()
        self.batches = BatchMaker(self.corpus, self.special, self.batch_s, self.workers.rank, self.workers.count, mix)
        if self.checkpoint.exists():
            self.load()
        elif arguments.init is not None:
            self.load_weights(arguments.init)
        self.batches.reseed(arguments.seed + self.step + 10**6 * self.workers.rank)
        self.corpus.refresh()
        self.evaluate_every_s = arguments.evaluate_minutes * 60
        self.stop_asked = self.stopped = False
        self.clock = time.monotonic()
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_: object) -> None:
        """Ask for a checkpoint and the end after this step."""
        self.stop_asked = True

    def load_weights(self, path: Path) -> None:
        """Start from the averaged weights of another run's checkpoint, or from a folder with finished weights."""
        if path.is_dir():
            load_weights(path / "model.safetensors", self.learner.network)
            torch._foreach_copy_(self.ema, [p.detach() for p in self.parameters])
            return
        saved = torch.load(path, weights_only=True, map_location=self.device)
        self.learner.load_state_dict(saved["learner"])
        with torch.no_grad():
            for parameter, average, value in zip(self.parameters, self.ema, saved["ema"], strict=True):
                parameter.copy_(value)
                average.copy_(value)
        self.corpus.know_phones(saved["phone_ids"])

    def load(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
        self.learner.load_state_dict(saved["learner"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema = saved["ema"]
        self.step, self.spent_s, self.heard_s = saved["step"], saved["spent_s"], saved["heard_s"]
        self.evaluations = saved["evaluations"]
        self.corpus.know_phones(saved["phone_ids"])

    def save(self) -> None:
        if self.workers.rank != 0:
            return
        temporary = self.checkpoint.with_suffix(".tmp")
        content = {
            "learner": self.learner.state_dict(), "optimizer": self.optimizer.state_dict(), "ema": self.ema,
            "step": self.step, "spent_s": self.spent_s, "heard_s": self.heard_s,
            "evaluations": self.evaluations, "phone_ids": self.corpus.phone_ids,
        }  # fmt: skip
        torch.save(content, temporary)
        temporary.rename(self.checkpoint)
        torch.save(self.averaged(), self.checkpoint.with_name("averaged.pt"))

    def averaged(self) -> dict[str, Tensor]:
        """The network's weights, averaged over the last steps."""
        current = [p.detach().clone() for p in self.parameters]
        torch._foreach_copy_([p.data for p in self.parameters], self.ema)
        weights = {name: x.clone() for name, x in self.learner.network.state_dict().items()}
        torch._foreach_copy_([p.data for p in self.parameters], current)
        return weights

    def train_step(self, batch: Batch, done: float) -> list[float]:
        """One step of all processes; gives means of text loss, phone loss, accuracy, gradient norm."""
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            text_loss, phone_loss, accuracy = self.learner(batch, self.special.end + 1)
        (text_loss + self.plan.phone_weight(done) * phone_loss).backward()
        now = time.monotonic()
        self.spent_s, self.clock = self.spent_s + now - self.clock, now
        values = [text_loss.item(), phone_loss.item(), accuracy.item(), batch.audio_s, self.spent_s, float(self.stop_asked)]
        *means, audio_s, self.spent_s, stop = self.workers.average(self.parameters, values)
        self.heard_s += audio_s * self.workers.count
        self.stopped = stop > 0
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step(self.plan.learning_rate(done, self.step))
        self.learner.zero_grad()
        self.step += 1
        if self.step % EMA_EVERY_STEPS == 0:
            decay = min(EMA_DECAY, (1 + self.step) / (40 + self.step))
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], 1 - decay)
        return [*means, float(norm)]

    def run(self) -> None:
        if self.workers.rank == 0:
            print(
                f"{sum(p.numel() for p in self.learner.network.parameters()) / 1e6:.2f} M parameters, "
                f"{self.corpus.hours:.1f} h, step {self.step}, {self.spent_s:.0f} s spent, "
                f"{self.workers.count} processes of {torch.get_num_threads()} threads",
                flush=True,
            )
        recent: list[list[float]] = []
        saved_s = self.spent_s
        self.clock = time.monotonic()
        for batch in self.endless():
            recent.append(self.train_step(batch, self.spent_s / self.total_s))
            if self.step % 100 == 0:
                self.report(np.mean(recent, axis=0))
                recent = []
            if self.stopped or self.spent_s >= self.total_s:
                break
            if self.spent_s - saved_s > 300:
                self.save()
                saved_s = self.spent_s
            if self.spent_s // self.evaluate_every_s > self.evaluations:
                self.evaluations = int(self.spent_s // self.evaluate_every_s)
                self.test()
        self.save()
        if not self.stopped:
            self.test()

    def endless(self) -> Iterator[Batch]:
        """Batches under the plan's conditions of the moment."""
        while True:
            self.follow_plan()
            for batch in self.batches.round():
                yield batch
                self.follow_plan()

    def follow_plan(self) -> None:
        done = self.spent_s / self.total_s
        self.batches.strength = self.plan.augmentation(done)
        self.batches.prompts = self.plan.prompts(done)
        self.batches.longest_s = self.plan.longest_s(done)
        self.batches.long_padding_share = self.plan.long_padding_share(done)

    def report(self, means: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
        if self.workers.rank != 0:
            return
        text, phone, accuracy, norm = means
        rate = self.plan.learning_rate(self.spent_s / self.total_s, self.step)
        print(
            f"{self.spent_s:6.0f} s step {self.step:6d} text {text:.3f} acc {accuracy:.3f} phones {phone:.3f} "
            f"norm {norm:.2f} lr {rate:.1e} heard {self.heard_s / 3600:.1f} h "
            f"({self.heard_s / max(self.spent_s, 1):.0f} x) of {self.corpus.hours:.0f} h",
            flush=True,
        )

    def test(self) -> None:
        """Word error rate of the averaged weights on held-out sentences and voices; the time is not counted."""
        if self.workers.rank != 0:
            return
        network = Whisper(self.config)
        network.load_state_dict(self.averaged())
        for kind, rate in evaluate(network.eval(), self.tokenizer, self.folder / "evaluation.npz").items():
            print(f"{self.spent_s:6.0f} s WER {kind}: {100 * rate:.1f} %", flush=True)
        self.clock = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/ears"))
    parser.add_argument("--minutes", type=float, default=125.0, help="of training, in all runs together")
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--encoder-layers", type=int, default=4)
    parser.add_argument("--decoder-layers", type=int, default=3)
    parser.add_argument("--batch-s", type=float, default=48.0, help="seconds of audio per step and process")
    parser.add_argument("--learning-rate", type=float, default=1.4e-3)
    parser.add_argument("--white-noise", action="store_true", help="half of the speech in white noise: a last, short run")
    parser.add_argument("--device", default="cpu", help="cuda: one process, and larger batches, such as --batch-s 600")
    parser.add_argument("--evaluate-minutes", type=float, default=15.0)
    parser.add_argument("--init", type=Path, help="checkpoint of another run, or folder of weights, to start from")
    parser.add_argument("--checkpoint", type=Path, help="of this run, by default checkpoint.pt beside the data")
    parser.add_argument("--seed", type=int, default=1)
    Trainer(parser.parse_args()).run()


if __name__ == "__main__":
    main()

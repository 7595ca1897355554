"""Train the ears: cross-entropy of the text, helped by frame-level phone labels from the synthesisers.

    python -m training.ears.train --data data/ears --minutes 125

The plan is in wall-clock time, which the checkpoint keeps: the same command resumes (SIGTERM saves and
stops). Learning rate: warm-up, constant, linear decay over the last 40 %. Short items come first: attention
finds its way through three seconds long before it does through fifteen. Phone labels fade between 45 and
55 %, augmentation grows from 35 to 55 %, and stays mild: a run this short never gets to know its data by heart.
"""

import argparse
import math
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.whisper.config import WhisperConfig
from models.whisper.network import Attention, DecoderLayer, EncoderLayer, Whisper
from training.ears.batches import ALL_PHONES, FLITE_PHONES, IGNORED, Batch, BatchMaker, Corpus, SpecialTokens
from training.ears.evaluation import evaluate
from training.ears.tokenizer import TIMESTAMPS

LABEL_SMOOTHING = 0.05
EMA_EVERY_STEPS = 4
EMA_DECAY = 0.998


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that depends on how much of the time has passed (``done`` in 0..1)."""

    peak_rate: float

    def learning_rate(self, done: float, step: int) -> float:
        decay = min(1.0, (1.0 - done) / 0.4)
        return self.peak_rate * min(1.0, (step + 1) / 400) * max(decay, 0.01)

    def phone_weight(self, done: float) -> float:
        return 1.0 - 0.9 * min(1.0, max(0.0, (done - 0.45) / 0.1))

    def augmentation(self, done: float) -> float:
        return 0.25 * min(1.0, max(0.0, (done - 0.35) / 0.2))

    def longest_s(self, done: float) -> float:
        return 5.0 if done < 0.35 else 8.0 if done < 0.7 else 15.0


def make_config(tokenizer: Tokenizer, channels: int, encoder_layers: int, decoder_layers: int) -> WhisperConfig:
    return WhisperConfig(
        vocab_size=tokenizer.get_vocab_size() + TIMESTAMPS,
        num_mel_bins=80,
        d_model=channels,
        encoder_layers=encoder_layers,
        encoder_attention_heads=channels // 64,
        encoder_ffn_dim=4 * channels,
        decoder_layers=decoder_layers,
        decoder_attention_heads=channels // 64,
        decoder_ffn_dim=4 * channels,
        max_source_positions=1500,
        max_target_positions=448,
    )


def init_weights(network: Whisper) -> None:
    """Fan-in scaled linear layers; what is added to the residual stream starts smaller with depth."""
    depth = 2 * network.config.encoder_layers
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.8 / math.sqrt(module.in_features))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, (EncoderLayer, DecoderLayer)):
            module.fc2.weight.data /= math.sqrt(depth)
        elif isinstance(module, Attention):
            module.out_proj.weight.data /= math.sqrt(depth)
    nn.init.normal_(network.decoder.embed_tokens.weight, std=0.05)
    nn.init.normal_(network.decoder.embed_positions.weight, std=0.02)


class Learner(nn.Module):
    """The network and the phone classifier that only training has."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.network = Whisper(config)
        init_weights(self.network)
        self.phone_head = nn.Linear(config.d_model, ALL_PHONES)

    def forward(self, batch: Batch, text_tokens: int) -> tuple[Tensor, Tensor, Tensor]:
        """Text loss, phone loss and the share of text tokens that are right."""
        states = self.network.encoder(torch.from_numpy(batch.mel))
        logits = self.network.decoder(torch.from_numpy(batch.inputs), states)
        targets = torch.from_numpy(batch.targets).flatten()
        chosen = targets != IGNORED
        log_probabilities = logits.flatten(0, 1)[chosen].float().log_softmax(-1)
        targets = targets[chosen]
        nll = -log_probabilities.gather(1, targets[:, None]).mean()
        smooth = -log_probabilities[:, :text_tokens].mean()
        text_loss = (1 - LABEL_SMOOTHING) * nll + LABEL_SMOOTHING * smooth
        accuracy = (log_probabilities.argmax(-1) == targets).float().mean()
        return text_loss, self._phone_loss(states, torch.from_numpy(batch.phones).flatten()), accuracy

    def _phone_loss(self, states: Tensor, labels: Tensor) -> Tensor:
        """Each engine's frames compete among that engine's phones only."""
        logits = self.phone_head(states).flatten(0, 1).float()
        total = logits.new_zeros(())
        frames = max(int((labels >= 0).sum()), 1)
        for low, high in ((0, FLITE_PHONES), (FLITE_PHONES, ALL_PHONES)):
            rows = torch.nonzero((labels >= low) & (labels < high))[:, 0]
            if len(rows):
                total = total + F.cross_entropy(logits[rows, low:high], labels[rows] - low, reduction="sum")
        mean: Tensor = total / frames
        return mean


class Trainer:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder: Path = arguments.data
        self.total_s = arguments.minutes * 60
        self.batch_s: float = arguments.batch_s
        self.plan = Plan(arguments.learning_rate)
        torch.manual_seed(arguments.seed)
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.special = SpecialTokens(self.tokenizer)
        shape = (arguments.channels, arguments.encoder_layers, arguments.decoder_layers)
        self.config = make_config(self.tokenizer, *shape)
        self.learner = Learner(self.config)
        self.parameters = [p for p in self.learner.parameters() if p.requires_grad]
        self.ema = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01, fused=True)
        self.corpus = Corpus(self.folder, self.tokenizer)
        self.corpus.refresh()
        self.step, self.spent_s, self.heard_s, self.evaluations = 0, 0.0, 0.0, 0
        self.checkpoint = self.folder / "checkpoint.pt"
        self.batches = BatchMaker(self.corpus, self.special, self.batch_s)
        if self.checkpoint.exists():
            self.load()
        self.batches.reseed(arguments.seed + self.step)
        self.batches.longest_s = self.plan.longest_s(self.spent_s / self.total_s)
        self.evaluate_every_s = arguments.evaluate_minutes * 60
        self.stopped = False
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, *_: object) -> None:
        """Ask for a checkpoint and the end after this step."""
        self.stopped = True

    def load(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True)
        self.learner.load_state_dict(saved["learner"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema = saved["ema"]
        self.step, self.spent_s, self.heard_s = saved["step"], saved["spent_s"], saved["heard_s"]
        self.evaluations = saved["evaluations"]
        self.corpus.phone_ids.update(saved["phone_ids"])
        self.batches.heard = saved["heard"].numpy()

    def save(self) -> None:
        temporary = self.checkpoint.with_suffix(".tmp")
        content = {
            "learner": self.learner.state_dict(), "optimizer": self.optimizer.state_dict(), "ema": self.ema,
            "step": self.step, "spent_s": self.spent_s, "heard_s": self.heard_s,
            "evaluations": self.evaluations, "phone_ids": self.corpus.phone_ids,
            "heard": torch.from_numpy(self.batches.heard),
        }  # fmt: skip
        torch.save(content, temporary)
        temporary.rename(self.checkpoint)
        torch.save(self.averaged(), self.folder / "averaged.pt")

    def averaged(self) -> dict[str, Tensor]:
        """The network's weights, averaged over the last steps."""
        current = [p.detach().clone() for p in self.parameters]
        torch._foreach_copy_([p.data for p in self.parameters], self.ema)
        weights = {name: x.clone() for name, x in self.learner.network.state_dict().items()}
        torch._foreach_copy_([p.data for p in self.parameters], current)
        return weights

    def train_step(self, batch: Batch, done: float) -> tuple[float, float, float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(done, self.step)
        # The fused attention's backward pass is slow on CPUs: 27 % of a step, against 14 % for plain products.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            text_loss, phone_loss, accuracy = self.learner(batch, self.special.end + 1)
        (text_loss + self.plan.phone_weight(done) * phone_loss).backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        if self.step % EMA_EVERY_STEPS == 0:
            decay = min(EMA_DECAY, (1 + self.step) / (40 + self.step))
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.parameters], 1 - decay)
        return float(text_loss.detach()), float(phone_loss.detach()), float(accuracy), float(norm)

    def run(self) -> None:
        print(
            f"{sum(p.numel() for p in self.learner.network.parameters()) / 1e6:.2f} M parameters, "
            f"{self.corpus.hours:.1f} h, step {self.step}, {self.spent_s:.0f} s spent, "
            f"{torch.get_num_threads()} threads",
            flush=True,
        )
        last, saved_s, recent = time.monotonic(), self.spent_s, []
        while self.spent_s < self.total_s:
            for batch in self.batches.round():
                done = self.spent_s / self.total_s
                self.batches.strength = self.plan.augmentation(done)
                self.batches.prompts = done > 0.5
                self.batches.longest_s = self.plan.longest_s(done)
                self.batches.long_padding_share = 0.08 if done > 0.95 else 0.0
                recent.append(self.train_step(batch, done))
                self.heard_s += batch.audio_s
                now = time.monotonic()
                self.spent_s, last = self.spent_s + now - last, now
                if self.step % 100 == 0:
                    self.report(np.mean(recent, axis=0))
                    recent = []
                if self.stopped:
                    self.save()
                    return
                if self.spent_s - saved_s > 300:
                    self.save()
                    saved_s = self.spent_s
                if self.spent_s // self.evaluate_every_s > self.evaluations:
                    self.evaluations = int(self.spent_s // self.evaluate_every_s)
                    self.test()
                    last = time.monotonic()
                if self.spent_s >= self.total_s:
                    break
        self.save()
        self.test()

    def report(self, means: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
        text, phone, accuracy, norm = means
        print(
            f"{self.spent_s:6.0f} s step {self.step:6d} text {text:.3f} acc {accuracy:.3f} phones {phone:.3f} "
            f"norm {norm:.2f} lr {self.optimizer.param_groups[0]['lr']:.1e} heard {self.heard_s / 3600:.1f} h "
            f"({self.heard_s / max(self.spent_s, 1):.0f} x) of {self.corpus.hours:.0f} h",
            flush=True,
        )

    def test(self) -> None:
        """Word error rate of the averaged weights on held-out sentences and voices."""
        network = Whisper(self.config)
        network.load_state_dict(self.averaged())
        for kind, rate in evaluate(network.eval(), self.tokenizer, self.folder / "evaluation.npz").items():
            print(f"{self.spent_s:6.0f} s WER {kind}: {100 * rate:.1f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/ears"))
    parser.add_argument("--minutes", type=float, default=125.0, help="of training, in all runs together")
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--encoder-layers", type=int, default=4)
    parser.add_argument("--decoder-layers", type=int, default=3)
    parser.add_argument("--batch-s", type=float, default=32.0, help="seconds of audio per step")
    parser.add_argument("--learning-rate", type=float, default=1.4e-3)
    parser.add_argument("--evaluate-minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    Trainer(parser.parse_args()).run()


if __name__ == "__main__":
    main()

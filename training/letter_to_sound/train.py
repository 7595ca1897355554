"""Train a letter-to-sound network on pronunciations and measure it on words held out.

    python -m training.letter_to_sound.train --language en --epochs 5
    python -m training.letter_to_sound.train --language de --epochs 14 --channels 96 --text-folder FOLDER

English learns from its lexicon, every other language from what espeak-ng says about the words of a
text (`training.letter_to_sound.word_lists`); the words that such a network gets wrong then go into a
small lexicon beside it. One word in twenty is held out (by a checksum of its spelling, so the split never
moves). Loss: connectionist temporal classification over two slots per letter.
"""

import argparse
import json
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from models.phones import PHONES
from server.text.languages.english.lexicon import english_lexicon
from server.text.letter_to_sound import BLANK, SLOTS_PER_LETTER, LetterToSound, letter_to_sound, output_classes
from server.text.pronunciation import PhoneWithStress, Pronunciation
from training.letter_to_sound.measure import Score, report, score_words
from training.letter_to_sound.word_lists import gather_words, write_lexicon

FOLDER = Path("server/text/pronunciations")
REPORT = Path("training/reports/letter_to_sound.md")
TAPS = 5
LAYERS = 5
BATCH_WORDS = 256
PEAK_LEARNING_RATE = 2e-3
HELD_OUT_ONE_IN = 20


class Network(nn.Module):
    """Residual convolutions over letters; the same arithmetic as `LetterToSound`."""

    def __init__(self, letters: str, phones: Sequence[str], channels: int) -> None:
        super().__init__()
        self.letters, self.phones = letters, tuple(phones)
        self.embedding = nn.Embedding(len(letters) + 1, channels, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(channels, channels, TAPS, padding=TAPS // 2) for _ in range(LAYERS))
        self.head = nn.Linear(channels, SLOTS_PER_LETTER * (len(output_classes(phones)) + 1))

    def forward(self, codes: Tensor) -> Tensor:
        """Letter codes [B, L] (0 pads the end) to log probabilities [B, L * slots, classes + 1]."""
        mask = (codes != 0).unsqueeze(-1)
        hidden = self.embedding(codes)
        for convolution in self.convolutions:
            change = convolution((_rms_normalised(hidden) * mask).transpose(1, 2)).transpose(1, 2)
            hidden = hidden + nn.functional.dropout(change.relu(), 0.1, self.training)
        scores = self.head(_rms_normalised(hidden))
        batch, letters, _ = scores.shape
        log_probabilities: Tensor = scores.view(batch, letters * SLOTS_PER_LETTER, -1).log_softmax(-1)
        return log_probabilities

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights in the layout of `LetterToSound`, half precision."""
        named = {"embedding": self.embedding.weight, "head.weight": self.head.weight.T, "head.bias": self.head.bias}
        for index, convolution in enumerate(self.convolutions):
            assert isinstance(convolution, nn.Conv1d)
            assert convolution.bias is not None
            named[f"layers.{index}.weight"] = convolution.weight.permute(2, 1, 0)
            named[f"layers.{index}.bias"] = convolution.bias
        return {name: value.detach().half().contiguous().numpy() for name, value in named.items()}

    def frozen(self) -> LetterToSound:
        """As the server runs it."""
        return LetterToSound(self.tensors(), self.letters, self.phones)


def _rms_normalised(hidden: Tensor) -> Tensor:
    return hidden / (hidden.square().mean(-1, keepdim=True) + 1e-6).sqrt()


@dataclass(frozen=True)
class Example:
    codes: list[int]
    labels: list[int]


def split_words(spellings: Mapping[str, Pronunciation]) -> tuple[list[str], list[str]]:
    """Training words and held-out words."""
    held_out = [word for word in spellings if zlib.crc32(word.encode()) % HELD_OUT_ONE_IN == 0]
    held_set = set(held_out)
    return [word for word in spellings if word not in held_set], held_out


def make_example(word: str, phones: Pronunciation, letters: str, index_of: Mapping[PhoneWithStress, int]) -> Example | None:
    """Codes and labels; None where the slots are too few for the phones (abbreviations)."""
    codes = [letters.index(char) + 1 for char in word]
    labels = [index_of[PhoneWithStress(*phone)] for phone in phones]
    repeats = sum(one == two for one, two in pairwise(labels))
    return Example(codes, labels) if len(labels) + repeats <= SLOTS_PER_LETTER * len(codes) else None


def batches(examples: list[Example], generator: np.random.Generator) -> list[list[Example]]:
    """Batches of words of like length, in random order."""
    order = sorted(range(len(examples)), key=lambda index: (len(examples[index].codes), generator.random()))
    groups = [order[start : start + BATCH_WORDS] for start in range(0, len(order), BATCH_WORDS)]
    return [[examples[index] for index in groups[group]] for group in generator.permutation(len(groups))]


def batch_loss(network: Network, batch: list[Example]) -> Tensor:
    longest = max(len(example.codes) for example in batch)
    codes = torch.zeros(len(batch), longest, dtype=torch.long)
    for row, example in enumerate(batch):
        codes[row, : len(example.codes)] = torch.tensor(example.codes)
    log_probabilities = network(codes).transpose(0, 1)
    loss: Tensor = nn.functional.ctc_loss(
        log_probabilities,
        torch.tensor([label for example in batch for label in example.labels]),
        torch.tensor([SLOTS_PER_LETTER * len(example.codes) for example in batch]),
        torch.tensor([len(example.labels) for example in batch]),
        blank=BLANK,
    )
    return loss


def alphabet(words: Iterable[str]) -> str:
    """The letters of the words, in order; English comes out as a to z."""
    return "".join(sorted({char for word in words for char in word}))


def inventory(pronunciations: Iterable[Pronunciation]) -> tuple[str, ...]:
    """The phones in use, in the order of `models.phones.PHONES`."""
    used = {phone.symbol for phones in pronunciations for phone in phones}
    return tuple(symbol for symbol in PHONES if symbol in used)


def train(spellings: Mapping[str, Pronunciation], epochs: int, channels: int, output: Path) -> tuple[Network, Score]:
    """The trained network, saved, and its score on the words held out."""
    train_words, held_out = split_words(spellings)
    torch.manual_seed(7)
    generator = np.random.default_rng(7)
    network = Network(alphabet(spellings), inventory(spellings.values()), channels)
    index_of = {phone: index + 1 for index, phone in enumerate(output_classes(network.phones))}
    made = (make_example(word, spellings[word], network.letters, index_of) for word in train_words)
    examples = [example for example in made if example]
    steps = epochs * (len(examples) // BATCH_WORDS + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    started = time.monotonic()
    score = Score()
    for epoch in range(epochs):
        network.train()
        losses = []
        for batch in batches(examples, generator):
            loss = batch_loss(network, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if epoch % 5 == 4 or epoch + 1 == epochs:
            score = score_words(network.frozen(), {word: spellings[word] for word in held_out})
            line = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "seconds": time.monotonic() - started}
            print(json.dumps(line | score.figures()), flush=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.tensors(), output, {"letters": network.letters, "phones": " ".join(network.phones)})
    return network, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="en")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lexicon-only", action="store_true", help="write the lexicon anew beside weights that exist")
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--text-folder", type=Path, help="folder of sentences.<language>.txt; not for English")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where weights and lexicon go")
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    started = time.monotonic()
    language: str = arguments.language
    if language == "en":
        spellings = english_lexicon().spellings()
    else:
        words = gather_words(arguments.text_folder, language)
        spellings = words.spellings
    output = arguments.folder / f"{language}.safetensors"
    if arguments.lexicon_only:
        print(write_lexicon(arguments.folder / f"{language}.txt", words, letter_to_sound(language), language), "entries")
        return
    network, score = train(spellings, arguments.epochs, arguments.channels, output)
    entries = 0
    if language != "en":
        entries = write_lexicon(arguments.folder / f"{language}.txt", words, network.frozen(), language)
    trained_words = len(spellings) - score.words
    seconds = time.monotonic() - started
    size_bytes = output.stat().st_size
    report(arguments.report, language, arguments.epochs, score, trained_words, entries, size_bytes, seconds)


if __name__ == "__main__":
    main()

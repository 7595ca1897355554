"""A recogniser of phones, taught by espeak-ng alone: the judge of the languages that no free recogniser here hears.

It never heard our voices. It learns from many variants of espeak-ng's voices which phones sound in a recording (CTC,
Graves et al. 2006), told which language it is. What it says of a voice is how well the phones can be told apart in it,
by the standard of the speech that taught the voice. It says nothing about how natural or how pleasant that is.
"""

import argparse
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from benchmarks.speech_measures import Floats
from models.phones import PHONES
from models.whisper.features import FeatureSettings, log_mel
from training.espeak_phones import VOICE_OF, EspeakPhones
from training.voice.espeak import LANGUAGES, sentences_of

RATE_HZ = 16_000
BLANK = len(PHONES)
_VARIANTS = ("", "+f2", "+m3", "+f4", "+m7", "+f5")
_RATES = (140, 165, 190)
"""Words per minute."""
_PITCHES = (30, 50, 70)
_FEATURES = FeatureSettings(hop_samples=160)
_CHANNELS = 144


@dataclass(frozen=True, slots=True)
class Example:
    """One recording and what is said in it."""

    features: Tensor
    """[T, 80]."""
    language: int
    phones: tuple[int, ...]


class PhoneRecogniser(nn.Module):
    """Log mel spectra at 10 ms to log probabilities of phones and blank at 20 ms; sees 1.1 s."""

    def __init__(self) -> None:
        super().__init__()
        self.languages = nn.Embedding(len(LANGUAGES), _CHANNELS)
        self.first = nn.Conv1d(80, _CHANNELS, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, _CHANNELS), nn.Conv1d(_CHANNELS, _CHANNELS, 5, padding=2 * gap, dilation=gap), nn.GELU()
            )
            for gap in (1, 2, 1, 2, 1, 4)
        )
        self.last = nn.Conv1d(_CHANNELS, BLANK + 1, 1)

    def forward(self, features: Tensor, languages: Tensor) -> Tensor:
        """[B, T, 80] and [B] to [B, T / 2, phones + 1]."""
        hidden = self.first(features.transpose(1, 2)) + self.languages(languages)[..., None]
        for block in self.blocks:
            hidden = hidden + block(hidden)
        log_probabilities: Tensor = self.last(hidden).transpose(1, 2).log_softmax(-1)
        return log_probabilities

    def hear(self, pcm_16k: Floats, language: str) -> list[str]:
        """The phones of a recording, the most probable ones frame by frame without repetitions."""
        with torch.inference_mode():
            best = self(features_of(pcm_16k)[None], torch.tensor([LANGUAGES.index(language)]))[0].argmax(-1).tolist()
        return [PHONES[phone] for phone, _ in itertools.groupby(best) if phone != BLANK]


def features_of(pcm_16k: Floats) -> Tensor:
    """[T, 80]: log mel spectrum every 10 ms, each band without its mean: no level, no timbre of a line."""
    bands = log_mel(pcm_16k.astype(np.float32), _FEATURES)
    return torch.from_numpy(bands - bands.mean(0))


def make_examples(folder: Path, count: int, seed: int = 3) -> list[Example]:
    """Sentences that are not held out, languages in turn, variants and rates by chance."""
    espeak, chance = EspeakPhones(), random.Random(seed)
    texts = {language: sentences_of(folder, language, seed + 50) for language in LANGUAGES}
    examples: list[Example] = []
    for language in itertools.cycle(LANGUAGES):
        sentence = next(texts[language])
        clauses = espeak.pronounce(sentence, language)
        if clauses:
            voice = VOICE_OF[language] + chance.choice(_VARIANTS)
            speech = espeak.speak(sentence, voice, rate=chance.choice(_RATES), pitch=chance.choice(_PITCHES))
            pcm = soxr.resample(speech.pcm / 32768, speech.sample_rate_hz, RATE_HZ)
            phones = tuple(PHONES.index(phone.symbol) for clause in clauses for word in clause.words for phone in word)
            examples.append(Example(features_of(pcm), LANGUAGES.index(language), phones))
        if len(examples) == count:
            return examples
    raise AssertionError


def batches(examples: Sequence[Example], steps: int, size: int = 16, seed: int = 3) -> Iterator[list[Example]]:
    """Batches of about the same length, so that little is padding."""
    chance = random.Random(seed)
    ordered = sorted(examples, key=lambda example: len(example.features))
    for _ in range(steps):
        start = chance.randrange(max(1, len(ordered) - size))
        yield ordered[start : start + size]


def train(examples: Sequence[Example], steps: int) -> PhoneRecogniser:
    torch.manual_seed(3)
    model = PhoneRecogniser()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    started_s = time.monotonic()
    for step, batch in enumerate(batches(examples, steps), 1):
        features = nn.utils.rnn.pad_sequence([example.features for example in batch], batch_first=True)
        predicted = model(features, torch.tensor([example.language for example in batch]))
        loss = nn.functional.ctc_loss(
            predicted.transpose(0, 1),
            torch.tensor([phone for example in batch for phone in example.phones]),
            torch.tensor([(len(example.features) + 1) // 2 for example in batch]),
            torch.tensor([len(example.phones) for example in batch]),
            blank=BLANK,
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}, loss {loss.item():.3f}, {time.monotonic() - started_s:.0f} s", flush=True)
    return model.eval()


def load(path: Path) -> PhoneRecogniser:
    model = PhoneRecogniser()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("data/voice-multi/phone-recogniser.pt"))
    parser.add_argument("--sentences", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=1200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    examples = make_examples(options.text_folder, options.sentences)
    torch.save(train(examples, options.steps).state_dict(), options.out)


if __name__ == "__main__":
    main()

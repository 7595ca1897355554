"""Find the attention heads that follow time, by the word times that espeak-ng reports.

    python -m training.ears.alignment --text-folder TEXT --model models/whisper/weights

Every head is scored alone, then the best are joined as long as that helps. Prints the heads and the error of
the word starts they give; `training.ears.export` writes them into the checkpoint.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from models.whisper.features import log_mel
from models.whisper.model import WhisperRecognizer, load
from models.whisper.network import Whisper
from models.whisper.word_times import attention_weights, token_starts
from training.ears.synthesizers import Espeak
from training.sentences import held_out, load_sentences

POSITION_S = 0.04


class Alignments:
    """Attention of every head for some utterances whose words and times are known."""

    def __init__(self, recognizer: WhisperRecognizer, sentences: list[str]) -> None:
        self._tokenizer, network = recognizer.tokenizer, recognizer.reference().network
        config = network.config
        self.heads = [(layer, head) for layer in range(config.decoder_layers) for head in range(config.decoder_attention_heads)]
        self._rows: list[tuple[NDArray[np.float32], list[int], NDArray[np.float64]]] = []
        espeak = Espeak()
        for sentence in sentences:
            speech = espeak.speak(sentence, "gmw/en-US", 160)
            tokens = self._tokenizer.encode(sentence)
            words = self._tokenizer.split_words(tokens)
            if len(words) != len(speech.words):
                continue  # espeak-ng joined or split something
            pcm = soxr.resample(speech.pcm.astype(np.float32) / 40_000, speech.sample_rate_hz, 16_000)
            firsts = np.cumsum([0, *[count for _, count in words[:-1]]]).tolist()
            starts = np.array([start for _, start in speech.words]) / speech.sample_rate_hz
            self._rows.append((self._attention(network, pcm.astype(np.float32), tokens), firsts, starts))

    def _attention(self, network: Whisper, pcm: NDArray[np.float32], tokens: list[int]) -> NDArray[np.float32]:
        mel = log_mel(pcm)
        audible = len(mel) // 2
        mel = np.pad(mel, ((0, -len(mel) % 50), (0, 0)))
        frames = torch.tensor([len(mel)])
        start = [self._tokenizer.start, self._tokenizer.no_timestamps]
        states = network.encoder(torch.from_numpy(mel)[None], frames)
        rows = torch.tensor([[*start, *tokens]])
        weights = attention_weights(network.decoder, rows, states, frames // 2, self.heads)
        return weights[0, :, 1:, :audible].numpy()

    def errors_s(self, chosen: list[int]) -> NDArray[np.float64]:
        """Difference of every word's start from the truth, in seconds."""
        errors = []
        for weights, firsts, starts in self._rows:
            errors.append(token_starts(weights[chosen])[firsts] * POSITION_S - starts)
        return np.concatenate(errors)

    def mean_error_s(self, chosen: list[int]) -> float:
        return float(np.abs(self.errors_s(chosen)).mean())


def best_heads(alignments: Alignments) -> list[int]:
    """Greedy: the best head, then whichever lowers the error most, until none does."""
    chosen: list[int] = []
    error = np.inf
    while True:
        rest = [head for head in range(len(alignments.heads)) if head not in chosen]
        if not rest:
            return chosen
        new_error, new = min((alignments.mean_error_s([*chosen, head]), head) for head in rest)
        if new_error >= error:
            return chosen
        chosen, error = [*chosen, new], new_error


def find_heads(recognizer: WhisperRecognizer, text_folder: Path, sentences: int = 120) -> tuple[list[list[int]], str]:
    """The chosen heads as [layer, head], and the error of their word starts on other sentences, in words."""
    kept = [s for s in load_sentences(text_folder) if held_out(s)][:sentences]
    half = len(kept) // 2
    chosen = best_heads(Alignments(recognizer, kept[:half]))
    test = Alignments(recognizer, kept[half:])
    errors_ms = 1000 * test.errors_s(chosen)
    report = (
        f"{len(errors_ms)} words: mean error {np.abs(errors_ms).mean():.0f} ms, median {np.median(np.abs(errors_ms)):.0f} ms, "
        f"bias {errors_ms.mean():+.0f} ms, within 100 ms {100 * np.mean(np.abs(errors_ms) < 100):.0f} %"
    )
    return sorted(list(test.heads[head]) for head in chosen), report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--text-folder", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("models/whisper/weights"))
    parser.add_argument("--sentences", type=int, default=120)
    arguments = parser.parse_args()
    heads, report = find_heads(load("cpu", 1, arguments.model, engine="torch"), arguments.text_folder, arguments.sentences)
    print(json.dumps(heads))
    print(report)


if __name__ == "__main__":
    main()

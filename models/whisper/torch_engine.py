"""Whisper in torch: the reference, the engine for cards with CUDA graphs, and the one that follows keyterms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.weights import load_weights, weight_bytes
from models.whisper.checkpoint import Checkpoint
from models.whisper.decoding import DecodingTask, decode
from models.whisper.engine import Alignment, Decoded, Floats
from models.whisper.incremental import IncrementalDecoder
from models.whisper.network import Whisper, source_mask
from models.whisper.word_times import read_text, token_starts


@dataclass(frozen=True, slots=True)
class EncodedWindows:
    states: Tensor
    """[B, T, C]"""
    positions: Tensor
    """How many count of each row, [B]."""


class TorchEngine:
    """Implements `models.whisper.engine.Engine`."""

    def __init__(
        self, folder: Path, checkpoint: Checkpoint, device: str, dtype: torch.dtype | None = None, encodes: bool = True
    ) -> None:
        """``dtype`` None: float32 on a CPU, float16 on a card, as Whisper is published and meant to run.

        One that does not encode works on what another engine encoded (`of_states`), and spares the memory.
        """
        self._checkpoint = checkpoint
        self._device = torch.device(device)
        self._dtype = dtype or (torch.float32 if self._device.type == "cpu" else torch.float16)
        self.description = f"torch {str(self._dtype).removeprefix('torch.')}"
        self.parallel = 1
        self.network = Whisper(checkpoint.config)
        load_weights(folder / "model.safetensors", self.network)
        if not encodes:
            del self.network.model["encoder"]
        self.network.eval().requires_grad_(False).to(self._device, self._dtype)
        self.weight_bytes = weight_bytes(self.network)
        watched = checkpoint.alignment_heads if checkpoint.policy.start_over_s is not None else ()
        self._decoder = IncrementalDecoder(self.network.decoder, watched)

    @torch.inference_mode()
    def encode(self, mels: Sequence[Floats]) -> EncodedWindows:
        padded = np.zeros((len(mels), max(map(len, mels)), self._checkpoint.config.num_mel_bins), np.float32)
        for row, mel in zip(padded, mels, strict=True):
            row[: len(mel)] = mel
        frames = torch.tensor([len(mel) for mel in mels], device=self._device)
        states = self.network.encoder(torch.from_numpy(padded).to(self._device, self._dtype), frames)
        return EncodedWindows(states, frames // 2)

    def states(self, encoded: EncodedWindows, rows: Sequence[int]) -> list[Floats]:
        return [encoded.states[row, : int(encoded.positions[row])].float().cpu().numpy() for row in rows]

    def of_states(self, states: Sequence[Floats]) -> EncodedWindows:
        """What another engine's `states` gave."""
        padded = np.zeros((len(states), max(map(len, states)), states[0].shape[1]), np.float32)
        for row, own in zip(padded, states, strict=True):
            row[: len(own)] = own
        positions = torch.tensor([len(own) for own in states], device=self._device)
        return EncodedWindows(torch.from_numpy(padded).to(self._device, self._dtype), positions)

    @torch.inference_mode()
    def detect_languages(self, encoded: EncodedWindows, rows: Sequence[int]) -> list[str]:
        names, tokens = zip(*self._checkpoint.language_tokens.items(), strict=True)
        start = torch.full((len(rows), 1), self._checkpoint.start, device=self._device)
        state = self._decoder.init_state(*self._part(encoded, rows))
        logits = self._decoder.logits(self._decoder.step(start, state)[:, -1])
        return [names[place] for place in logits[:, list(tokens)].argmax(-1).tolist()]

    @torch.inference_mode()
    def generate(
        self, encoded: EncodedWindows, rows: Sequence[int], tasks: Sequence[DecodingTask], beams: int
    ) -> list[Decoded]:
        states, positions = encoded.states[list(rows)], encoded.positions[list(rows)]
        found = decode(self._decoder, states, positions, tasks, self._checkpoint.rules, beams)
        return [
            Decoded(one.tokens, one.mean_log_probability(task.prefix_tokens), one.no_speech_probability, one.truncated)
            for one, task in zip(found, tasks, strict=True)
        ]

    @torch.inference_mode()
    def align(
        self, encoded: EncodedWindows, rows: Sequence[int], starts: Sequence[tuple[int, ...]], texts: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Alignment]:  # fmt: skip
        end, heads = self._checkpoint.rules.end, self._checkpoint.alignment_heads
        plain = self._checkpoint.no_timestamps
        whole = [[*start, plain, *text] for start, text in zip(starts, texts, strict=True)]
        longest = max(map(len, whole))
        tokens = torch.tensor([row + [end] * (longest - len(row)) for row in whole], device=self._device)
        states, _ = self._part(encoded, rows)
        weights, logits = read_text(self.network.decoder, tokens, states, encoded.positions[list(rows)], heads)
        chances = logits[..., : end + 1].log_softmax(-1)
        found = []
        for index, (start, row, audible) in enumerate(zip(starts, whole, positions, strict=True)):
            # The query that predicts a token is the one at the position before it.
            first = len(start) + 1
            queries = slice(first - 1, len(row))
            looks = weights[index, :, queries, : min(audible, int(encoded.positions[rows[index]]))].float().cpu().numpy()
            said = chances[index, first - 1 : len(row) - 1].gather(-1, tokens[index, first : len(row), None])
            found.append(Alignment(token_starts(looks), said.exp().flatten().tolist()))
        return found

    def _part(self, encoded: EncodedWindows, rows: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """States and attention mask of some windows."""
        states, positions = encoded.states[list(rows)], encoded.positions[list(rows)]
        return states, source_mask(positions, states.shape[1])

"""Greedy decoding of a batch of windows, with the guards that keep a recogniser from inventing text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.whisper.network import Decoder, source_mask

TOKENS_PER_SECOND = 15.0
"""Budget: fast speech (240 words per minute) is 12 tokens per second with the embedded tokenizer."""
TOKENS_AT_LEAST = 12
LONGEST_LOOP_TOKENS = 24
LOOP_TOKENS = 9
LOOP_REPEATS = 4
BACK_TOKENS = 3
"""A text starts over if so many tokens in a row are read from audio well behind what was read already."""


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Which tokens may be chosen, from the checkpoint's configuration."""

    end: int
    no_speech: int | None
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    watched: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """Heads that follow time, by layer; empty: nobody watches for a text that starts over."""
    back_positions: int = 0
    """How far back a text may look, in encoder positions, before it counts as starting over."""


@dataclass(frozen=True, slots=True)
class DecodingTask:
    """What one row starts from: all tokens up to the first that is to be chosen."""

    start: tuple[int, ...]
    """Prompt, <|startoftranscript|> and what follows it, tokens of the prefix."""
    start_of_transcript: int
    """Position of <|startoftranscript|> in ``start``."""
    prefix_tokens: int
    """How many of the last tokens of ``start`` belong to the text."""
    max_tokens: int
    """How many tokens may be chosen."""


@dataclass(slots=True)
class DecodedWindow:
    tokens: list[int]
    """Text tokens, those of the prefix included."""
    log_probabilities: list[float]
    """One per token; 0 for those of the prefix."""
    end_log_probability: float
    no_speech_probability: float
    truncated: bool

    def mean_log_probability(self, prefix_tokens: int) -> float:
        """Over the tokens that were chosen and the end."""
        chosen = [*self.log_probabilities[prefix_tokens:], self.end_log_probability]
        return sum(chosen) / len(chosen)


def token_budget(seconds: float, room: int) -> int:
    """How many tokens a window of this length can hold at most; ``room`` is what the network has left."""
    return max(1, min(room, TOKENS_AT_LEAST + int(TOKENS_PER_SECOND * seconds)))


def loop_start(tokens: Sequence[int]) -> int | None:
    """Where the second copy of a pattern begins that ends the text and repeats without end; None if none does.

    A pattern counts from 4 copies and 9 tokens on ("no, no, no, no" is speech, twelve of them are not).
    """
    for period in range(1, min(LONGEST_LOOP_TOKENS, len(tokens) // LOOP_REPEATS) + 1):
        length = period
        while length < len(tokens) and tokens[-1 - length] == tokens[-1 - length + period]:
            length += 1
        if length >= max(LOOP_TOKENS, LOOP_REPEATS * period):
            return len(tokens) - length + period
    return None


class _Rows:
    """The rows that still decode: their numbers, last tokens and positions."""

    def __init__(self, tasks: Sequence[DecodingTask]) -> None:
        self.tasks = tasks
        self.results = [
            DecodedWindow(list(t.start[len(t.start) - t.prefix_tokens :]), [0.0] * t.prefix_tokens, 0.0, 0.0, False)
            for t in tasks
        ]
        self.active = list(range(len(tasks)))
        self._read = [0] * len(tasks)
        """The furthest position a row has looked at."""
        self._back = [0] * len(tasks)
        """How many tokens in a row have looked far behind it."""

    def take(
        self, chosen: Sequence[int], log_probabilities: Sequence[float], looked_at: Sequence[int] | None, rules: DecodingRules
    ) -> list[int]:
        """Append one token to every active row; gives the indices (into ``active``) of rows that go on.

        ``looked_at`` is the position each row looked at to choose its token, None where nobody watched.
        """
        going_on = []
        for index, (row, token, log_probability) in enumerate(zip(self.active, chosen, log_probabilities, strict=True)):
            result, task = self.results[row], self.tasks[row]
            if token == rules.end:
                result.end_log_probability = log_probability
                continue
            result.tokens.append(token)
            result.log_probabilities.append(log_probability)
            loop = loop_start(result.tokens[task.prefix_tokens :])
            if loop is not None:
                del result.tokens[task.prefix_tokens + loop :], result.log_probabilities[task.prefix_tokens + loop :]
                result.truncated = True
            elif looked_at is not None and self._starts_over(row, looked_at[index], rules.back_positions):
                del result.tokens[-BACK_TOKENS:], result.log_probabilities[-BACK_TOKENS:]
                result.truncated = True
            elif len(result.tokens) - task.prefix_tokens >= task.max_tokens:
                result.truncated = True
            else:
                going_on.append(index)
        self.active = [self.active[index] for index in going_on]
        return going_on

    def _starts_over(self, row: int, position: int, back_positions: int) -> bool:
        behind = position < self._read[row] - back_positions
        self._back[row] = self._back[row] + 1 if behind else 0
        self._read[row] = max(self._read[row], position)
        return self._back[row] >= BACK_TOKENS


@torch.inference_mode()
def decode(
    decoder: Decoder, states: Tensor, positions: Tensor, tasks: Sequence[DecodingTask], rules: DecodingRules
) -> list[DecodedWindow]:
    """Greedy decoding; ``states`` [B, T, C] of which ``positions`` [B] count in each row."""
    device = states.device
    lengths = torch.tensor([len(task.start) for task in tasks], device=device)
    longest = int(lengths.max())
    room = max(len(task.start) + task.max_tokens for task in tasks)
    state = decoder.init_state(states, source_mask(positions, states.shape[1]), room)
    tokens = torch.full((len(tasks), longest), rules.end, device=device)
    for row, task in enumerate(tasks):
        tokens[row, : len(task.start)] = torch.tensor(task.start, device=device)
    # What a shorter row computes behind its end is overwritten before it is looked at.
    logits = decoder.step(tokens, torch.arange(longest, device=device).expand(len(tasks), -1), state, rules.watched)
    rows = _Rows(tasks)
    _note_no_speech(logits, rows, rules)
    blocked = _blocked(logits.shape[-1], rules.suppressed, device)
    first = _blocked(logits.shape[-1], (*rules.suppressed, *rules.suppressed_first), device)
    fresh = torch.tensor([task.prefix_tokens == 0 for task in tasks], device=device)[:, None]
    newest = torch.arange(len(tasks), device=device), lengths - 1
    last = logits[newest] + torch.where(fresh, first, blocked)
    looked_at = None if state.looked_at is None else state.looked_at[newest].argmax(-1).tolist()
    while True:
        log_probabilities, chosen = last.log_softmax(-1).max(-1)
        going_on = rows.take(chosen.tolist(), log_probabilities.tolist(), looked_at, rules)
        if not going_on:
            return rows.results
        if len(going_on) < len(chosen):
            kept = torch.tensor(going_on, device=device)
            state, chosen, lengths = state.select(kept), chosen[kept], lengths[kept]
        last = decoder.step(chosen[:, None], lengths[:, None], state, rules.watched)[:, 0] + blocked
        looked_at = None if state.looked_at is None else state.looked_at[:, 0].argmax(-1).tolist()
        lengths = lengths + 1


def _blocked(size: int, tokens: Sequence[int], device: torch.device) -> Tensor:
    penalty = torch.zeros(size, device=device)
    penalty[list(tokens)] = -torch.inf
    return penalty


def _note_no_speech(logits: Tensor, rows: _Rows, rules: DecodingRules) -> None:
    if rules.no_speech is None:
        return
    for row, task in enumerate(rows.tasks):
        probabilities = logits[row, task.start_of_transcript].softmax(-1)
        rows.results[row].no_speech_probability = float(probabilities[rules.no_speech])

"""Decoding of a batch of windows by beam search, with the guards that keep a recogniser from inventing text."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from models.whisper.incremental import IncrementalDecoder
from models.whisper.keyterms import TERM_BEAMS, WORST_STAKED, Choices, TermPath, TermTrie, choices
from models.whisper.network import source_mask
from models.whisper.timestamps import allow_in_turn

LONGEST_LOOP_TOKENS = 24
LOOP_TOKENS = 9
LOOP_REPEATS = 4
BACK_TOKENS = 3
"""A text starts over if so many tokens in a row are read from audio well behind what was read already."""


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Which tokens may be chosen, from the checkpoint's configuration: never those behind the end, which are no text."""

    end: int
    no_speech: int | None
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    back_positions: int = 0
    """How far back a text may look, in encoder positions, before it counts as starting over."""
    length_power: float = 1.0
    """Texts compete by log probability over (tokens + 1) ** this."""
    stops_loops: bool = True
    timestamps: range | None = None
    """The tokens that stand for times; None: none may be chosen."""
    latest_start: int = 50
    """Which of them the first may not go beyond."""

    @property
    def choosable(self) -> int:
        """How many tokens, counted from the first, are looked at."""
        return self.end + 1 if self.timestamps is None else self.timestamps.stop


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
    terms: TermTrie | None = None
    """Terms that are made likelier."""


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


@dataclass(slots=True)
class _Hypothesis:
    """A text that is being written."""

    task: int
    tokens: list[int]
    log_probabilities: list[float]
    length_power: float = 1.0
    score: float = 0.0
    """Sum of the log probabilities, that of the end included, and of what terms earned."""
    earned: float = 0.0
    path: TermPath = field(default_factory=TermPath)
    read: int = 0
    """The furthest position it has looked at."""
    back: int = 0
    """How many tokens in a row have looked far behind it."""
    ended: bool = False
    truncated: bool = False

    def followed_by(self, offer: "Offer") -> "_Hypothesis":
        tokens, probabilities = [*self.tokens, offer.token], [*self.log_probabilities, offer.log_probability]
        earned = self.earned + offer.earned
        return _Hypothesis(
            self.task, tokens, probabilities, self.length_power, offer.score, earned, offer.path, self.read, self.back
        )

    @property
    def worth(self) -> float:
        """What texts of one window are compared by in the end."""
        return self._by_length(self.score)

    @property
    def own_worth(self) -> float:
        """The same by the model alone."""
        return self._by_length(self.score - self.earned)

    @property
    def hope(self) -> float:
        """The same if the term it is in is completed."""
        return self._by_length(self.score + self.path.hope)

    def _by_length(self, score: float) -> float:
        length: float = (len(self.tokens) + 1) ** self.length_power
        return score / length

    def look(self, position: int, back_positions: int) -> bool:
        """Note where the newest token was read; true if the text has started over."""
        behind = position < self.read - back_positions
        self.back = self.back + 1 if behind else 0
        self.read = max(self.read, position)
        return self.back >= BACK_TOKENS

    def cut(self, tokens: int) -> None:
        """Keep so many tokens; the text ends there."""
        del self.tokens[tokens:], self.log_probabilities[tokens:]
        self.truncated = True


@dataclass(frozen=True, slots=True)
class Offer:
    """One token that may follow a row's text."""

    row: int
    token: int
    log_probability: float
    score: float
    """Of the text with the token."""
    earned: float
    """By a term that ended before the token; part of the score."""
    path: TermPath


def most_promising(offers: Sequence[Offer]) -> list[Offer]:
    """The best texts with stakes: one for each place in the terms, and a few that are one, two and more tokens in.

    Otherwise the many terms that have just begun would push out those that are nearly there.
    """
    staked = sorted((offer for offer in offers if offer.path.stake > 0.0), key=lambda offer: -offer.score - offer.path.stake)
    by_node: dict[int, Offer] = {}
    for offer in staked:
        by_node.setdefault(offer.path.node, offer)
    by_depth: dict[int, list[Offer]] = {}
    for offer in by_node.values():
        by_depth.setdefault(min(len(offer.path.gains), 3), []).append(offer)
    return [offer for group in by_depth.values() for offer in group[:TERM_BEAMS]]


class _Search:
    """Beam search as in openai/whisper: a window is done when as many texts have ended as it has beams.

    Texts with stakes on a term are followed beside these; what they win, they win when the term is complete.
    """

    def __init__(self, tasks: Sequence[DecodingTask], rules: DecodingRules, beams: int) -> None:
        self._tasks, self._rules, self._beams = tasks, rules, beams
        self._done: list[list[_Hypothesis]] = [[] for _ in tasks]
        self._nothing: dict[int, _Hypothesis] = {}
        """For tasks with terms: the text that ends where it starts."""
        self.active = []
        """Those that go on, in the order of the decoder's rows; those of a task side by side."""
        for index, task in enumerate(tasks):
            prefix = list(task.start[len(task.start) - task.prefix_tokens :])
            path = TermPath() if task.terms is None else task.terms.start(prefix)
            self.active.append(_Hypothesis(index, prefix, [0.0] * len(prefix), rules.length_power, path=path))

    def chances(self, logits: Tensor) -> Tensor:
        """Log probabilities [R, .] of the tokens that may follow each active text."""
        if self._rules.timestamps is not None:
            texts = [hypothesis.tokens for hypothesis in self.active]
            allow_in_turn(logits, texts, self._rules.timestamps, self._rules.end, self._rules.latest_start)
        return logits.log_softmax(-1)

    def choose(self, log_probabilities: Tensor) -> Choices:
        """The tokens [R, .] among which each row's are; more than the likeliest where there are terms."""
        ordinary = min(self._beams + 1, log_probabilities.shape[-1])
        tries = [self._tasks[hypothesis.task].terms for hypothesis in self.active]
        if not any(tries):
            top = log_probabilities.topk(ordinary)
            return Choices(top.indices.tolist(), top.values.tolist(), [[0.0] * ordinary] * len(tries))
        if not self._nothing:
            ends = log_probabilities[:, self._rules.end].tolist()
            for hypothesis, chance in zip(self.active, ends, strict=True):
                if self._tasks[hypothesis.task].terms is not None:
                    known = [*hypothesis.log_probabilities, chance]
                    self._nothing[hypothesis.task] = replace(hypothesis, log_probabilities=known, score=chance, ended=True)
        paths = [hypothesis.path for hypothesis in self.active]
        return choices(log_probabilities, tries, paths, self._rules.end, ordinary)

    def advance(self, offered: Choices, looked_at: Sequence[int] | None) -> list[int]:
        """Follow the likeliest tokens of every row, likeliest first; gives the row that each active text came from.

        ``looked_at`` is the position each row looked at to choose its token, None where nobody watched.
        """
        old, self.active = self.active, []
        parents: list[int] = []
        for task, rows in itertools.groupby(range(len(old)), key=lambda row: old[row].task):
            offers = [offer for row in rows for offer in self._offers(old[row], row, offered)]
            offers.sort(key=lambda offer: -offer.score)
            going_on: list[tuple[_Hypothesis, int]] = []
            for place, offer in enumerate(offers):
                if len(going_on) == self._beams:
                    going_on += self._follow_stakes(offers[place:], offers[0].score, old, looked_at)
                    break
                hypothesis = old[offer.row].followed_by(offer)
                if self._ends(hypothesis, offer.token, None if looked_at is None else looked_at[offer.row]):
                    self._done[task].append(hypothesis)
                else:
                    going_on.append((hypothesis, offer.row))
            if len(self._done[task]) >= self._beams:
                best = max(hypothesis.worth for hypothesis in self._done[task])
                going_on = [(h, row) for h, row in going_on if (h.earned or h.path.stake) and h.hope > best]
            self.active += [hypothesis for hypothesis, _ in going_on]
            parents += [row for _, row in going_on]
        return parents

    def _offers(self, hypothesis: _Hypothesis, row: int, offered: Choices) -> Iterator[Offer]:
        terms, path, earned = self._tasks[hypothesis.task].terms, hypothesis.path, 0.0
        columns = zip(offered.tokens[row], offered.log_probabilities[row], offered.gains[row], strict=True)
        for token, chance, gain in columns:
            if chance > -math.inf:
                if terms is not None:
                    path, earned = terms.follow(hypothesis.path, token, gain)
                yield Offer(row, token, chance, hypothesis.score + chance + earned, earned, path)

    def _follow_stakes(
        self, offers: Sequence[Offer], best: float, old: Sequence[_Hypothesis], looked_at: Sequence[int] | None
    ) -> list[tuple[_Hypothesis, int]]:
        """Texts that only a term can save: of those, stakes included, that are not far behind the best text."""
        followed: list[tuple[_Hypothesis, int]] = []
        for offer in most_promising([offer for offer in offers if offer.score + offer.path.stake > best - WORST_STAKED]):
            hypothesis = old[offer.row].followed_by(offer)
            if not self._ends(hypothesis, offer.token, None if looked_at is None else looked_at[offer.row]):
                followed.append((hypothesis, offer.row))
        return followed

    def _ends(self, hypothesis: _Hypothesis, token: int, position: int | None) -> bool:
        if token == self._rules.end:
            hypothesis.tokens.pop()
            hypothesis.ended = True
            return True
        task = self._tasks[hypothesis.task]
        loop = loop_start(hypothesis.tokens[task.prefix_tokens :]) if self._rules.stops_loops else None
        if loop is not None:
            hypothesis.cut(task.prefix_tokens + loop)
        elif position is not None and hypothesis.look(position, self._rules.back_positions):
            hypothesis.cut(len(hypothesis.tokens) - BACK_TOKENS)
        elif len(hypothesis.tokens) - task.prefix_tokens >= task.max_tokens:
            hypothesis.truncated = True
        return hypothesis.truncated

    def results(self, no_speech_probabilities: Sequence[float]) -> list[DecodedWindow]:
        """The best text of each task; one that was cut off only if there is no other."""
        windows = []
        for index, no_speech_probability in enumerate(no_speech_probabilities):
            best = max(self._done[index], key=lambda h: (not h.truncated, h.worth))
            nothing = self._nothing.get(index)
            if nothing is not None and nothing.worth > best.own_worth:
                best = nothing  # Terms make no words where the model hears none.
            end = best.log_probabilities.pop() if best.ended else 0.0
            windows.append(DecodedWindow(best.tokens, best.log_probabilities, end, no_speech_probability, best.truncated))
        return windows


@torch.inference_mode()
def decode(
    decoder: IncrementalDecoder,
    states: Tensor,
    positions: Tensor,
    tasks: Sequence[DecodingTask],
    rules: DecodingRules,
    beams: int = 1,
) -> list[DecodedWindow]:
    """Texts of windows; ``states`` [B, T, C] of which ``positions`` [B] count in each row. One beam is greedy decoding."""
    device = states.device
    longest = max(len(task.start) for task in tasks)
    missing = [longest - len(task.start) for task in tasks]
    tokens = torch.tensor(
        [[rules.end] * pad + list(task.start) for pad, task in zip(missing, tasks, strict=True)], device=device
    )
    mask = None if int(positions.min()) == states.shape[1] else source_mask(positions, states.shape[1])
    state = decoder.init_state(states, mask, torch.tensor(missing, device=device) if any(missing) else None)
    x = decoder.step(tokens, state)
    no_speech = [0.0] * len(tasks)
    if rules.no_speech is not None:
        columns = [pad + task.start_of_transcript for pad, task in zip(missing, tasks, strict=True)]
        no_speech = decoder.logits(x[range(len(tasks)), columns]).softmax(-1)[:, rules.no_speech].tolist()
    # Of the embedded network's 2310 tokens 801 may be chosen; leaving out the others saves a tenth of a step.
    choosable = rules.choosable
    blocked = _blocked(choosable, rules.suppressed, device)
    first = _blocked(choosable, (*rules.suppressed, *rules.suppressed_first), device)
    fresh = torch.tensor([task.prefix_tokens == 0 for task in tasks], device=device)[:, None]
    last = decoder.logits(x[:, -1], choosable) + torch.where(fresh, first, blocked)
    search = _Search(tasks, rules, beams)
    rows = list(range(len(tasks)))
    windows = rows
    while True:
        looked_at = None if state.looked_at is None else [state.looked_at[row] for row in rows]
        parents = search.advance(search.choose(search.chances(last)), looked_at)
        if not parents:
            return search.results(no_speech)
        before, windows = windows, list(dict.fromkeys(hypothesis.task for hypothesis in search.active))
        texts = [[i for i, hypothesis in enumerate(search.active) if hypothesis.task == window] for window in windows]
        # As many rows for each window: where fewer texts are left, the first one's row stands in.
        widest = max(map(len, texts))
        grid = [(own + own[:1] * widest)[:widest] for own in texts]
        kept = [rows[parents[text]] for own in grid for text in own]
        if kept != list(range(state.past.shape[2])):
            state.select(kept, None if windows == before else [before.index(window) for window in windows])
        rows = [place * widest + column for place, own in enumerate(texts) for column in range(len(own))]
        newest = torch.tensor([[search.active[text].tokens[-1]] for own in grid for text in own], device=device)
        last = decoder.logits(decoder.step(newest, state)[rows, -1], choosable) + blocked


def _blocked(size: int, tokens: Sequence[int], device: torch.device) -> Tensor:
    penalty = torch.zeros(size, device=device)
    penalty[[token for token in tokens if token < size]] = -torch.inf
    return penalty

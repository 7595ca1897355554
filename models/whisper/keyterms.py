"""Contextual biasing: given terms are looked for while a text is being decoded.

A trie over the tokens of the terms (with the failure links of Aho and Corasick 1975, as in the shallow fusion of
Williams et al. 2018) follows every text. A token that goes on with a term gets back part of its distance to the
likeliest token of its row, but only as a stake: texts with stakes are followed beside the ordinary ones, which go on
as they would without terms, and a stake is paid out when the term is completed and its word ends, together with a
small reward; otherwise it is lost. Terms that are never completed add nothing to any text. The numbers were chosen with
the names for tuning of benchmarks/keyterms.py.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DISTANCE_SHARE = 0.9
"""How much of a token's distance to the likeliest is staked. Less than all: terms still compete by sound. All of it put
21 false names into 70 sentences."""
MOST_PER_TOKEN = 6.0
"""At most so much of it, in nats."""
REWARD_PER_TOKEN = 0.5
"""For each token of a completed term, in nats. Rewards that do not grow with the term gave short ones to noise: with 2
nats for every term 45 % of the names for tuning were wrong, with 0.5 per token 33 %, both without a false name. A sure
recognizer needs as much: the weights after those got 18 % wrong with all 60 names given (93 % without), 4 false names in 140
sentences."""
TERM_BEAMS = 3
"""Texts with stakes that are followed at once besides the ordinary ones, of each of three lengths of stakes. Decoding
with 100 terms takes about three times the processor time of decoding without (5.5 s to 1.7 s for 66 sentences)."""
TERM_CHOICES = 8
"""Tokens of terms that are considered after each text."""
WORST_STAKED = 6.0
"""Texts with stakes that are so much worse than the best text, stakes included, are not followed; in nats."""


def spellings(term: str) -> tuple[str, ...]:
    """How a term may be written: as given, in lower case, and with capitals if it was given without any."""
    given = " ".join(term.split())
    lower = given.lower()
    titled = " ".join(word[:1].upper() + word[1:] for word in lower.split()) if given == lower else given
    return tuple(dict.fromkeys(spelling for spelling in (given, lower, titled) if spelling))


@dataclass(slots=True)
class _Node:
    depth: int
    children: dict[int, int] = field(default_factory=dict)
    failure: int = 0
    """The longest proper end of this path that is in the trie too."""
    ended: int = 0
    """Tokens of the longest term that ends here; 0: none does."""


@dataclass(frozen=True, slots=True)
class TermPath:
    """How far a text is in a term: the node, and what each token on the way there has at stake."""

    node: int = 0
    gains: tuple[float, ...] = ()

    @property
    def stake(self) -> float:
        return sum(self.gains)

    @property
    def hope(self) -> float:
        """What the term would earn if it ended here."""
        return sum(self.gains) + REWARD_PER_TOKEN * len(self.gains)


class TermTrie:
    """Terms as sequences of tokens; every one begins with a token that starts a word."""

    def __init__(self, terms: Iterable[Sequence[int]], starts_outside_words: NDArray[np.bool_]) -> None:
        """``starts_outside_words`` [V]: tokens that end the word before them (spaces, punctuation, the end), of those that
        may be chosen."""
        self.starts_outside_words = starts_outside_words
        self._nodes = [_Node(0)]
        self._moves: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for tokens in terms:
            self._add(tokens)
        self._link()

    def _add(self, tokens: Sequence[int]) -> None:
        at = 0
        for token in tokens:
            if token not in self._nodes[at].children:
                self._nodes[at].children[token] = len(self._nodes)
                self._nodes.append(_Node(self._nodes[at].depth + 1))
            at = self._nodes[at].children[token]
        self._nodes[at].ended = self._nodes[at].depth

    def _link(self) -> None:
        waiting = deque(self._nodes[0].children.values())
        while waiting:
            node = self._nodes[waiting.popleft()]
            node.ended = node.ended or self._nodes[node.failure].ended
            for token, child in node.children.items():
                self._nodes[child].failure = self.next_node(node.failure, token)
                waiting.append(child)

    def next_node(self, node: int, token: int) -> int:
        """The longest path in the trie that a text at this node ends with once the token is added; 0 if none."""
        while node and token not in self._nodes[node].children:
            node = self._nodes[node].failure
        return self._nodes[node].children.get(token, 0)

    def start(self, tokens: Sequence[int]) -> TermPath:
        """The path behind a text that has nothing at stake."""
        node = 0
        for token in tokens:
            node = self.next_node(node, token)
        return TermPath(node, (0.0,) * self._nodes[node].depth)

    def payment(self, path: TermPath) -> float:
        """What the text earns if its word ends here."""
        ended = self._nodes[path.node].ended
        return REWARD_PER_TOKEN * ended + sum(path.gains[len(path.gains) - ended :]) if ended else 0.0

    def follow(self, path: TermPath, token: int, gain: float) -> tuple[TermPath, float]:
        """The path behind one more token, and what the text earns by it."""
        gains, earned, ended = path.gains, 0.0, self._nodes[path.node].ended
        if ended and self.starts_outside_words[token]:
            earned = self.payment(path)
            gains = (*gains[: len(gains) - ended], *[0.0] * ended)
        node = self.next_node(path.node, token)
        gains = (*gains, gain)
        return TermPath(node, gains[len(gains) - self._nodes[node].depth :]), earned

    def moves(self, node: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens that go on with a term or begin one, and how deep each leads."""
        if node not in self._moves:
            depths: dict[int, int] = {}
            at = node
            while True:
                for token, child in self._nodes[at].children.items():
                    depths.setdefault(token, self._nodes[child].depth)
                if at == 0:
                    break
                at = self._nodes[at].failure
            self._moves[node] = np.array(list(depths), np.int64), np.array(list(depths.values()), np.int64)
        return self._moves[node]


@dataclass(frozen=True, slots=True)
class Choices:
    """Tokens that may follow each of R texts, with their log probabilities and what they add to a stake."""

    tokens: list[list[int]]
    log_probabilities: list[list[float]]
    gains: list[list[float]]


def choices(
    log_probabilities: Tensor, tries: Sequence[TermTrie | None], paths: Sequence[TermPath], end: int, ordinary: int
) -> Choices:
    """The ``ordinary`` likeliest tokens of each row of [R, V], and the best that go on with terms.

    No term begins where the model would rather end the text: nothing is said there.
    """
    scores = log_probabilities.clone()
    best = log_probabilities.max(-1)
    over = (best.indices == end).tolist()
    rows: list[int] = []
    columns: list[NDArray[np.int64]] = []
    kept: list[NDArray[np.float32]] = []
    for row, (trie, path) in enumerate(zip(tries, paths, strict=True)):
        if trie is None:
            continue
        if payment := trie.payment(path):
            scores[row] += payment * torch.from_numpy(trie.starts_outside_words).to(scores)
        tokens, depths = trie.moves(path.node)
        if over[row]:
            tokens, depths = tokens[depths > 1], depths[depths > 1]
        stakes = np.cumsum((0.0, *reversed(path.gains)), dtype=np.float32)
        rows += [row] * len(tokens)
        columns.append(tokens)
        kept.append(stakes[depths - 1])
    likeliest = scores.topk(min(ordinary, scores.shape[-1])).indices
    gains = torch.zeros_like(scores)
    with_terms = torch.full_like(scores, -torch.inf)
    if rows:
        at = torch.tensor(rows, device=scores.device), torch.from_numpy(np.concatenate(columns)).to(scores.device)
        distances = best.values[at[0]] - log_probabilities[at]
        gains[at] = (distances * DISTANCE_SHARE).clamp(max=MOST_PER_TOKEN)
        with_terms[at] = scores[at] + gains[at] + torch.from_numpy(np.concatenate(kept)).to(scores)
    more = with_terms.scatter_(-1, likeliest, -torch.inf).topk(min(TERM_CHOICES, scores.shape[-1]))
    no_move = more.values == -torch.inf
    tokens_found = torch.cat([likeliest, more.indices], dim=-1)
    found = log_probabilities.gather(-1, tokens_found)
    found[:, likeliest.shape[-1] :].masked_fill_(no_move, -torch.inf)
    return Choices(tokens_found.tolist(), found.tolist(), gains.gather(-1, tokens_found).tolist())

"""Timestamps in a text: which may be chosen when, as openai/whisper has it, and what they say about it."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def allow_in_turn(logits: Tensor, texts: Sequence[Sequence[int]], stamps: range, end: int, latest_start: int) -> None:
    """Set the logits [R, V] of tokens that may not follow their text to -inf, in place.

    A text begins with a timestamp. They come in pairs, the end of a segment and the start of the next, or alone before the
    end of the text; and they never go back. One is chosen where all of them together are likelier than any other token.
    """
    first, stop = stamps.start, stamps.stop
    logits[:, first - 1] = -torch.inf  # <|notimestamps|>
    for row, text in zip(logits, texts, strict=True):
        if not text:
            row[:first] = -torch.inf
            row[first + latest_start + 1 : stop] = -torch.inf
            continue
        after_stamp = text[-1] >= first
        opens = len(text) < 2 or text[-2] >= first
        if after_stamp and opens:
            row[first:stop] = -torch.inf
        elif after_stamp:
            row[:end] = -torch.inf
        last = next((token for token in reversed(text) if token >= first), None)
        if last is not None:
            row[first : last if after_stamp and not opens else last + 1] = -torch.inf
    chances = logits.log_softmax(-1)
    likelier = chances[:, first:stop].logsumexp(-1) > chances[:, :first].amax(-1)
    logits[likelier, :first] = -torch.inf


def said_within(tokens: Sequence[int], stamps: range, loud_until: int, end: int) -> list[int]:
    """The tokens without segments that cannot have been said: those that begin behind the audio, and copies of the segment
    before that begin behind its last loud moment. Both in encoder positions.

    A network that fills a short window with the same words again writes such segments.
    """
    before: list[int] = []
    current: list[int] = []
    for place, token in enumerate(tokens):
        if token not in stamps:
            current.append(token)
            continue
        opens = place + 1 < len(tokens) and tokens[place + 1] not in stamps
        if opens and place and token - stamps.start >= loud_until:
            following = _segment(tokens[place + 1 :], stamps)
            if token - stamps.start >= end or following == (current or before):
                return list(tokens[:place])
        if current:
            before, current = current, []
    return list(tokens)


def _segment(tokens: Sequence[int], stamps: range) -> list[int]:
    """Tokens up to the next timestamp."""
    return list(itertools.takewhile(lambda token: token not in stamps, tokens))

"""One pass over a text from left to right: written text to words and pauses, by a language's rules.

At each position the rules for that kind of character are tried in order; the
first that applies says what is spoken and how far it read. Every rule's work is
bounded, or linear with possessive quantifiers, so the pass is linear in the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.text.normalize.punctuation import punctuation
from server.text.normalize.replacements import Replacements
from server.text.normalize.source import WORD, Rule, Source
from server.text.normalize.tokens import PauseMark, Token, fold, tokens_of

_STRENGTH = {",": 0, ".": 1, "!": 2, "?": 3}
_LINK_TARGET = re.compile(r"\]\((?:https?://|/|#|mailto:)[^\s()]{1,400}\)")
_LONG_WORD = re.compile(r"[^\W\d_]{2,40}")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a language by the character they start at."""

    digit: tuple[Rule, ...]
    letter: tuple[Rule, ...]
    sign: tuple[Rule, ...] = ()
    point: tuple[Rule, ...] = ()
    """A full stop before a digit, after none."""


class Normalizer:
    """Normalises runs of text; immutable, safe to share between threads."""

    def __init__(self, rules: Rules, *, day_first: bool = True) -> None:
        self._rules = rules
        self._day_first = day_first

    def normalize(self, text: str, replacements: Replacements | None = None) -> list[Token]:
        """Words and pauses in order; spans are offsets into ``text``."""
        folded = fold(text)
        source = Source(folded, self._day_first, _is_shouting(folded))
        tokens: list[Token] = []
        position = 0
        while position < len(folded):
            char = folded[position]
            if char == " " or char == "\t":
                position += 1
                continue
            starts_word = position == 0 or not folded[position - 1].isalnum()
            if replacements and starts_word:
                replaced = replacements.match(source, position, self.normalize)
                if replaced:
                    tokens += replaced[0]
                    position = replaced[1]
                    continue
            position = self._read(source, position, char, tokens)
        return tokens

    def _read(self, source: Source, position: int, char: str, tokens: list[Token]) -> int:
        """Read one item at the position; gives the position after it."""
        for rule in self._candidates(source, position, char):
            reading = rule(source, position)
            if reading and reading[1] > position:
                tokens += tokens_of(reading[0])
                return reading[1]
        if char.isalnum():
            return _skip_unspeakable(source.text, position)
        link = _LINK_TARGET.match(source.text, position) if char == "]" else None
        if link:
            return link.end()
        mark, end = punctuation(source, position)
        if mark:
            _add_pause(tokens, mark)
        return end

    def _candidates(self, source: Source, position: int, char: str) -> Sequence[Rule]:
        if "0" <= char <= "9":
            return self._rules.digit
        if char.isalpha():
            return self._rules.letter
        if char == "." and source.char(position + 1).isdecimal() and not source.char(position - 1).isalnum():
            return self._rules.point
        return self._rules.sign


def _skip_unspeakable(text: str, position: int) -> int:
    """Past characters that are neither a word nor a number to us (superscripts, other digits)."""
    word = WORD.match(text, position)
    return max(position + 1, word.end() if word else 0)


def _add_pause(tokens: list[Token], mark: PauseMark) -> None:
    """Adjacent marks make one pause, the strongest."""
    last = tokens[-1] if tokens else None
    if not isinstance(last, PauseMark):
        tokens.append(mark)
    elif _STRENGTH[mark.symbol] > _STRENGTH[last.symbol]:
        tokens[-1] = mark


def _is_shouting(text: str) -> bool:
    """Whether at least three words, and most of them, are in capitals."""
    found: list[bool] = [word.isupper() for word in _LONG_WORD.findall(text[:2000])]
    return sum(found) >= 3 and sum(found) > 0.6 * len(found)

"""Pronunciation dictionaries: whole words of the text replaced before anything else reads them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from server.text.lexicon import Pronunciation
from server.text.normalize.source import Source
from server.text.normalize.tokens import SpokenToken, Token, fold
from server.text.phonemes import parse_phonemes

_INLINE = re.compile(r"<<([^<>]{1,400})>>")


@dataclass(frozen=True, slots=True)
class Replacement:
    """One entry: ``text`` is spoken as ``alias``, plain words or ``<<p|h|o|n>>`` groups.

    Case-sensitive entries in small letters also match with a capital at the start.
    """

    text: str
    alias: str
    case_sensitive: bool = False


class Replacements:
    """A compiled dictionary. The longest entry that matches at a word start wins."""

    def __init__(self, entries: Iterable[Replacement]) -> None:
        self._entries: dict[str, Replacement] = {}
        for entry in entries:
            text = fold(entry.text.strip())
            if not text:
                continue
            self._entries[text if entry.case_sensitive else text.lower()] = entry
            if entry.case_sensitive and text.islower():
                self._entries.setdefault(text.capitalize(), entry)
        self._lengths = sorted({len(key) for key in self._entries}, reverse=True)

    def match(self, source: Source, position: int, normalize: Callable[[str], list[Token]]) -> tuple[list[Token], int] | None:
        """The tokens spoken instead of the text at this position, and where it ends."""
        for length in self._lengths:
            end = position + length
            written = source.text[position:end]
            if len(written) < length or source.char(end).isalnum():
                continue
            entry = self._entries.get(written)
            if entry is None:
                entry = self._entries.get(written.lower())
                if entry is not None and entry.case_sensitive:
                    continue
            if entry is not None:
                return _spoken_alias(entry.alias, position, end, normalize), end
        return None


def _spoken_alias(alias: str, start: int, end: int, normalize: Callable[[str], list[Token]]) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    for inline in _INLINE.finditer(alias):
        tokens += _moved(normalize(alias[position : inline.start()]), start, end)
        phones: Pronunciation = parse_phonemes(inline[1]).phones
        tokens.append(SpokenToken("".join(phone.symbol for phone in phones), start, end, phones))
        position = inline.end()
    return tokens + _moved(normalize(alias[position:]), start, end)


def _moved(tokens: list[Token], start: int, end: int) -> list[Token]:
    return [SpokenToken(token.say, start, end, token.phones) for token in tokens if isinstance(token, SpokenToken)]

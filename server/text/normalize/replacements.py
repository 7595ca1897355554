"""Pronunciation dictionaries: whole words of the text replaced before anything else reads them."""

import re
from collections.abc import Callable
from functools import lru_cache

from server.requests.speech import Pronunciations
from server.text.languages.english.pronounce import attach_clitic
from server.text.normalize.source import Source
from server.text.normalize.tokens import SpokenToken, Token, fold
from server.text.phonemes import ENGLISH, Inventory, parse_phonemes
from server.text.pronunciation import Pronunciation

_SPELLED_OUT = re.compile(r"<<([^<>]{1,400})>>|[^\s<>]*[\u0250-\u02af\u02c8\u02cc][^\s<>]*")
"""A group of phones, or a word with a letter of the IPA or a stress mark in it, which no spelling of a word has."""
_CLITIC = re.compile(r"'(s|d|ll|ve|re|m)(?![^\W_])", re.IGNORECASE)


class Replacements:
    """A compiled dictionary. The longest entry that matches at a word start wins; of equally long ones an exact match."""

    def __init__(self, pronunciations: Pronunciations, inventory: Inventory = ENGLISH) -> None:
        self._inventory = inventory
        self._exact: dict[str, str] = {}
        self._any_case: dict[str, str] = {}
        capitalized: dict[str, str] = {}
        for entry in pronunciations.entries:
            text = fold(entry.text.strip())
            if not entry.case_sensitive:
                self._any_case[text.lower()] = entry.alias
                continue
            self._exact[text] = entry.alias
            if text.islower():
                capitalized[text.capitalize()] = entry.alias
        self._exact = {**capitalized, **self._exact}
        self._lengths = sorted({len(text) for text in (*self._exact, *self._any_case)}, reverse=True)

    def match(self, source: Source, position: int, normalize: Callable[[str], list[Token]]) -> tuple[list[Token], int] | None:
        """The tokens spoken instead of the text at this position, and where it ends."""
        for length in self._lengths:
            end = position + length
            written = source.text[position:end]
            if len(written) < length or (written[-1].isalnum() and source.char(end).isalnum()):
                continue
            alias = self._exact.get(written) or self._any_case.get(written.lower())
            if alias is not None:
                tokens = _spoken_alias(alias, position, end, normalize, self._inventory)
                clitic = _CLITIC.match(source.text, end)
                return (_with_clitic(tokens, clitic[1].lower()), clitic.end()) if clitic and tokens else (tokens, end)
        return None


@lru_cache(maxsize=256)
def compiled(pronunciations: Pronunciations, inventory: Inventory) -> Replacements:
    """The dictionary ready to use; kept, because a new context must not cost as much as a thousand entries."""
    return Replacements(pronunciations, inventory)


def _spoken_alias(
    alias: str, start: int, end: int, normalize: Callable[[str], list[Token]], inventory: Inventory
) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    for spelled in _SPELLED_OUT.finditer(alias):
        tokens += _moved(normalize(alias[position : spelled.start()]), start, end)
        phones: Pronunciation = parse_phonemes(spelled[1] or spelled[0], inventory).phones
        if phones:
            tokens.append(SpokenToken("".join(phone.symbol for phone in phones), start, end, phones))
        position = spelled.end()
    return tokens + _moved(normalize(alias[position:]), start, end)


def _with_clitic(tokens: list[Token], clitic: str) -> list[Token]:
    """The ending of "Nguyen's" belongs to the last word spoken for "Nguyen"."""
    last = tokens[-1]
    assert isinstance(last, SpokenToken)
    phones = None if last.phones is None else attach_clitic(last.phones, clitic)
    return [*tokens[:-1], SpokenToken(f"{last.say}'{clitic}", last.start, last.end, phones)]


def _moved(tokens: list[Token], start: int, end: int) -> list[Token]:
    return [SpokenToken(token.say, start, end, token.phones) for token in tokens if isinstance(token, SpokenToken)]

"""URLs, e-mail addresses, file names, hashtags and mentions."""

import re
from collections.abc import Callable, Mapping

from server.text.languages.english import numbers
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part

TOP_LEVEL_DOMAINS = frozenset(
    "com org net edu gov mil int io ai co dev app info biz me tv uk us eu de fr es it nl ca au jp cn in br ch se no fi dk"
    " pl cz at be pt ru kr mx za nz ie xyz online site tech cloud".split()
)
_FILE_ENDINGS = frozenset(
    "txt pdf doc docx xls xlsx ppt csv json xml html htm css js ts py rs go cpp java md yml yaml toml ini png jpg jpeg gif svg"
    " mp3 mp4 wav zip tar gz exe sh sql log".split()
)
_LETTER_BY_LETTER = frozenset(
    "io ai uk eu tv de fr js ts py rs css xml csv pdf txt xls ppt mp3 mp4 sql md yml sh gz svg htm edu www http https html exe"
    " jpg api sdk url id faq ca au jp cn nz ie".split()
)
_COMMON_WORDS = frozenset("in it no at be me us so to is".split())
"""Domains that are also words: "it.is" is a missing space, not an address."""
_SYMBOLS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "+": "plus", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", ":": "colon", "%": "percent", "~": "tilde", "hashtag": "hashtag",
}  # fmt: skip
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})"
_EMAIL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}@{_LABEL}(?:\.{_LABEL}){{1,6}}")
_SCHEME_URL = re.compile(r"(?:https?|ftp|wss?)://[^\s<>\"')\]]{1,400}")
_BARE_URL = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{1,6}}(?::\d{{2,5}})?(?:/[^\s<>\"')\]]{{0,400}})?")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\w\s]|_")
_HASHTAG = re.compile(r"#([^\W\d_]\w{0,99})")
_MENTION = re.compile(r"@([^\W\d_]\w{0,99})")
_CAMEL = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![a-z])|\d+")


class WebRules:
    """The rules for addresses, with a language's names of signs and its numbers."""

    def __init__(self, names: Mapping[str, str], cardinal: Callable[[str], str], digits: Callable[[str], str]) -> None:
        self._names, self._cardinal, self._digits = names, cardinal, digits

    def _pieces(self, source: Source, start: int, end: int, skip: int = 0) -> list[Part]:
        parts: list[Part] = []
        for piece in _PIECE.finditer(source.text, start + skip, end):
            text = piece[0]
            low = text.lower()
            if text.isdecimal():
                phrase = self._cardinal(text) if len(text) < 4 and text[0] != "0" else self._digits(text)
            elif low in _LETTER_BY_LETTER or (len(low) == 1 and low.isalpha()):
                phrase = " ".join(f"{char.upper()}." for char in low)
            elif text[0].isalpha():
                phrase = low
            else:
                phrase = self._names.get(text, "")
            if phrase:
                parts.append((phrase, piece.start(), piece.end()))
        return parts

    def address(self, source: Source, position: int) -> Reading | None:
        """A URL, e-mail address or file name that starts here."""
        email = _EMAIL.match(source.text, position)
        if email:
            return self._pieces(source, position, email.end()), email.end()
        url = _SCHEME_URL.match(source.text, position)
        if url:
            end = position + len(url[0].rstrip(".,;:!?/"))
            skip = url[0].index("//") + 2
            parts = self._pieces(source, position, end, skip)
            return ([(parts[0][0], position, parts[0][2]), *parts[1:]], end) if parts else None
        bare = _BARE_URL.match(source.text, position)
        if not bare:
            return None
        end = position + len(bare[0].rstrip(".,;:!?/-"))
        host = source.text[position:end].partition("/")[0].partition(":")[0]
        ending = host.rpartition(".")[2]
        named = ending in TOP_LEVEL_DOMAINS and (ending not in _COMMON_WORDS or "/" in bare[0] or host.startswith("www."))
        if "." not in host or not (named or ending in _FILE_ENDINGS):
            return None
        return self._pieces(source, position, end), end

    def hashtag(self, source: Source, position: int) -> Reading | None:
        """``#MachineLearning``: hashtag machine learning."""
        found = _HASHTAG.match(source.text, position)
        return self._tagged(self._names["hashtag"], found) if found else None

    def mention(self, source: Source, position: int) -> Reading | None:
        """``@user_name``: at user name."""
        found = _MENTION.match(source.text, position)
        return self._tagged(self._names["@"], found) if found else None

    def _tagged(self, name: str, found: re.Match[str]) -> Reading:
        parts: list[Part] = [(name, found.start(), found.start() + 1)]
        for piece in _CAMEL.finditer(found[1]):
            start = found.start(1) + piece.start()
            phrase = self._cardinal(piece[0]) if piece[0].isdecimal() else piece[0]
            parts.append((phrase, start, start + len(piece[0])))
        return parts, found.end()


ENGLISH = WebRules(_SYMBOLS, numbers.cardinal, numbers.digits)

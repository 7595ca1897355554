"""Text to make speech from: cleaned sentences of a folder, and the rule that keeps some of them for testing.

The folder holds ``sentences.<language>.txt`` (one sentence a line) and, where there is one,
``prose.<language>.txt`` (one paragraph a line), in UTF-8.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

HELD_OUT_ONE_IN = 64
"""One sentence in 64 is for testing only: about 800 of the 52 000 English ones."""

_SPACE = re.compile(r"\s+")
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"']?\s+(?=[\"'A-Z])")


def held_out(sentence: str) -> bool:
    """Whether a sentence is kept for testing; no training recipe may use it.

    The rule looks at the words only (lower case, letters and digits), so the same
    sentence in another case or punctuation falls on the same side.
    """
    words = _NOT_A_WORD.sub(" ", sentence.lower()).strip()
    digest = hashlib.sha1(words.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT_ONE_IN == 0


def clean(line: str) -> str:
    """Plain quotes and dashes, single spaces."""
    return _SPACE.sub(" ", line.translate(_QUOTES)).strip()


def load_sentences(folder: Path, language: str = "en", max_characters: int = 200) -> Iterator[str]:
    """The cleaned sentences of ``sentences.<language>.txt``, in the file's order, held-out ones included."""
    with (folder / f"sentences.{language}.txt").open(encoding="utf-8") as file:
        for line in file:
            sentence = clean(line)
            if 3 <= len(sentence) <= max_characters and (language != "en" or sentence.isascii()):
                yield sentence


def load_prose(folder: Path, language: str = "en", max_characters: int = 200) -> Iterator[str]:
    """The sentences of ``prose.<language>.txt`` that are short enough; nothing if there is no such file."""
    path = folder / f"prose.{language}.txt"
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            for part in _SENTENCE_END.split(clean(line)):
                sentence = part.strip("\"' ").replace("--", ", ").replace('"', "").replace("_", "")
                if 8 <= len(sentence) <= max_characters and (language != "en" or sentence.isascii()):
                    yield sentence

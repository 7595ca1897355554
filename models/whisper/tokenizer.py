"""Text to tokens and back for a Whisper checkpoint, and the ids of its special tokens."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

_NO_SPEECH_NAMES = ("<|nospeech|>", "<|nocaptions|>")
_CLOSING = frozenset(".,!?;:%)]}…")
_CONTROLS = frozenset(map(chr, range(0x100, 0x121)))


class WhisperTokenizer:
    """tokenizer.json of a checkpoint. Text ids lie below <|endoftext|>, special ones from it upwards.

    Raises FileNotFoundError, and ValueError for a file that is none.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_text(encoding="utf-8")
        try:
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library knows no other kind
            raise ValueError(f"{path}: {error}") from None
        self.end = self._required("<|endoftext|>")
        self.start = self._required("<|startoftranscript|>")
        self.no_timestamps = self._required("<|notimestamps|>")
        self.previous = self._tokenizer.token_to_id("<|startofprev|>")
        self.no_speech: int | None = next(
            (i for name in _NO_SPEECH_NAMES if (i := self._tokenizer.token_to_id(name)) is not None), None
        )

    def _required(self, token: str) -> int:
        token_id: int | None = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise ValueError(f"tokenizer.json has no token {token}")
        return token_id

    def special(self, token: str) -> int | None:
        """The id of any token by its name, None if there is none."""
        token_id: int | None = self._tokenizer.token_to_id(token)
        return token_id

    def encode(self, text: str) -> list[int]:
        """Tokens of text that starts a transcript: Whisper's begin with a space."""
        stripped = text.strip()
        ids: list[int] = self._tokenizer.encode(f" {stripped}", add_special_tokens=False).ids if stripped else []
        return ids

    def starts_outside_words(self) -> NDArray[np.bool_]:
        """For each id up to the end whether its text cannot go on with a word: a space, punctuation, the end."""
        outside = np.ones(self.end + 1, np.bool_)
        for token, token_id in self._tokenizer.get_vocab().items():
            if token_id < self.end:
                # Byte-level vocabularies write control characters and the space as U+0100 to U+0120, and the bytes
                # of other scripts as other letters.
                outside[token_id] = not (token[0].isalnum() if token[0].isascii() else token[0] not in _CONTROLS)
        return outside

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode([t for t in tokens if t < self.end])
        return text

    def split_words(self, tokens: Sequence[int]) -> list[tuple[str, int]]:
        """Words with their number of tokens. A word starts at a space; punctuation stays with the word before it."""
        words: list[tuple[str, int]] = []
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            piece = self.decode(pending)
            if not piece.strip() or piece.endswith("\ufffd"):  # a space, or part of a character of several bytes
                continue
            joins = not piece.startswith(" ") or all(c in _CLOSING for c in piece.strip())
            if words and joins:
                text, count = words[-1]
                words[-1] = (text + piece.strip(), count + len(pending))
            else:
                words.append((piece.strip(), len(pending)))
            pending = []
        if words and pending:
            words[-1] = (words[-1][0], words[-1][1] + len(pending))
        return words

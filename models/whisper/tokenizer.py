"""Text to tokens and back for a Whisper checkpoint, and the ids of its special tokens."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.scripts import goes_on

_BROKEN = "\ufffd"
_NO_SPEECH_NAMES = ("<|nospeech|>", "<|nocaptions|>")
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

    def starts_outside_words(self, tokens: int) -> NDArray[np.bool_]:
        """For each of so many ids whether its text cannot go on with a word: a space, punctuation, the end, a time."""
        outside = np.ones(tokens, np.bool_)
        for token, token_id in self._tokenizer.get_vocab().items():
            if token_id < self.end:
                # Byte-level vocabularies write control characters and the space as U+0100 to U+0120, and the bytes
                # of other scripts as other letters.
                first = token[:1]  # multilingual vocabularies hold an empty token
                outside[token_id] = not (first.isalnum() if first.isascii() else first not in _CONTROLS)
        return outside

    def decode(self, tokens: Sequence[int]) -> str:
        """Bytes that make up no whole character are left out, as at the end of a text that was cut off."""
        return self._decode(tokens).replace(_BROKEN, "")

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode([t for t in tokens if t < self.end])
        return text

    def split_words(self, tokens: Sequence[int]) -> list[tuple[str, int]]:
        """Words with their number of tokens; joined they are the text.

        A word starts at a space; in scripts without spaces every token, or the few that make up a character, is one.
        Punctuation goes with the word before it, opening punctuation with the one behind. Tokens of half a character at
        the end belong to the last word and have no text.
        """
        words: list[tuple[str, int]] = []
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            piece = self._decode(pending)
            if piece.endswith(_BROKEN) or not piece.strip(_BROKEN + " "):  # part of a character of several bytes, or a space
                continue
            piece = piece.replace(_BROKEN, "")
            if words and goes_on(words[-1][0], piece):
                text, count = words[-1]
                words[-1] = (text + piece, count + len(pending))
            else:
                words.append((piece, len(pending)))
            pending = []
        if words and pending:
            words[-1] = (words[-1][0], words[-1][1] + len(pending))
        return words

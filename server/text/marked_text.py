"""Streamed text with markup, cut into pieces: what every reader of a context's text begins with."""

from collections.abc import Iterator
from dataclasses import dataclass

from server.requests.speech import Controls
from server.text.boundaries import Boundaries
from server.text.delivery import SpeechState
from server.text.markup import ParsedMarkup, parse_markup
from server.text.phonemes import Inventory
from server.text.segmenter import Piece, Segmenter, Take

SHOWN_CHARS = 40
"""So much of a text that cannot be spoken is shown to who sent it."""


@dataclass(frozen=True, slots=True)
class MarkedPiece:
    """Text to speak at once, taken apart. ``ending`` as in `server.text.segmenter.Piece`."""

    parts: tuple[ParsedMarkup, ...]
    """More than one where other controls begin inside."""
    ending: str


class MarkedText:
    """The text of one context: pushed with controls, taken in pieces with the settings in force."""

    def __init__(self, boundaries: Boundaries, inventory: Inventory, controls: Controls) -> None:
        self._segmenter = Segmenter(boundaries)
        self._inventory = inventory
        self._state = SpeechState.from_controls(controls)
        self._controls = controls
        self._changes: list[tuple[int, Controls]] = []
        self._pushed_chars = 0
        self._beginning = ""

    @property
    def beginning(self) -> str:
        """What the text begins with, for messages; empty while it is blank."""
        return self._beginning[:SHOWN_CHARS] + ("…" if len(self._beginning) > SHOWN_CHARS else "")

    @property
    def has_speakable(self) -> bool:
        """Whether text that would be heard waits for more."""
        return self._segmenter.has_speakable

    def push(self, text: str, controls: Controls | None = None) -> None:
        """Append text as it came; changed controls hold from its first character on."""
        if controls is not None and controls != self._controls:
            self._controls = controls
            self._changes.append((self._pushed_chars, controls))
        self._segmenter.push(text)
        self._pushed_chars += len(text)
        if len(self._beginning) <= SHOWN_CHARS:
            self._beginning = (self._beginning + text).lstrip()[: SHOWN_CHARS + 1]

    def take(self, mode: Take) -> list[MarkedPiece]:
        """The pieces that ``mode`` allows."""
        return [MarkedPiece(tuple(self._parsed(piece)), piece.ending) for piece in self._segmenter.take(mode)]

    def _parsed(self, piece: Piece) -> Iterator[ParsedMarkup]:
        for text, start_chars in self._between_changes(piece):
            parsed = parse_markup(text, start_chars, self._state, self._inventory)
            self._state = parsed.state
            yield parsed

    def _between_changes(self, piece: Piece) -> Iterator[tuple[str, int]]:
        """The piece cut where new controls begin, switching the state at each cut."""
        position, end = piece.start_chars, piece.start_chars + len(piece.text)
        while self._changes and self._changes[0][0] < end:
            at, controls = self._changes.pop(0)
            if at > position:
                yield piece.text[position - piece.start_chars : at - piece.start_chars], position
                position = at
            self._state = SpeechState.from_controls(controls)
        yield piece.text[position - piece.start_chars :], position

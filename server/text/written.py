"""Text for models that read it by themselves: as it was written, with markup turned into deliveries and pauses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from models.speech import Delivery, Utterance
from server.errors import InvalidRequest
from server.requests.speech import Controls
from server.text import boundaries
from server.text.boundaries import Boundaries, boundaries_of
from server.text.languages.registry import LANGUAGES
from server.text.marked_text import MarkedPiece, MarkedText
from server.text.markup import NON_VERBAL_PAUSE_MS, Break, PhonemeRun, TextRun
from server.text.phonemes import ENGLISH
from server.text.segmenter import SPEAKABLE, Take
from server.text.words import SpokenWord, TextSegment, WrittenWord

_WORD = re.compile(r"\S+")


@dataclass(slots=True)
class _Part:
    """What is said in one way, up to a pause."""

    delivery: Delivery
    words: list[tuple[str, WrittenWord]] = field(default_factory=list)
    """What the model reads, and where it stands in the context's text."""
    pause_ms: float = 0.0

    def segment(self) -> TextSegment | None:
        """None where nothing would be heard; signs alone make models babble."""
        words = self.words if any(SPEAKABLE.search(text) for text, _ in self.words) else []
        if not words and not self.pause_ms:
            return None
        written = list(dict.fromkeys(word for _, word in words))
        spoken = tuple(SpokenWord(text, written.index(word)) for text, word in words)
        utterance = Utterance(" ".join(text for text, _ in words), delivery=self.delivery, pause_ms=self.pause_ms)
        return TextSegment(utterance, spoken, tuple(written))


class WrittenStream:
    """The text of one context, in order; as `server.text.frontend.TextStream`. Numbers and signs stay what they are.

    ``<spell>`` is written as single letters, ``[laughter]`` and its like become a short pause, and a new utterance begins
    where the way of speaking changes. Text that spells phones out is refused.
    """

    def __init__(self, language: str, controls: Controls) -> None:
        self._text = MarkedText(_boundaries(language), ENGLISH, controls)
        self._begun = False

    @property
    def has_pending_text(self) -> bool:
        """Whether text that would be heard waits for more."""
        return self._text.has_speakable

    def push(self, text: str, controls: Controls | None = None) -> None:
        """Append text as it came; changed controls hold from its first character on."""
        self._text.push(text, controls)

    def take(self, mode: Take) -> list[TextSegment]:
        """What can be spoken now; see `Take`. Raises InvalidRequest for phones."""
        parts = (part for piece in self._text.take(mode) for part in _parts(piece))
        segments = [segment for part in parts if (segment := part.segment()) is not None]
        self._begun = self._begun or bool(segments)
        return segments

    def check_end(self) -> None:
        """To be called after the last `take`. Raises InvalidRequest if nothing in the text could be spoken."""
        if self._text.beginning and not self._begun:
            message = f"transcript: {self._text.beginning!r} holds nothing that can be spoken"
            raise InvalidRequest(message, field="transcript")


def _boundaries(language: str) -> Boundaries:
    return boundaries_of(LANGUAGES[language]) if language in LANGUAGES else boundaries.ENGLISH


def _parts(piece: MarkedPiece) -> Iterator[_Part]:
    part = _Part(Delivery())
    for item in (item for parsed in piece.parts for item in parsed.items):
        if isinstance(item, TextRun):
            delivery = item.state.named_delivery()
            if part.pause_ms or (part.words and part.delivery != delivery):
                yield part
                part = _Part(delivery)
            part.delivery = delivery
            part.words += _words(item)
        elif isinstance(item, PhonemeRun):
            message = f"transcript: the model reads text and cannot speak the phones {item.text!r}; write the word instead"
            raise InvalidRequest(message, field="transcript")
        else:
            part.pause_ms += item.duration_ms if isinstance(item, Break) else NON_VERBAL_PAUSE_MS
    yield part


def _words(run: TextRun) -> Iterator[tuple[str, WrittenWord]]:
    for found in _WORD.finditer(run.text):
        start = run.start_chars + found.start()
        word = WrittenWord(found[0], start, start + len(found[0]))
        for text in found[0] if run.state.spelling else (found[0],):
            yield text, word

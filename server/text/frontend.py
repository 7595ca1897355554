"""The text front end as a whole: pushed text in, segments of phones out.

front_end = TextFrontEnd()
stream = front_end.open(Controls())
stream.push("Dr. Smith owes $3.50. ")
for segment in stream.take(Take.READY): ...
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.speech import Delivery, Phone, Reads, Utterance
from server.errors import InvalidRequest
from server.requests.locales import primary_subtag
from server.requests.speech import NO_PRONUNCIATIONS, Controls, Pronunciations
from server.text.marked_text import MarkedPiece, MarkedText
from server.text.markup import NON_VERBAL_PAUSE_MS, Break, NonVerbal, PhonemeRun, TextRun
from server.text.normalize.replacements import compiled
from server.text.normalize.tokens import PauseMark, SpokenToken, Token
from server.text.scripts import scripts_of
from server.text.segmenter import Take
from server.text.spelling import spell
from server.text.tongues import TONGUES, Tongue, tongue_of
from server.text.words import SpokenWord, TextSegment, WrittenWord, WrittenWords
from server.text.written import WrittenStream

__all__ = ["SpokenWord", "Take", "TextFrontEnd", "TextSegment", "TextStream", "WrittenWord"]

LEADING_SILENCE_MS = 20.0
"""The first segment of a context begins with this much silence: the model starts from rest."""


class TextFrontEnd:
    """Everything that is loaded once: lexicon, letter-to-sound, normalisers. Safe to share."""

    def __init__(self, languages: Iterable[str] = ("en",)) -> None:
        unknown = sorted(set(languages) - set(TONGUES))
        if unknown:
            raise ValueError(f"no text front end for: {', '.join(unknown)} (available: {', '.join(sorted(TONGUES))})")
        self._tongues = {language: tongue_of(language) for language in languages}

    def open(
        self,
        controls: Controls,
        normalization: str = "auto",
        pronunciations: Pronunciations = NO_PRONUNCIATIONS,
        language: str = "en",
        reads: Reads = "phones",
    ) -> "TextStream | WrittenStream":
        """The stream of a new context, for a model that reads phones or text; what is said in dictionary and normalization
        is for phones only. KeyError for phones in a language that was not asked for at the start."""
        if reads == "text":
            return WrittenStream(language, controls)
        return TextStream(self._tongues[language], controls, normalization, pronunciations, tuple(self._tongues))


@dataclass(slots=True)
class _Voiced:
    """A word of the segment being built."""

    token: SpokenToken
    delivery: Delivery


@dataclass(slots=True)
class _Pause:
    symbol: str
    delivery: Delivery
    duration_ms: float | None = None


class TextStream:
    """The text of one context, in order. Not for use by several threads at once."""

    def __init__(
        self,
        tongue: Tongue,
        controls: Controls,
        normalization: str = "auto",
        pronunciations: Pronunciations = NO_PRONUNCIATIONS,
        spoken_here: Sequence[str] = (),
    ) -> None:
        """``spoken_here`` are the codes of all languages, for messages."""
        self._tongue = tongue
        self._spoken_here = spoken_here
        self._normalizer = tongue.normalizer(normalization)
        self._replacements = compiled(pronunciations, tongue.inventory) if pronunciations.entries else None
        self._text = MarkedText(tongue.boundaries, tongue.inventory, controls)
        self._begun = False
        self._has_own_words = self._has_foreign_words = False
        """What the segments that were taken first hold; see `server.text.scripts`."""

    @property
    def has_pending_text(self) -> bool:
        """Whether text that would be heard waits for more (the engine then runs its timer)."""
        return self._text.has_speakable

    def push(self, text: str, controls: Controls | None = None) -> None:
        """Append text as it came; changed controls hold from its first character on."""
        self._text.push(text, controls)

    def take(self, mode: Take | Literal["ready", "timer", "input", "end"] = Take.READY) -> list[TextSegment]:
        """Segments that can be spoken now; see `Take`. Text without anything to say gives none.

        Raises InvalidRequest if the first segments are words in a script that the language is not written in. Later
        such words are read as they would be in Latin letters: a name in a foreign spelling ends no conversation.
        """
        is_first = not self._begun
        built = (self._build(piece) for piece in self._text.take(Take(mode)))
        segments = _with_breaks_between([segment for segment in built if segment is not None])
        if is_first and self._has_foreign_words and not self._has_own_words:
            raise self._unspeakable()
        return segments

    def check_end(self) -> None:
        """To be called after the last `take`. Raises InvalidRequest if nothing in the text could be spoken; blank text is
        none."""
        if self._text.beginning and not self._begun:
            raise self._unspeakable()

    def _unspeakable(self) -> InvalidRequest:
        language, *others = (primary_subtag(code) for code in (self._tongue.code, *self._spoken_here))
        return InvalidRequest(
            f"transcript: {self._text.beginning!r} holds nothing that can be spoken in the language {language!r}; "
            f"languages spoken here: {', '.join(sorted({language, *others}))}",
            field="transcript",
        )

    def _build(self, piece: MarkedPiece) -> TextSegment | None:
        written = WrittenWords()
        entries: list[_Voiced | _Pause] = []
        unknown: tuple[str, ...] = ()
        heard: list[str] = []
        for parsed in piece.parts:
            unknown += parsed.unknown_phones
            for item in parsed.items:
                if isinstance(item, TextRun):
                    heard.append(item.text)
                    written.add_run(item.text, item.start_chars)
                    tokens = self._tokens(item)
                    self._note_scripts(tokens, item.text)
                    entries += _entries(tokens, item)
                elif isinstance(item, PhonemeRun):
                    heard.append(item.text)
                    written.add_whole(item.text, item.start_chars)
                    self._has_own_words = True
                    shown = "".join(phone.symbol for phone in item.phones)
                    token = SpokenToken(shown, item.start_chars, item.start_chars + len(item.text), item.phones)
                    entries.append(_Voiced(token, item.state.delivery()))
                elif isinstance(item, Break):
                    entries.append(_Pause("_", parsed.state.delivery(), item.duration_ms))
                elif isinstance(item, NonVerbal):
                    entries.append(_Pause("_", parsed.state.delivery(), NON_VERBAL_PAUSE_MS))
        _pronounce(entries, self._tongue)
        text = "".join(heard).strip()
        segment = _assemble(text, entries, written, piece.ending, first=not self._begun, unknown=unknown)
        self._begun = self._begun or segment is not None
        return segment

    def _note_scripts(self, tokens: list[Token], text: str) -> None:
        if not self._has_own_words:
            own, foreign = scripts_of(tokens, text)
            self._has_own_words, self._has_foreign_words = own, foreign or self._has_foreign_words

    def _tokens(self, run: TextRun) -> list[Token]:
        if run.state.spelling:
            return spell(run.text, self._tongue.signs)
        return self._normalizer.normalize(run.text, self._replacements)


def _entries(tokens: list[Token], run: TextRun) -> list[_Voiced | _Pause]:
    delivery = run.state.delivery()
    entries: list[_Voiced | _Pause] = []
    for token in tokens:
        if isinstance(token, PauseMark):
            entries.append(_Pause(token.symbol, delivery))
        else:
            start, end = token.start + run.start_chars, token.end + run.start_chars
            entries.append(_Voiced(SpokenToken(token.say, start, end, token.phones), delivery))
    return entries


def _assemble(
    text: str, entries: list[_Voiced | _Pause], written: WrittenWords, ending: str, *, first: bool, unknown: tuple[str, ...]
) -> TextSegment | None:
    """Phones and words of one segment; None if nothing in it is heard."""
    spoken: list[SpokenWord] = []
    phones: list[Phone] = []
    for entry in entries:
        if isinstance(entry, _Pause):
            _add_pause(phones, entry)
        elif entry.token.phones:
            phones += _word_phones(entry, len(spoken))
            spoken.append(SpokenWord(entry.token.text, written.index_at(entry.token.start)))
    phones = [phone for phone in phones if phone.duration_ms is None or phone.duration_ms > 0]
    if not phones:
        return None
    if spoken:
        _add_pause(phones, _Pause(ending, _delivery_of(phones[-1])))
    if first:
        phones.insert(0, Phone("_", duration_ms=LEADING_SILENCE_MS))
    return TextSegment(Utterance(text, tuple(phones)), tuple(spoken), written.used(), unknown)


def _add_pause(phones: list[Phone], pause: _Pause) -> None:
    """A mark pauses only after a word. Beside a break, which says how long, it says only how the clause before it ends."""
    last = phones[-1] if phones else None
    if last is None or last.word >= 0:
        if last is not None or pause.duration_ms is not None:
            phones.append(_pause_phone(pause))
    elif pause.duration_ms is None:
        if last.symbol == "_" and any(phone.word >= 0 for phone in phones):
            phones[-1] = replace(last, symbol=pause.symbol)
    elif last.duration_ms is None:
        phones[-1] = replace(last, duration_ms=pause.duration_ms)
    else:
        phones.append(_pause_phone(pause))


def _with_breaks_between(segments: list[TextSegment]) -> list[TextSegment]:
    """A break at the start of a sentence becomes the length of the pause that ends the one before."""
    joined: list[TextSegment] = []
    for text in segments:
        phones = text.utterance.phones
        ended = joined[-1].utterance.phones if joined else ()
        if ended and phones[0].duration_ms is not None and ended[-1].word < 0 and ended[-1].duration_ms is None:
            pause = replace(ended[-1], duration_ms=phones[0].duration_ms)
            joined[-1] = _with_phones(joined[-1], (*ended[:-1], pause))
            text = _with_phones(text, phones[1:])
        if text.utterance.phones:
            joined.append(text)
    return joined


def _with_phones(text: TextSegment, phones: tuple[Phone, ...]) -> TextSegment:
    return replace(text, utterance=replace(text.utterance, phones=phones))


def _pronounce(entries: list[_Voiced | _Pause], tongue: Tongue) -> None:
    """Set the phones of all words that have none, clause by clause."""
    clause: list[_Voiced] = []
    for entry in [*entries, _Pause("_", Delivery())]:
        if isinstance(entry, _Voiced):
            clause.append(entry)
            continue
        sounds = tongue.pronounce_words([word.token.say for word in clause])
        for word, phones in zip(clause, sounds, strict=True):
            if word.token.phones is None:
                word.token = SpokenToken(word.token.say, word.token.start, word.token.end, phones)
        clause = []


def _word_phones(entry: _Voiced, word: int) -> list[Phone]:
    return [
        Phone(
            symbol,
            stress,
            word,
            starts_word=index == 0,
            speed=entry.delivery.speed,
            volume=entry.delivery.volume,
            pitch_semitones=entry.delivery.pitch_semitones,
            pitch_range=entry.delivery.pitch_range,
        )
        for index, (symbol, stress) in enumerate(entry.token.phones or ())
    ]


def _pause_phone(pause: _Pause) -> Phone:
    delivery = pause.delivery
    return Phone(
        pause.symbol,
        duration_ms=pause.duration_ms,
        speed=delivery.speed,
        volume=delivery.volume,
        pitch_semitones=delivery.pitch_semitones,
        pitch_range=delivery.pitch_range,
    )


def _delivery_of(phone: Phone) -> Delivery:
    return Delivery(phone.speed, phone.volume, phone.pitch_semitones, phone.pitch_range)

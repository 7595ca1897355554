"""Cuts streamed text into speakable pieces as early as a cut is certain.

Where a cut falls depends on the text alone, never on how it was pushed: a cut is
only made once everything that could forbid it has been seen. Concatenated, the
pieces are the text. Nothing is cut inside a word, ``<...>``, ``<<...>>``,
``[...]`` or ``<spell>...</spell>``.
"""

import re
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from server.text.boundaries import ENGLISH, Boundaries
from server.text.markup import INLINE_PHONEMES, NON_VERBAL, TAG
from server.text.normalize.punctuation import LIST_HEAD

FIRST_CLAUSE_CHARS = 24
"""A context's first piece may end at a clause mark this early, so that audio starts soon."""
CLAUSE_CHARS = 100
MAX_CHARS = 250
MAX_WORD_CHARS = 1000
"""A "word" longer than this is cut all the same, which bounds the buffer."""
MAX_SPELL_CHARS = 300
MAX_MARKUP_CHARS = 420
WINDOW_CHARS = 4096
"""Text beyond this waits unscanned; any piece is far shorter."""


class Take(StrEnum):
    """How much to take from the buffer."""

    READY = "ready"
    """What is certain: whole sentences, long clauses."""
    TIMER = "timer"
    """All but an unfinished tag and (unless nothing else is left) an unfinished word."""
    INPUT = "input"
    """All but an unfinished tag: every pushed text is complete in itself."""
    END = "end"
    """Everything: the input is over or was flushed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to speak at once. ``ending`` is the pause after it if its own last mark gives none."""

    text: str
    start_chars: int
    ending: str


_MARK = re.compile(
    r"(?P<stop>[.!?…。！？]+[\"'”’)\]*_]{0,4})|(?P<clause>(?:[,;:)，；：]|--+|-\Z|[—–])+[\"'”’)\]]{0,4})|(?P<line>\n)|(?P<open>[<\[])"
)
_TAG_OPENS = re.compile(r"<(?=$|<|/$|/?[A-Za-z])")
_SPELL = re.compile(r"<spell\s{0,4}>", re.IGNORECASE)
_SPELL_END = re.compile(r"</spell\s{0,4}>", re.IGNORECASE)
_BRACKET = re.compile(r"\[[A-Za-z ]{0,16}")
_NEXT_WORD = re.compile(r"[\s\"'(“‘*_]*(?P<word>[^\W_][\w']*)?(?P<after>.)?", re.DOTALL)
_LINE_DECIDED = re.compile(r"[ \t]*(?:\n|[^\s\d#*+\-•])|" + LIST_HEAD.pattern)
_LINE_ENDS = re.compile(r"[ \t]*\n|" + LIST_HEAD.pattern)
SPEAKABLE = re.compile(r"[^\W_]|<<|[$€£%&@+=°]")
_LONGEST_LINE_HEAD = 8


@dataclass(slots=True)
class _Scan:
    """One pass over the buffer: how much text was seen and where it might be cut."""

    text: str
    final: bool
    boundaries: Boundaries
    position: int = 0
    text_chars: int = 0
    best_clause: int = 0
    overflow_at: int = 0
    """Raw position at which the text (tags not counted) reached MAX_CHARS; 0 until then."""

    def advance(self, to: int, counts: bool) -> None:
        if counts:
            if self.text_chars + (to - self.position) >= MAX_CHARS and not self.overflow_at:
                self.overflow_at = self.position + MAX_CHARS - self.text_chars
            self.text_chars += to - self.position
        self.position = to


@dataclass(frozen=True, slots=True)
class _Cut:
    end: int
    ending: str


_UNSURE = _Cut(-1, "")


class Segmenter:
    """The buffer of one context."""

    def __init__(self, boundaries: Boundaries = ENGLISH) -> None:
        self._boundaries = boundaries
        self._text = ""
        self._waiting: deque[str] = deque()
        self._start_chars = 0
        self._first = True

    def push(self, text: str) -> None:
        """Append text exactly as it came."""
        self._waiting.extend(text[start : start + WINDOW_CHARS] for start in range(0, len(text), WINDOW_CHARS))
        self._refill()

    @property
    def has_speakable(self) -> bool:
        """Whether the buffer holds anything that would be heard."""
        texts = (self._text, *self._waiting)
        return any(SPEAKABLE.search(text) or NON_VERBAL.search(text) for text in texts)

    def take(self, mode: Take) -> list[Piece]:
        """Remove and return the pieces that ``mode`` allows."""
        pieces: list[Piece] = []
        while self._text:
            cut = self._next_cut(final=mode is Take.END and not self._waiting)
            if cut is None and len(self._text) >= WINDOW_CHARS:  # nothing but tags and space
                cut = _Cut(_hold_markup(self._text) or WINDOW_CHARS, "_")
            if cut is None:
                break
            pieces.append(self._remove(cut.end, cut.ending))
        rest = self._rest(mode)
        if rest:
            pieces.append(self._remove(rest, "." if mode is Take.END else "_"))
        return pieces

    def _refill(self) -> None:
        """Keep the scanned text short, so that a long push costs linear time."""
        while self._waiting and len(self._text) < WINDOW_CHARS:
            text = self._waiting.popleft()
            room = WINDOW_CHARS - len(self._text)
            self._text += text[:room]
            if len(text) > room:
                self._waiting.appendleft(text[room:])

    def _rest(self, mode: Take) -> int:
        """How much of the uncut remainder goes out now."""
        if mode is Take.READY or not self._text:
            return 0
        if mode is Take.END:
            return len(self._text)
        end = _hold_markup(self._text)
        if mode is Take.TIMER:
            word = re.search(r"[\w'’$€£#@.,:/-]{1,80}$", self._text[:end][-80:])
            if word and word[0][-1].isalnum() and SPEAKABLE.search(self._text[: end - len(word[0])]):
                end -= len(word[0])
        return end if SPEAKABLE.search(self._text[:end]) or "<" in self._text[:end] else 0

    def _remove(self, end: int, ending: str) -> Piece:
        piece = Piece(self._text[:end], self._start_chars, ending)
        self._text = self._text[end:]
        self._start_chars += end
        self._refill()
        self._first = self._first and not SPEAKABLE.search(piece.text)
        return piece

    def _next_cut(self, final: bool) -> _Cut | None:
        """The first place where the buffer must be cut, if it is certain already."""
        scan = _Scan(self._text, final, self._boundaries)
        shortest = FIRST_CLAUSE_CHARS if self._first else CLAUSE_CHARS
        while True:
            mark = _MARK.search(self._text, scan.position)
            scan.advance(mark.start() if mark else len(self._text), counts=True)
            if scan.overflow_at:
                return _overflow_cut(scan)
            if mark is None:
                return None
            if mark["open"]:
                if not _pass_markup(scan):
                    return None
                continue
            end = mark.end()
            cut = _decide(scan, mark, end, shortest)
            if cut is _UNSURE:
                return None
            if cut is not None and SPEAKABLE.search(self._text[: cut.end]):
                return cut if cut.end < len(self._text) or final else None
            scan.advance(end, counts=True)


def _decide(scan: _Scan, mark: re.Match[str], end: int, shortest: int) -> _Cut | None:
    """Whether to cut after one mark: a cut, None, or unsure until more text is there."""
    if mark["line"]:
        return _line(scan, mark.start())
    if end >= len(scan.text):
        return None if scan.final else _UNSURE
    kind = _sentence(scan, mark, end) if mark["stop"] else _clause(scan, mark, end)
    if kind == "unsure":
        return _UNSURE
    if kind == "sentence":
        return _Cut(end, ".")
    if kind == "clause":
        if scan.text_chars + len(mark[0]) >= shortest:
            return _Cut(end, ",")
        scan.best_clause = end
    return None


def _sentence(scan: _Scan, mark: re.Match[str], end: int) -> str:
    """ "sentence", "clause", "" or "unsure" for a full stop, question or exclamation mark."""
    text = scan.text
    wide = mark["stop"][0] in "。！？"
    if not wide and not text[end].isspace() and text[end] != "<":
        return ""
    stop = mark["stop"].rstrip("\"'”’)]*_")
    if stop == "." and not wide:
        return _full_stop(scan, mark.start(), end)
    if stop.startswith("..") or stop == "…":
        following = _NEXT_WORD.match(text, end)
        word = following["word"] if following else None
        if not word:
            return "sentence" if scan.final or (following and following["after"]) else "unsure"
        return "clause" if word[0].islower() else "sentence"
    return "sentence"


def _full_stop(scan: _Scan, start: int, end: int) -> str:
    text = scan.text
    if text[:start].strip().isdecimal() and start < 8:  # "1. First"
        return ""
    last = scan.boundaries.last_word.search(text[max(0, start - 24) : start])
    if not last:
        return "sentence"
    word = last[1]
    if scan.boundaries.never_ends(word):
        return ""
    if not scan.boundaries.may_end(word):
        return "sentence"
    following = _NEXT_WORD.match(text, end)
    next_word = following["word"] if following else None
    complete = following is not None and following["after"] is not None
    if not complete and not scan.final:
        return "unsure"
    if not next_word:
        return "sentence"
    return "sentence" if scan.boundaries.ends_before(word, next_word) else ""


def _clause(scan: _Scan, mark: re.Match[str], end: int) -> str:
    text = scan.text
    if not text[end].isspace():
        return "clause" if mark[0][-1] in "，；：—" else ""
    if mark["clause"][0] == "," and mark.start() and text[mark.start() - 1].isdecimal():
        following = text[end : end + 2].strip()
        if not following:
            return "" if scan.final or len(text) >= end + 2 else "unsure"
        return "" if following[0].isdecimal() else "clause"
    return "clause"


def _line(scan: _Scan, start: int) -> _Cut | None:
    """A blank line, a list item or a heading starts a new piece."""
    rest = scan.text[start + 1 : start + 1 + 80]
    if not _LINE_DECIDED.match(rest) and not scan.final and len(rest.strip(" \t")) < _LONGEST_LINE_HEAD:
        return _UNSURE
    return _Cut(start, ".") if _LINE_ENDS.match(rest) else None


def _pass_markup(scan: _Scan) -> bool:
    """Step over a tag, or over a character that only looks like one; False if its end is not there yet."""
    text, start = scan.text, scan.position
    if text[start] == "[":
        known = NON_VERBAL.match(text, start)
        bracket = _BRACKET.match(text, start)
        if not known and bracket and bracket.end() == len(text) and not scan.final:
            return False
        scan.advance(known.end() if known else start + 1, counts=not known)
        return True
    spell = _SPELL.match(text, start)
    if spell:
        close = _SPELL_END.search(text, spell.end(), spell.end() + MAX_SPELL_CHARS)
        if not close and not scan.final and len(text) < spell.end() + MAX_SPELL_CHARS:
            return False
        scan.advance(spell.end(), counts=False)
        if close:
            scan.text_chars += close.start() - spell.end()
            scan.position = close.end()
        return True
    found = INLINE_PHONEMES.match(text, start) or TAG.match(text, start)
    if not found and not scan.final and _unfinished_tag(text, start):
        return False
    scan.advance(found.end() if found else start + 1, counts=not found)
    return True


def _unfinished_tag(text: str, start: int) -> bool:
    """Whether the text ends inside something that may become a tag."""
    if not _TAG_OPENS.match(text, start) or len(text) - start > MAX_MARKUP_CHARS:
        return False
    body = text[start + 1 :]
    if body.startswith("<"):
        inner = body[1:]
        if "<" in inner or any(char.isspace() for char in inner):
            return False
        return inner.count(">") < 2 and (">" not in inner or inner.endswith(">"))
    return ">" not in body and "<" not in body


def _hold_markup(text: str) -> int:
    """Where an unfinished tag, bracket or spelling begins, else the end of the text."""
    scan = _Scan(text, False, ENGLISH)
    while True:
        found = re.compile(r"[<\[]").search(text, scan.position)
        if not found:
            return len(text)
        scan.position = found.start()
        if not _pass_markup(scan):
            return found.start()


def _overflow_cut(scan: _Scan) -> _Cut | None:
    """Best place within the longest piece: a clause mark, a conjunction, else a space."""
    limit = scan.overflow_at
    if scan.best_clause > limit // 3:
        return _Cut(scan.best_clause, ",")
    window = scan.text[:limit]
    for pattern in (scan.boundaries.conjunction, re.compile(r"\s(?=\S)")):
        places = [found.start() for found in pattern.finditer(window, limit // 3) if not _inside_markup(window, found.start())]
        if places and SPEAKABLE.search(window[: places[-1]]):
            return _Cut(places[-1], "_")
    space = re.compile(r"\s").search(scan.text, limit, MAX_WORD_CHARS)
    if space and not _inside_markup(scan.text, space.start()):
        return _Cut(space.start(), "_")
    return _Cut(MAX_WORD_CHARS, "_") if len(scan.text) > MAX_WORD_CHARS else None


def _inside_markup(text: str, position: int) -> bool:
    """Whether a tag that opened before the position closes after it."""
    opened = text.rfind("<", max(0, position - MAX_MARKUP_CHARS), position)
    return opened >= 0 and ">" not in text[opened:position]

"""Markup inside transcripts: breaks, spelling, speed, volume, emotion, inline phonemes.

Tags need no closing slash and set state from where they stand. Tags nobody
knows are dropped when they look like SSML; a ``<`` of mathematics stays text.
``[laughter]`` and its like, which this voice cannot make, become a short pause.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.requests.speech import SPEED_RANGE, VOLUME_RANGE
from server.text.delivery import EMOTIONS, SpeechState, clamp
from server.text.phonemes import ENGLISH, Inventory, parse_phonemes
from server.text.pronunciation import Pronunciation

DEFAULT_BREAK_MS = 500.0
MAX_BREAK_MS = 60_000.0
NON_VERBAL_PAUSE_MS = 250.0

_ATTRIBUTE = r"[A-Za-z][\w:-]{0,30}\s{0,4}=\s{0,4}(?:\"[^\"<>]{0,100}\"|'[^'<>]{0,100}'|[^\s\"'<>/]{1,100})"
TAG = re.compile(rf"<(?P<close>/?)(?P<name>[A-Za-z][\w:-]{{0,30}})(?P<rest>(?:\s{{1,4}}{_ATTRIBUTE}){{0,6}}+)\s{{0,4}}/?>")
INLINE_PHONEMES = re.compile(r"<<(?P<phones>[^<>\s]{1,400})>>")
NON_VERBAL = re.compile(
    r"\[(?:laughter|laughs?|laughing|chuckles?|giggles?|sighs?|gasps?|coughs?|breath|breathes|inhales?|exhales?|sniffs?|sobs?"
    r"|crying|groans?|yawns?|clears throat|music|applause|silence|noise)\]",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"<(?:/?(?:break|pause|spell|speed|volume|emotion)\b[^<>]{0,200}|<[^<>\s]{1,400}>?)$")
_MARKUP = re.compile(rf"(?:{INLINE_PHONEMES.pattern})|(?:{TAG.pattern})|(?:{NON_VERBAL.pattern})", re.IGNORECASE)
_ONE_ATTRIBUTE = re.compile(r"([A-Za-z][\w:-]{0,30})\s{0,4}=\s{0,4}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'/]+))")
_TIME = re.compile(r"\s*([0-9]{0,6}(?:\.[0-9]{0,6})?)\s*(ms|s|msec|sec|seconds?|milliseconds?)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextRun:
    """Text between tags; ``start_chars`` counts from the start of the context's text."""

    text: str
    start_chars: int
    state: SpeechState


@dataclass(frozen=True, slots=True)
class PhonemeRun:
    """One word given as phones; ``text`` is the markup as it was written."""

    text: str
    start_chars: int
    phones: Pronunciation
    state: SpeechState


@dataclass(frozen=True, slots=True)
class Break:
    """A pause of exactly this length."""

    duration_ms: float


@dataclass(frozen=True, slots=True)
class NonVerbal:
    """Laughter, sighs: a short pause."""


Item = TextRun | PhonemeRun | Break | NonVerbal


@dataclass(frozen=True, slots=True)
class ParsedMarkup:
    """The items of a text, the state after it, and phones that could not be read."""

    items: tuple[Item, ...]
    state: SpeechState
    unknown_phones: tuple[str, ...]


def parse_markup(text: str, start_chars: int, state: SpeechState, inventory: Inventory = ENGLISH) -> ParsedMarkup:
    """Split text into runs and breaks; never fails."""
    items: list[Item] = []
    unknown: list[str] = []
    unfinished = _UNFINISHED.search(text, max(0, len(text) - 410))
    end = unfinished.start() if unfinished else len(text)
    position = 0
    for found in _MARKUP.finditer(text, 0, end):
        if found.start() > position:
            items.append(TextRun(text[position : found.start()], start_chars + position, state))
        position = found.end()
        if found["phones"] is not None:
            parsed = parse_phonemes(found["phones"], inventory)
            unknown += parsed.unknown
            items.append(PhonemeRun(found[0], start_chars + found.start(), parsed.phones, state))
        elif found["name"] is not None:
            state = _apply(found["name"].lower(), bool(found["close"]), _attributes(found["rest"]), state, items)
        else:
            items.append(NonVerbal())
    if end > position:
        items.append(TextRun(text[position:end], start_chars + position, state))
    return ParsedMarkup(tuple(items), state, tuple(unknown))


def _attributes(text: str) -> dict[str, str]:
    return {
        found[1].lower(): next(value for value in found.groups()[1:] if value is not None)
        for found in _ONE_ATTRIBUTE.finditer(text)
    }


def _apply(name: str, closing: bool, attributes: Mapping[str, str], state: SpeechState, items: list[Item]) -> SpeechState:
    """Act on one tag: add a break to the items or give the new state."""
    if name == "spell":
        return replace(state, spelling=not closing)
    if closing:
        return state
    if name in ("break", "pause"):
        items.append(Break(_duration_ms(attributes.get("time") or attributes.get("duration"))))
    elif name == "speed":
        ratio = _number(attributes.get("ratio") or attributes.get("value"))
        return state if ratio is None else replace(state, speed=clamp(ratio, SPEED_RANGE))
    elif name == "volume":
        ratio = _number(attributes.get("ratio") or attributes.get("level") or attributes.get("value"))
        return state if ratio is None else replace(state, volume=clamp(ratio, VOLUME_RANGE))
    elif name == "emotion":
        emotion = (attributes.get("value") or attributes.get("name") or "").strip().lower()
        return replace(state, emotion=emotion) if emotion in EMOTIONS else state
    return state


def _duration_ms(text: str | None) -> float:
    found = _TIME.fullmatch(text) if text else None
    value = _number(found[1]) if found else None
    if found is None or value is None:
        return DEFAULT_BREAK_MS
    in_ms = (found[2] or "s").lower().startswith("m")
    return clamp(value if in_ms else value * 1000.0, (0.0, MAX_BREAK_MS))


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").strip().rstrip("x%"))
    except ValueError:
        return None
    return value if value == value and abs(value) < 1e6 else None  # not NaN, not infinite

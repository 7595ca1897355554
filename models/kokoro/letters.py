"""Our front end's phones in the letters that Kokoro was trained on: misaki's for English, espeak-ng's IPA for the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.phones import PAUSES, VOWELS
from models.speech import Phone

_ALWAYS = {
    "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "əʊ": "Q", "ɔɪ": "Y", "tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ", "dz": "ʣ",
    "ʏ": "y", "œy": "øy", "_": "",
}  # fmt: skip
_OF_TONGUE: Mapping[str, Mapping[str, str]] = {
    "en-GB": {"æ": "a", "i": "iː", "u": "uː", "ɑ": "ɑː", "ɔ": "ɔː", "ɜ": "ɜː", "ɛə": "ɛː", "ɚ": "ə"},
}
_STRESS = {0: "", 1: "ˈ", 2: "ˌ"}
_JOINS_ELIDED = ("fr", "it")
"""Where a word without a vowel belongs to the next one: "l'homme", "c'è"."""
_ITALIAN_DOUBLES = {**dict.fromkeys(("p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ", "ts", "dz"), "ː"), "s": "", "r": "ɾ"}
"""What the second of two like consonants is written as; the others are written twice. Two s are one letter, S."""
SPACE = " "


@dataclass(frozen=True, slots=True)
class Letters:
    """An utterance as the network reads it."""

    text: str
    """Each character is a symbol of the vocabulary."""
    owners: tuple[int, ...]
    """For each character the phone that it writes; -1 for a space between two words, which is half of either."""


def letters_of(phone: Phone, tongue: str, before: Phone | None = None, after: Phone | None = None) -> str:
    """One phone between its neighbours in the same word, its stress before its vowel; empty for a plain pause."""
    if tongue == "it" and phone.symbol in _ITALIAN_DOUBLES:
        if before is not None and before.symbol == phone.symbol:
            return _ITALIAN_DOUBLES[phone.symbol]
        if after is not None and after.symbol == phone.symbol == "s":
            return "S"
    if phone.symbol == "ɚ" and tongue != "en-GB":
        written = "ɜɹ" if phone.stress else "əɹ"
    else:
        written = _OF_TONGUE.get(tongue, {}).get(phone.symbol) or _ALWAYS.get(phone.symbol, phone.symbol)
    return (_STRESS[phone.stress] if phone.symbol in VOWELS else "") + written


def write(phones: Sequence[Phone], tongue: str) -> Letters:
    """All phones of an utterance, with spaces between words; marks before the first word are left out."""
    text, owners = "", list[int]()
    has_consonants_only = False
    for place, phone in enumerate(phones):
        if phone.symbol in PAUSES and not text:
            continue
        if phone.starts_word and text and not (has_consonants_only and tongue in _JOINS_ELIDED):
            text += SPACE
            owners.append(place - 1 if phones[place - 1].symbol in PAUSES else -1)
        if phone.starts_word or phone.symbol in PAUSES:
            has_consonants_only = phone.symbol not in PAUSES
        has_consonants_only = has_consonants_only and phone.symbol not in VOWELS
        written = letters_of(phone, tongue, *_neighbours(phones, place))
        text += written
        owners += [place] * len(written)
    return Letters(text, tuple(owners))


def _neighbours(phones: Sequence[Phone], place: int) -> tuple[Phone | None, Phone | None]:
    """The phones before and after, as far as they are of the same word."""
    phone = phones[place]
    before = phones[place - 1] if place and not phone.starts_word else None
    after = phones[place + 1] if place + 1 < len(phones) and not phones[place + 1].starts_word else None
    return before, after


def parts_of(phones: Sequence[Phone], tongue: str, most: int) -> list[tuple[Phone, ...]]:
    """Cut into parts of at most ``most`` letters: after a pause if there is one in the second half, else between words, else
    between phones."""
    parts: list[tuple[Phone, ...]] = []
    rest = tuple(phones)
    while len(write(rest, tongue).text) > most:
        parts.append(rest[: (at := _cut(rest, tongue, most))])
        rest = rest[at:]
    return [*parts, rest] if rest or not parts else parts


def _cut(phones: Sequence[Phone], tongue: str, most: int) -> int:
    """How many phones the next part has; at least one."""
    fitting = count = 0
    for phone in phones:
        count += len(letters_of(phone, tongue)) + phone.starts_word
        if count > most:
            break
        fitting += 1
    half = fitting // 2
    after_pause = [place for place in range(half, fitting) if phones[place].symbol in PAUSES]
    if after_pause:
        return after_pause[-1] + 1
    words = [place for place in range(half, fitting + 1) if phones[place].starts_word]
    return max(1, words[-1] if words else fitting)

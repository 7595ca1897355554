"""Words: capitals and acronyms, Roman numerals, mixed case, letters with digits."""

import re

from server.text.languages.english import numbers
from server.text.languages.english.lexicon import english_lexicon
from server.text.languages.english.pronounce import is_listed
from server.text.normalize.numerals import roman
from server.text.normalize.source import WORD, Reading, Source
from server.text.normalize.tokens import Part

_SPELLED = frozenset(
    "US IT UK EU UN ID TV PC PM HR PR VP CEO CFO CTO COO FAQ FYI ATM DIY GPS USB URL API AC DC LA NY ER IQ EQ IP AR VR ML UI UX"
    " ABS AA AG BA BS MA MS ETA ISP ICU IRS VIP IV AD BC CE TA RA PA MD DM ADA LED SUV UAE USA IRA EDT AWS OS SEC MO".split()
)
"""Read letter by letter though a word is spelled alike."""

_REGNAL = frozenset(
    "henry louis elizabeth george edward richard charles james william paul benedict pius napoleon philip catherine alexander"
    " nicholas francis john gregory leo innocent clement frederick wilhelm ferdinand alfonso leopold mary gustav".split()
)
_NUMBERED = frozenset(
    "chapter part act scene volume book section war bowl phase type title stage level appendix article episode season grade"
    " class rocky world unit lesson figure table star mark".split()
)
_ROMAN = re.compile(r"[IVXLCDM]{1,9}(?![\w'])")
_ROMAN_ALONE = frozenset("II III IV VI VII VIII IX XI XII XIII XIV XVI XVII XVIII XIX XXI XXII XXIII XXIV XXV XXVI".split())
_MIXED = re.compile(r"(?=[^\W\d_]{1,24}\d|\d{1,12}[^\W\d_])[^\W_]{1,48}(?!\w)")
_RUNS = re.compile(r"\d+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
_VERSION = re.compile(r"[vV](\d{1,5}(?:\.\d{1,5}){0,6})(?![\w])")
_AMPERSAND = re.compile(r"([A-Z]{1,3})&([A-Z]{1,3})(?![A-Za-z])")
_PLURAL_ACRONYM = re.compile(r"([A-Z]{2,6})(?:'?s)(?![\w'])")
_CAMEL = re.compile(r"(?=[^\W\d_]*?[^\W\d_A-Z][A-Z])[^\W\d_]+")
_HYPHENATED = re.compile(rf"{WORD.pattern}(?:-{WORD.pattern}){{1,3}}(?![\w-])")


def letters(text: str) -> str:
    """ "FBI" as the letter names "F. B. I."."""
    return " ".join(f"{char.upper()}." for char in text)


def roman_numeral(source: Source, position: int) -> Reading | None:
    """``Chapter IV`` four, ``Henry VIII`` the eighth, ``World War II`` two."""
    found = _ROMAN.match(source.text, position)
    if not found:
        return None
    value = roman(found[0])
    previous = source.previous_word(position)
    if not value or source.shouting:
        return None
    if previous.lower() in _REGNAL and previous[:1].isupper() and found[0] != "I":
        return [(f"the {numbers.ordinal(str(value))}", position, found.end())], found.end()
    cued = previous.lower() in _NUMBERED and (previous[:1].isupper() or len(found[0]) > 1)
    if cued or (found[0] in _ROMAN_ALONE and found[0] not in _SPELLED):
        return [(numbers.cardinal(str(value)), position, found.end())], found.end()
    return None


def version_label(source: Source, position: int) -> Reading | None:
    """``v1.2``: version one point two."""
    found = _VERSION.match(source.text, position)
    if not found:
        return None
    phrase = "version " + " point ".join(numbers.cardinal(group) for group in found[1].split("."))
    return [(phrase, position, found.end())], found.end()


def mixed(source: Source, position: int) -> Reading | None:
    """Letters and digits in one token: ``A4``, ``B2B``, ``MP3``, ``F150``, ``4K``."""
    found = _MIXED.match(source.text, position)
    if not found:
        return None
    parts: list[Part] = []
    for run in _RUNS.finditer(found[0]):
        text = run[0]
        if text.isdecimal():
            after_letter = run.start() > 0
            if len(text) > 4:
                phrase = numbers.digits(text)
            else:
                phrase = numbers.pairs(text) if after_letter and text[0] != "0" else numbers.cardinal(text)
        elif len(text) == 1 or (text.isupper() and len(text) < 5):
            phrase = letters(text) if english_lexicon().acronym(text) is None or len(text) < 3 else text
        else:
            phrase = text
        parts.append((phrase, position + run.start(), position + run.end()))
    return parts, found.end()


def ampersand_name(source: Source, position: int) -> Reading | None:
    """``AT&T``, ``R&D``: letters on both sides."""
    found = _AMPERSAND.match(source.text, position)
    if not found:
        return None
    return [(f"{letters(found[1])} and {letters(found[2])}", position, found.end())], found.end()


def acronym(source: Source, position: int) -> Reading | None:
    """``FBI`` by letters, ``NASA`` as a word, ``TVs``; capitals that only shout stay words."""
    plural = _PLURAL_ACRONYM.match(source.text, position)
    if plural and not _is_word(plural[1]):
        return [(letters(plural[1]) + "'s", position, plural.end())], plural.end()
    found = WORD.match(source.text, position)
    if not found or len(found[0]) < 2 or not found[0].isupper():
        return None
    word, end = found[0], found.end()
    if "'" in word:
        return None
    if word in _SPELLED and not source.shouting:
        return [(letters(word), position, end)], end
    return [(_quiet(word), position, end)], end


def _is_word(capitals: str) -> bool:
    return capitals not in _SPELLED and (
        english_lexicon().acronym(capitals) is not None or english_lexicon().find(capitals.lower()) is not None
    )


def _quiet(word: str) -> str:
    """Capitals as they are if they are a word in small letters or long, else as letters."""
    if english_lexicon().find(word.lower()) is not None:
        return word
    return letters(word) if len(word) < 6 and word.isascii() else word


def camel_case(source: Source, position: int) -> Reading | None:
    """``GitHub``, ``OpenAI``: parts, unless the whole is listed (``YouTube``)."""
    found = _CAMEL.match(source.text, position)
    if not found or is_listed(found[0]):
        return None
    parts: list[Part] = []
    for run in _RUNS.finditer(found[0]):
        spelled = run[0].isupper() and (len(run[0]) > 1 and english_lexicon().acronym(run[0]) is None)
        parts.append((letters(run[0]) if spelled else run[0], position + run.start(), position + run.end()))
    return parts, found.end()


def word(source: Source, position: int) -> Reading | None:
    """A plain word; hyphenated ones stay whole when all parts are small letters or capitalised."""
    hyphenated = _HYPHENATED.match(source.text, position)
    if hyphenated and hyphenated.end() - position < 48:
        capitals = any(part.isupper() and len(part) > 1 for part in hyphenated[0].split("-"))
        if not capitals:
            return [(hyphenated[0], position, hyphenated.end())], hyphenated.end()
    found = WORD.match(source.text, position)
    return ([(found[0], position, found.end())], found.end()) if found else None

"""Abbreviations with a full stop: what they stand for, and whether a sentence may end there."""

import re

from server.text.languages.english.dates import MONTHS
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part

TITLES = {
    "Mr": "mister", "Mrs": "missus", "Ms": "miz", "Mx": "mix", "Dr": "doctor", "Prof": "professor", "Rev": "reverend",
    "Hon": "honorable", "Gov": "governor", "Sen": "senator", "Rep": "representative", "Pres": "president", "Gen": "general",
    "Col": "colonel", "Capt": "captain", "Cpt": "captain", "Lt": "lieutenant", "Sgt": "sergeant", "Cpl": "corporal",
    "Maj": "major", "Adm": "admiral", "Cmdr": "commander", "St": "saint", "Mt": "mount", "Ft": "fort", "Fr": "father",
    "Messrs": "messers", "Mme": "madam",
}  # fmt: skip
"""Before a name; no sentence ends after them."""

STREETS = {
    "St": "street", "Dr": "drive", "Ave": "avenue", "Av": "avenue", "Blvd": "boulevard", "Rd": "road", "Ln": "lane",
    "Ct": "court", "Pl": "place", "Hwy": "highway",
    "Pkwy": "parkway", "Sq": "square", "Apt": "apartment", "Ste": "suite", "Bldg": "building",
}  # fmt: skip

INSIDE = {
    "e.g": "for example", "i.e": "that is", "vs": "versus", "cf": "compare", "viz": "namely", "approx": "approximately",
    "incl": "including", "excl": "excluding", "esp": "especially", "w": "with",
}  # fmt: skip
"""In the middle of a sentence only."""

BEFORE_NUMBER = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "p": "page", "pp": "pages", "fig": "figure",
    "Fig": "figure", "figs": "figures", "Figs": "figures", "vol": "volume", "Vol": "volume", "ch": "chapter",
    "Ch": "chapter", "sec": "section", "Sec": "section", "eq": "equation", "Eq": "equation", "ext": "extension",
    "Ext": "extension", "Art": "article", "art": "article", "ca": "circa", "c": "circa", "v": "version", "Rm": "room",
}  # fmt: skip
"""Only where a number follows; else ordinary words ("No. I won't.")."""

MAY_END = {
    "etc": "etcetera", "Inc": "incorporated", "Corp": "corporation", "Ltd": "limited", "Co": "company", "Jr": "junior",
    "Sr": "senior", "Bros": "brothers", "Dept": "department", "dept": "department", "Univ": "university", "Assn": "association",
    "Ph.D": "P. H. D.", "Esq": "esquire", "al": "al", "misc": "miscellaneous", "temp": "temperature", "min": "minutes",
    "max": "maximum", "hr": "hour", "hrs": "hours", "tel": "telephone", "Tel": "telephone", "est": "established",
    "Est": "established", "mfg": "manufacturing", "govt": "government", "intl": "international",
}  # fmt: skip
"""May stand last in a sentence: the next word's capital decides."""

_ALSO_WORDS = frozenset("min max temp al est".split())
"""Abbreviations that are spelled like words."""

_DAYS = {name[:3]: name for name in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()} | {
    "Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday",
}  # fmt: skip
_MONTHS = {name[:3]: name for name in MONTHS if name != "May"} | {"Sept": "September"}
_DATED = _DAYS | _MONTHS
_NOT_SHORT_WITHOUT_STOP = frozenset("Sat Sun Wed Mar Jun Jan Thur Thurs Dec".split())

_ABBREVIATION = re.compile(r"(Ph\.D|[eE]\.g|[iI]\.e|[A-Za-z]{1,8})\.")
_DOTTED = re.compile(r"(?:[A-Za-z]\.){2,12}+(?:[A-Za-z](?![A-Za-z]))?")
_INITIAL = re.compile(r"[A-Z]\.(?=\s?[A-Z])")
_SHORT = {"w/o": "without", "w/": "with", "b/c": "because", "c/o": "care of", "n/a": "not applicable", "N/A": "not applicable"}
_SLASHED = re.compile(r"(?:w/o|w/|b/c|c/o|n/a|N/A)(?![A-Za-z/])")
_DIGIT_AFTER = re.compile(r"\s?#?\d")
_NAME_AFTER = re.compile(r"\s{0,2}[A-Z]")


_STARTERS = frozenset(
    "The A An He She It We They You I This That These Those There Here In On At My Our Your His Her Their Its But"
    " And So If When While After Before Then Now Please What Where Why How Who Which As For From With No Yes However"
    " Although Because Since Let Do Did Does Is Are Was Were Can Could Will Would Should Have Has Not Just One Some"
    " Many Most All Every Each Even Once Today Tomorrow Yesterday Meanwhile Finally First Next Later Also Still"
    " Perhaps Maybe Thanks Thank Sorry OK Okay Well Oh Nobody Everyone Someone Nothing Everything To By Of Or Until"
    " Unless Turn Take Call Come Go Get See Tell Ask".split()
)


def starts_sentence(word: str) -> bool:
    """Whether a capitalised word is one that opens sentences rather than a name."""
    return word.partition("'")[0] in _STARTERS


def never_ends_sentence(word: str) -> bool:
    """Whether a full stop after this word is never the end of a sentence."""
    return word in INSIDE or word.lower() in INSIDE or (word in TITLES and word not in STREETS)


def may_end_sentence(word: str) -> bool:
    """Whether the word after this abbreviation must be seen to know if the sentence ends."""
    known = word in MAY_END or word in STREETS or word in BEFORE_NUMBER or word in _DATED
    return known or (len(word) == 1 and word.isalpha() and word != "I") or _dotted(word)


def ends_before(word: str, next_word: str) -> bool:
    """Whether a sentence ends after "word." (one that `may_end_sentence`) when this word follows."""
    if word in BEFORE_NUMBER:
        return not next_word[0].isdecimal()
    if word == "etc" or word in _ALSO_WORDS:
        return next_word[0].isupper()
    return starts_sentence(next_word)


def _dotted(word: str) -> bool:
    return "." in word and all(len(piece) == 1 for piece in word.split("."))


def abbreviation(source: Source, position: int) -> Reading | None:
    """``Dr.`` by position, ``e.g.``, ``No. 5``, ``U.S.``, ``J. Smith``, ``w/o``."""
    slashed = _SLASHED.match(source.text, position)
    if slashed:
        return [(_SHORT[slashed[0]], position, slashed.end())], slashed.end()
    found = _ABBREVIATION.match(source.text, position)
    if found:
        phrase = _expanded(source, found[1], position, found.end())
        if phrase:
            return [(phrase, position, found.end())], found.end()
    dotted = _DOTTED.match(source.text, position)
    if dotted:
        parts: list[Part] = [
            (f"{char.upper()}.", position + index, position + index + 1) for index, char in enumerate(dotted[0]) if char != "."
        ]
        return parts, dotted.end()
    initial = _INITIAL.match(source.text, position)
    if initial and source.char(position) != "I":
        return [(initial[0], position, initial.end())], initial.end()
    return None


def _expanded(source: Source, word: str, position: int, end: int) -> str | None:
    if word in TITLES and word in STREETS:
        return _title_or_street(source, word, position, end)
    if word in BEFORE_NUMBER and _DIGIT_AFTER.match(source.text, end):
        return BEFORE_NUMBER[word]
    if word in ("min", "max", "temp", "al", "est", "Co", "w"):
        return _only_in_place(source, word, position, end)
    for table in (TITLES, STREETS, MAY_END, _DATED):
        if word in table:
            return table[word] if word not in _NOT_SHORT_WITHOUT_STOP or not _stop_ends(source, end) else None
    return INSIDE.get(word) or INSIDE.get(word.lower())


def _only_in_place(source: Source, word: str, position: int, end: int) -> str | None:
    previous = source.previous_word(position)
    if word == "al":
        return "al" if previous == "et" else None
    if word == "w":
        return None
    if word == "Co":
        return MAY_END[word] if previous[:1].isupper() or previous == "and" or source.text[:position].endswith("& ") else None
    return None if _stop_ends(source, end) else MAY_END[word]


def _stop_ends(source: Source, end: int) -> bool:
    return not source.text[end : end + 3].strip() or bool(_NAME_AFTER.match(source.text, end))


def _title_or_street(source: Source, word: str, position: int, end: int) -> str:
    """ "St. John" is a saint, "Elm St." and "5th St. West" a street; "Dr." alike."""
    if _NAME_AFTER.match(source.text, end) and not starts_sentence(source.next_word(end)):
        return STREETS[word] if _address_before(source, position) else TITLES[word]
    previous = source.previous_word(position)
    return STREETS[word] if previous[:1].isupper() or previous[:1].isdecimal() else TITLES[word]


_ADDRESS = re.compile(r"(?:\d{1,6}\w{0,2}\s(?:[A-Z][\w']*\s){0,3}|\d{1,3}(?:st|nd|rd|th)\s)$")


def _address_before(source: Source, position: int) -> bool:
    return bool(_ADDRESS.search(source.text[max(0, position - 60) : position]))

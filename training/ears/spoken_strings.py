"""Numbers, spelled strings, addresses and times as people say them, in words."""

from collections.abc import Callable, Sequence

import numpy as np
from num2words import num2words

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NATO = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november "
    "oscar papa quebec romeo sierra tango uniform victor whiskey x-ray yankee zulu"
).split()
_DOMAINS = ("gmail", "outlook", "yahoo", "example", "proton mail", "icloud", "hotmail", "company", "mail", "web")
_ENDINGS = ("com", "com", "com", "org", "net", "co dot u k", "d e", "i o", "edu")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _digits(rng: np.random.Generator, count: int) -> str:
    return " ".join("oh" if d == 0 and rng.random() < 0.3 else _DIGITS[d] for d in rng.integers(0, 10, count))


def digits(rng: np.random.Generator, words: Sequence[str]) -> str:
    """Digit by digit: codes, account and telephone numbers."""
    before = _pick(rng, ("", "", "My number is ", "The code is ", "It's ", "Account ", "Order number ", "You can call "))
    if rng.random() < 0.4:
        return f"{before}{_digits(rng, 3)}, {_digits(rng, 3)}, {_digits(rng, 4)}."
    return f"{before}{_digits(rng, int(rng.integers(1, 11)))}."


def number(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A number as a whole, alone or as an amount."""
    spoken = num2words(int(10 ** rng.uniform(0.3, 5)))
    before = _pick(rng, ("", "It costs ", "There were ", "We counted ", "My number is ", "In ", "About "))
    after = _pick(rng, ("", " dollars", " people", " miles", " percent", " years", " pounds", " euros and fifty cents"))
    return f"{before}{spoken}{after}."


def spelling(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A word or a code letter by letter, some with the spelling alphabet."""
    if rng.random() < 0.5:
        word = _pick(rng, words)
        letters = " ".join(word.replace("'", "").upper())
        return _pick(rng, (f"{letters}.", f"{word}, {letters}.", f"That's {letters}.", f"It is spelled {letters}."))
    picked = rng.integers(0, 26, int(rng.integers(2, 7)))
    if rng.random() < 0.4:
        return ", ".join(f"{_LETTERS[k]} as in {_NATO[k]}" for k in picked[:3]) + "."
    if rng.random() < 0.3:
        return " ".join(_NATO[k] for k in picked) + "."
    parts = [_LETTERS[k] if rng.random() < 0.7 else _DIGITS[k % 10] for k in picked]
    return " ".join(parts) + "."


def email(rng: np.random.Generator, words: Sequence[str]) -> str:
    """An e-mail or web address."""
    domain, ending = _pick(rng, _DOMAINS), _pick(rng, _ENDINGS)
    if rng.random() < 0.25:
        return f"{_pick(rng, ('Go to ', 'See ', 'It is at ', ''))}www dot {_pick(rng, words)} dot {ending}."
    local = _pick(rng, words)
    if rng.random() < 0.6:
        local += _pick(rng, (" dot ", " underscore ", " dash ", " ")) + _pick(rng, words)
    if rng.random() < 0.3:
        local += f" {_digits(rng, int(rng.integers(1, 4)))}"
    before = _pick(rng, ("", "", "My e-mail is ", "You can write to ", "Send it to ", "It's "))
    return f"{before}{local} at {domain} dot {ending}."


def time(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A time of day or a date."""
    if rng.random() < 0.5:
        hour, minute = int(rng.integers(1, 13)), int(rng.integers(0, 60))
        minutes = "" if minute == 0 else f" oh {num2words(minute)}" if minute < 10 else f" {num2words(minute)}"
        half = _pick(rng, ("", " A M", " P M", " in the morning", " in the evening", " o'clock" if minute == 0 else ""))
        return f"{_pick(rng, ('', 'At ', 'It starts at ', 'Call me at '))}{num2words(hour)}{minutes}{half}."
    day = num2words(int(rng.integers(1, 32)), to="ordinal")
    year = num2words(int(rng.integers(1900, 2031)), to="year")
    date = f"{_pick(rng, _MONTHS)} {day}" if rng.random() < 0.6 else f"the {day} of {_pick(rng, _MONTHS)}"
    return f"{_pick(rng, ('', 'On ', 'By ', 'I was born on '))}{date}{_pick(rng, ('', f', {year}'))}."


KINDS: tuple[Callable[[np.random.Generator, Sequence[str]], str], ...] = (digits, number, spelling, email, time)


def spoken_string(rng: np.random.Generator, words: Sequence[str]) -> str:
    """One of any kind; ``words`` (lower case) fill addresses and spellings."""
    text = KINDS[int(rng.integers(len(KINDS)))](rng, words)
    return text[0].upper() + text[1:]

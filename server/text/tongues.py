"""Everything the front end does by language, in one record per language."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from server.text import boundaries, phonemes
from server.text.boundaries import Boundaries, boundaries_of
from server.text.languages.english.british import pronounce_words_in_britain
from server.text.languages.english.lexicon import english_lexicon
from server.text.languages.english.pronounce import pronounce_words
from server.text.languages.english.rules import english_normalizer
from server.text.languages.language import Language
from server.text.languages.registry import LANGUAGES
from server.text.letter_to_sound import letter_to_sound
from server.text.normalize.normalizer import Normalizer
from server.text.normalize.rules import normalizer_of
from server.text.phonemes import Inventory, inventory_of
from server.text.pronouncer import pronouncer_of
from server.text.pronunciation import Pronunciation
from server.text.spelling import ENGLISH_SIGNS, SpokenSigns

TONGUES = ("en", "en-GB", *LANGUAGES)
"""What has a front end: ISO 639-1 codes, ``en`` for American English, and British English."""


@dataclass(frozen=True, slots=True, eq=False)
class Tongue:
    """One language as the front end uses it. Safe to share between threads."""

    code: str
    normalizer: Callable[[str], Normalizer]
    """By the request's ``normalization``: auto, off or a locale."""
    pronounce_words: Callable[[Sequence[str]], list[Pronunciation]]
    signs: SpokenSigns
    boundaries: Boundaries
    inventory: Inventory


@cache
def tongue_of(code: str) -> Tongue:
    """Loads what the language needs, once per process. KeyError for a code that is not in `TONGUES`."""
    return _english(code) if code.startswith("en") else _other(LANGUAGES[code])


def _english(code: str) -> Tongue:
    english_lexicon()
    letter_to_sound("en")
    british = code == "en-GB"
    month_first, elsewhere = english_normalizer(), english_normalizer(day_first=True)
    own = elsewhere if british else month_first
    normalizers: Mapping[str, Normalizer] = {
        "off": english_normalizer(minimal=True),
        **dict.fromkeys(("", "auto", "en"), own),
        "en-us": month_first,
    }

    def normalizer(normalization: str) -> Normalizer:
        """Locales other than ``en`` and ``en-US`` put the day first."""
        return normalizers.get(normalization.lower().replace("_", "-"), elsewhere)

    normalizer("auto").normalize("Ready on 1/2/2024 at 3:30pm for $1.")
    pronounce = pronounce_words_in_britain if british else pronounce_words
    pronounce(["ready"])
    inventory = phonemes.BRITISH if british else phonemes.ENGLISH
    return Tongue(code, normalizer, pronounce, ENGLISH_SIGNS, boundaries.ENGLISH, inventory)


def _other(language: Language) -> Tongue:
    signs = SpokenSigns({**language.web, **language.spelled_signs}, language.digits)
    normalizer_of(language).normalize("1.1.2024 1 €")
    return Tongue(
        language.code,
        lambda normalization: normalizer_of(language, normalization.lower() == "off"),
        pronouncer_of(language).pronounce_words,
        signs,
        boundaries_of(language),
        inventory_of(language),
    )

"""The words of a text with espeak-ng's pronunciations, and the small lexicon of those that a network gets wrong.

A word is said alone, but one that sentences say often enough is said in the way most common there:
function words are weak. Numbers and letters are added, held-out sentences left out.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from num2words import num2words

from models.phones import VOWELS
from server.text.languages.registry import LANGUAGES
from server.text.letter_to_sound import LetterToSound
from server.text.pronunciation import PhoneWithStress, Pronunciation
from training.espeak_phones import EspeakPhones
from training.sentences import held_out, load_sentences

ALPHABETS = {
    "de": "abcdefghijklmnopqrstuvwxyzäöüßéèàç",
    "es": "abcdefghijklmnopqrstuvwxyzáéíóúüñ",
    "fr": "abcdefghijklmnopqrstuvwxyzàâäæçéèêëîïôöœùûüÿ'",
    "it": "abcdefghijklmnopqrstuvwxyzàèéìíòóù'",
    "nl": "abcdefghijklmnopqrstuvwxyzáéëèïóöüú'",
    "pt": "abcdefghijklmnopqrstuvwxyzáàâãçéêíóôõúü",
}
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*'?")
_ELISION = re.compile(r"(?<=')")
_ELISION_BEFORE = {"fr": "ami", "it": "alba"}
"""Languages that split words at an apostrophe, and a word to hear what stands before it."""
_ENOUGH = {"de": 1, "es": 3, "fr": 3, "it": 3, "nl": 1, "pt": 3}
"""How often sentences have to say a word that its neighbours may change. German nouns need their capital letter, which
only sentences have."""
_MAKES_LIAISON = frozenset("aeiouyhàâéèêëîïôœûù")
_WHOLE = frozenset(("aujourd'hui",))
_LETTER_NAMES = {("es", "y"): "i griega", ("fr", "y"): "i grec", ("nl", "s"): "es", ("nl", "u"): "uu", ("it", "j"): "i lunga"}
"""Where espeak-ng reads a lone letter as something else than its name."""
_COUNTED_IN_WORDS = (*range(101), 200, 300, 400, 500, 600, 700, 800, 900, 1000, 2000, 10**6, 2 * 10**6, 10**9)


@dataclass(frozen=True, slots=True)
class Words:
    """A language's words, the names of its letters, its hyphenated numbers."""

    spellings: Mapping[str, Pronunciation]
    letters: Mapping[str, Pronunciation]
    numerals: Mapping[str, Pronunciation]
    """Those with hyphens, which letter-to-sound would read part by part."""


def gather_words(text_folder: Path, language: str) -> Words:
    """All words of ``sentences.<language>.txt`` that its alphabet can write, with pronunciations."""
    espeak = EspeakPhones()
    said: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
    alone: set[str] = set()
    texts = (sentence for sentence in load_sentences(text_folder, language) if not held_out(sentence))
    for sentence in (*texts, *_numbers(language)):
        words = [word.lower() for word in _WORD.findall(sentence)]
        clauses = espeak.pronounce(sentence, language) if not any(char.isdecimal() for char in sentence) else None
        spoken = [word for clause in clauses for word in clause.words] if clauses else []
        if len(spoken) == len(words):
            for index, (word, phones) in enumerate(zip(words, spoken, strict=True)):
                if language != "fr" or (words[index + 1 : index + 2] and words[index + 1][0] not in _MAKES_LIAISON):
                    said[word][phones] += 1
        alone.update(piece for word in words for piece in _pieces(word, language))
    spellings: dict[str, Pronunciation] = {}
    for word in sorted(alone):
        if set(word) <= set(ALPHABETS[language]):
            found, times = said[word].most_common(1)[0] if word in said else (None, 0)
            if times < _ENOUGH[language]:
                found = _alone(espeak, word, language) or found
            if found and (word.endswith("'") or any(phone.symbol in VOWELS for phone in found)):
                spellings[word] = found
    letters = {letter: _letter_name(espeak, letter, language) for letter in ALPHABETS[language] if letter != "'"}
    hyphenated = {word for number in range(100) for word in num2words(number, lang=language).split() if "-" in word}
    numerals = {word: phones for word in sorted(hyphenated) if (phones := _numeral(espeak, word, language))}
    return Words(spellings, letters, numerals)


def _pieces(word: str, language: str) -> list[str]:
    """What is looked up for a word: "l'homme" is "l'" and "homme"."""
    return [word] if language not in _ELISION_BEFORE or word in _WHOLE else [piece for piece in _ELISION.split(word) if piece]


def _numbers(language: str) -> Iterator[str]:
    rng = random.Random(0)
    for number in (*_COUNTED_IN_WORDS, *(rng.randrange(101, 1_000_000) for _ in range(600)), *range(1400, 2060, 3)):
        yield num2words(number, lang=language)
        if number < 2060:
            yield num2words(number, lang=language, to="ordinal")


def _alone(espeak: EspeakPhones, word: str, language: str) -> Pronunciation | None:
    if word.endswith("'") and language in _ELISION_BEFORE:
        vowel_first = _ELISION_BEFORE[language]
        both, rest = _alone(espeak, word + vowel_first, language), _alone(espeak, vowel_first, language)
        return both[: -len(rest)] if both and rest else None
    clauses = espeak.pronounce(word, language)
    return clauses[0].words[0] if clauses and len(clauses) == 1 and len(clauses[0].words) == 1 else None


def _numeral(espeak: EspeakPhones, text: str, language: str) -> Pronunciation:
    """All that is said for it before another word ("dix-six" without its last s); the t of "quatre-vingt-un" is silent."""
    spoken = [word for clause in espeak.pronounce(f"{text} grammes", language) or [] for word in clause.words]
    phones = [phone for word in spoken[:-1] for phone in word]
    place = next((place for place, phone in enumerate(phones) if phone.symbol == "ɛ̃"), len(phones))
    silent = text.startswith("quatre-vingt-") and text != "quatre-vingt-treize"
    if silent and phones[place + 1 : place + 2] == [PhoneWithStress("t")]:
        del phones[place + 1]
    return tuple(phones)


def _letter_name(espeak: EspeakPhones, letter: str, language: str) -> Pronunciation:
    """With its stress, which espeak-ng leaves out where the letter is a word too."""
    clauses = espeak.pronounce(_LETTER_NAMES.get((language, letter), letter), language) or []
    phones = [phone for clause in clauses for word in clause.words for phone in word]
    vowels = [index for index, phone in enumerate(phones) if phone.symbol in VOWELS]
    if vowels and not any(phone.stress == 1 for phone in phones):
        phones[vowels[0]] = PhoneWithStress(phones[vowels[0]].symbol, 1)
    return tuple(phones)


def write_lexicon(path: Path, words: Words, network: LetterToSound, language: str) -> int:
    """Write what the network and the language's rules get wrong, and the letters' names as ``a.``; gives the number of
    entries."""
    join = LANGUAGES[language].join
    wrong = {
        word: phones
        for word, phones in words.spellings.items()
        if join([word], [network.pronounce(word)]) != join([word], [phones])
    }
    entries = wrong | dict(words.numerals) | {f"{letter}.": phones for letter, phones in words.letters.items()}
    shown = {word: " ".join(f"{phone.symbol}{phone.stress or ''}" for phone in phones) for word, phones in entries.items()}
    path.write_text("".join(f"{word}\t{shown[word]}\n" for word in sorted(shown)), encoding="utf-8")
    return len(entries)

"""Words to phones: lexicon, context rules, spelled letters, then letter-to-sound."""

from collections.abc import Sequence

from anyascii import anyascii

from models.phones import VOWELS
from server.text.languages.english.heteronyms import part_of_speech
from server.text.languages.english.lexicon import Lexicon, english_lexicon, phones_from_misaki
from server.text.letter_to_sound import letter_to_sound
from server.text.pronunciation import PhoneWithStress, Pronunciation

_LETTER_NAMES = {
    letter: phones_from_misaki(name)
    for letter, name in zip(
        "abcdefghijklmnopqrstuvwxyz",
        "ˈA bˈi sˈi dˈi ˈi ˈɛf ʤˈi ˈAʧ ˈI ʤˈA kˈA ˈɛl ˈɛm ˈɛn ˈO pˈi kjˈu ˈɑɹ ˈɛs tˈi jˈu vˈi dˈʌbəljˌu ˈɛks wˈI zˈi".split(),
        strict=True,
    )
}
_FIXED = {
    "a": "ə", "an": "ən", "i": "ˌI", "cannot": "kˈænˌɑt", "'em": "əm", "cartesia": "kɑɹtˈiʒə",
    "descant": "dˈɛskˌænt", "wifi": "wˈIfI", "iphone": "ˈIfOn", "ok": "OkˈA", "app": "ˈæp",
}  # fmt: skip
_FIXED_PHONES = {word: phones_from_misaki(text) for word, text in _FIXED.items()}
_WEAK = {
    "the": {False: phones_from_misaki("ðə"), True: phones_from_misaki("ði")},
    "to": {False: phones_from_misaki("tə"), True: phones_from_misaki("tu")},
}
"""Words by whether a vowel follows."""
_VOWEL_LETTERS = frozenset("aeiouy")


def pronounce_words(words: Sequence[str]) -> list[Pronunciation]:
    """Phones of each word of one clause; neighbours decide heteronyms and "the", "to".

    Words are normalised: letters, apostrophes, hyphens. A letter with a full stop
    (``A.``) is the letter's name. Never fails: what cannot be spoken (no letter
    in it) gives an empty pronunciation.
    """
    lexicon = english_lexicon()
    cleaned = [_plain_letters(word) for word in words]
    phones = [_pronounce(lexicon, cleaned, index) for index in range(len(cleaned))]
    for index, word in enumerate(cleaned):
        weak = _WEAK.get(word.lower())
        if weak and phones[index]:
            following = next((after for after in phones[index + 1 :] if after), None)
            if word.lower() == "to" and following is None:
                phones[index] = weak[True]
            else:
                phones[index] = weak[following is not None and following[0].symbol in VOWELS]
    return phones


def _plain_letters(word: str) -> str:
    """ASCII letters for any script: café becomes cafe, Москва Moskva; curly apostrophes straight."""
    return word if word.isascii() else anyascii(word.replace("’", "'"))


def is_listed(word: str) -> bool:
    """Whether the pronunciation is known, not composed or guessed."""
    return word.lower() in _FIXED_PHONES or english_lexicon().find(word) is not None


def is_fixed(word: str) -> bool:
    """Whether a rule of this file says it, whatever a lexicon has."""
    return word.lower() in _FIXED_PHONES or word.lower() in _WEAK


def _pronounce(lexicon: Lexicon, words: Sequence[str], index: int) -> Pronunciation:
    word = words[index]
    if len(word) == 2 and word[1] == "." and word[0].lower() in _LETTER_NAMES:
        return _LETTER_NAMES[word[0].lower()]
    if word == "I":
        return _FIXED_PHONES["i"]
    fixed = _FIXED_PHONES.get(word.lower())
    if fixed and word != "i":
        return fixed
    if not lexicon.has_variants(word):
        return lexicon.find(word) or _compose(lexicon, word)
    found = lexicon.find(word, part_of_speech(words, index))
    if index + 1 == len(words) and found == lexicon.find(word):
        found = lexicon.find(word, "FINAL")
    return found or _compose(lexicon, word)


def _compose(lexicon: Lexicon, word: str) -> Pronunciation:
    """Unlisted words: parts at hyphens, possessives, compounds, spelled letters, letter-to-sound."""
    if "-" in word:
        parts = [part for part in word.split("-") if part]
        return tuple(phone for sounds in pronounce_words(parts) for phone in sounds)
    letters = "".join(char for char in word if char.isalpha())
    if not letters:
        return ()
    base, _, ending = word.rpartition("'")
    if base and ending.lower() in _CLITICS:
        return attach_clitic(_pronounce(lexicon, [base], 0), ending.lower())
    ascii_letters = [char for char in letters.lower() if char in _LETTER_NAMES]
    unspeakable = not _VOWEL_LETTERS & set(ascii_letters)
    if len(letters) < 6 and (len(letters) == 1 or letters.isupper() or unspeakable):
        return tuple(phone for char in ascii_letters for phone in _LETTER_NAMES[char])
    compound = _compound(lexicon, letters.lower())
    return compound or letter_to_sound("en").pronounce(letters.lower())


def _compound(lexicon: Lexicon, word: str) -> Pronunciation | None:
    """Two listed words written as one, each of at least four letters: "voicebank"."""
    if len(word) > MAX_COMPOUND_LETTERS:
        return None
    for split in range(len(word) - 4, 3, -1):
        first, second = lexicon.find(word[:split]), lexicon.find(word[split:])
        if first and second:
            return (*first, *(_demoted(phone) for phone in second))
    return None


def _demoted(phone: PhoneWithStress) -> PhoneWithStress:
    return PhoneWithStress(phone.symbol, 2) if phone.stress == 1 else phone


MAX_COMPOUND_LETTERS = 24

_CLITICS = frozenset(("s", "d", "ll", "ve", "re", "m", "t", ""))


def attach_clitic(base: Pronunciation, clitic: str) -> Pronunciation:
    """A word with a clitic ("s", "d", "ll", "ve", "re", "m", "t" or none) after its apostrophe."""
    if not base or not clitic:
        return base
    last = base[-1].symbol
    if clitic == "s":
        if last in ("s", "z", "ʃ", "ʒ", "tʃ", "dʒ"):
            return (*base, PhoneWithStress("ɪ"), PhoneWithStress("z"))
        return (*base, PhoneWithStress("s" if last in ("p", "t", "k", "f", "θ") else "z"))
    if clitic == "d":
        return (*base, *phones_from_misaki("əd" if last in ("t", "d") else "d"))
    return (*base, *phones_from_misaki({"ll": "əl", "ve": "əv", "re": "əɹ", "m": "m", "t": "t"}[clitic]))

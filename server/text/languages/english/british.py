"""British English (the southern standard): words from the British list of misaki, others from their American sound.

What General American merges cannot be told apart again: of "father" and "bother", both ɑ there, the
rules take the commoner ɒ; the 150 000 words of the list are right.
"""

from collections.abc import Sequence

from models.phones import VOWELS
from server.text.languages.english.lexicon import british_lexicon, english_lexicon
from server.text.languages.english.pronounce import is_fixed, pronounce_words
from server.text.pronunciation import PhoneWithStress, Pronunciation

_BEFORE_R = {"ɑ": "ɑ", "ɔ": "ɔ", "oʊ": "ɔ", "ɪ": "ɪə", "i": "ɪə", "ɛ": "ɛə", "ʊ": "ʊə", "u": "ʊə"}
_ELSEWHERE = {"oʊ": "əʊ", "ɑ": "ɒ"}
_LINKING = ("r", "re")
_ZED = (PhoneWithStress("z"), PhoneWithStress("ɛ", 1), PhoneWithStress("d"))


def pronounce_words_in_britain(words: Sequence[str]) -> list[Pronunciation]:
    """Phones of each word of one clause, as `server.text.languages.english.pronounce.pronounce_words`; an r that is
    written sounds before a vowel."""
    lexicon = british_lexicon()
    phones: list[Pronunciation] = []
    for word, american in zip(words, pronounce_words(words), strict=True):
        if word.lower().rstrip(".") == "z":
            phones.append(_ZED)
            continue
        letters_only = len(word) > 1 and "." not in word
        listed = letters_only and not is_fixed(word) and not english_lexicon().has_variants(word)
        phones.append((lexicon.find(word) if listed else None) or from_american(american))
    for index, (word, following) in enumerate(zip(words, phones[1:], strict=False)):
        spoken = phones[index]
        between_vowels = spoken and following and spoken[-1].symbol in VOWELS and following[0].symbol in VOWELS
        if between_vowels and word.lower().endswith(_LINKING):
            phones[index] = (*spoken, PhoneWithStress("ɹ"))
    return phones


def from_american(american: Pronunciation) -> Pronunciation:
    """Without the r that no vowel follows, and with the vowels of "goat", "lot", "nurse", "near", "square", "cure"
    and the end of "happy"."""
    phones: list[PhoneWithStress] = []
    taken = 0
    while taken < len(american):
        symbol, stress = american[taken]
        after = american[taken + 1].symbol if taken + 1 < len(american) else ""
        beyond = american[taken + 2].symbol if taken + 2 < len(american) else ""
        taken += 1
        if symbol == "ɚ":
            phones.append(PhoneWithStress("ɜ" if stress else "ə", stress))
            if after in VOWELS:
                phones.append(PhoneWithStress("ɹ"))
        elif after == "ɹ" and symbol in _BEFORE_R and beyond not in VOWELS:
            phones.append(PhoneWithStress(_BEFORE_R[symbol], stress))
            taken += 1
        elif symbol == "i" and not stress:
            phones.append(PhoneWithStress("ɪ"))
        elif symbol != "ɹ" or after in VOWELS:
            phones.append(PhoneWithStress(_ELSEWHERE.get(symbol, symbol), stress))
    return tuple(phones)

"""The phone inventory that the text front end writes and the voices read.

Symbols are IPA; English uses one symbol per phoneme of General American, so
that the 39 ARPABET phonemes of CMUdict plus schwa map one to one. British English
and the other languages share these and add to them; a vowel is one symbol whether
long or short, but for the pairs that length alone tells apart (a and aː, ɛ and ɛː).
"""

ARPABET_TO_IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ",
    "b": "b", "ch": "tʃ", "d": "d", "dh": "ð", "eh": "ɛ", "er": "ɚ", "ey": "eɪ",
    "f": "f", "g": "ɡ", "hh": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k",
    "l": "l", "m": "m", "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p",
    "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u",
    "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}  # fmt: skip

_FURTHER_VOWELS = (
    "a", "aː", "e", "ɛː", "o", "y", "ʏ", "ø", "œ", "ɐ", "ɑ̃", "ɛ̃", "ɔ̃", "œ̃", "ɐ̃", "ɐ̃ʊ̃", "õ", "ũ", "œy",
    "ɒ", "ɜ", "əʊ", "ɪə", "ɛə", "ʊə",
)  # fmt: skip
_FURTHER_CONSONANTS = ("ʁ", "r", "ɾ", "x", "ç", "ɲ", "ʎ", "β", "ɣ", "ʝ", "ʋ", "ts", "dz")

VOWELS = frozenset(["ɑ", "æ", "ʌ", "ɔ", "aʊ", "ə", "aɪ", "ɛ", "ɚ", "eɪ", "ɪ", "i", "oʊ", "ɔɪ", "ʊ", "u", *_FURTHER_VOWELS])

PAUSES = ("_", ",", ".", "?", "!")
"""Silences. ``_`` is a plain pause (utterance edge, ``<break>``); the others are
the pause a punctuation mark makes, and tell the model how the clause before it ends."""

PHONES = (*PAUSES, *ARPABET_TO_IPA.values(), *_FURTHER_VOWELS, *_FURTHER_CONSONANTS)
"""Every symbol; a model's embedding row is the index into this tuple. Append only."""

"""Phones written as text, in IPA and as the Montreal Forced Aligner writes them, come back as they were."""

from itertools import pairwise

import pytest

from server.text.languages.english.lexicon import english_lexicon
from server.text.phonemes import parse_phonemes
from server.text.pronunciation import PhoneWithStress, Pronunciation

WORDS = (
    "cartesia hello joyful vision church judge thought this singing bird further about power player oil measure "
    "yes wash queue extra strength understanding photography responsibility battlefield onion"
).split()
MFA = {
    "aɪ": "aj", "aʊ": "aw", "eɪ": "ej", "oʊ": "ow", "ɔɪ": "ɔj", "ɚ": "ɝ", "i": "iː", "u": "ʉː", "ɑ": "ɑː", "t": "tʰ",
    "p": "pʰ", "k": "kʰ", "d": "d̪", "l": "ɫ", "n": "nʲ",
}  # fmt: skip


def listed(word: str) -> Pronunciation:
    found = english_lexicon().find(word)
    if found is None:
        pytest.skip(f"{word} is not in the lexicon")
    return found


def in_ipa(phones: Pronunciation, between: str) -> str:
    marks = {0: "", 1: "ˈ", 2: "ˌ"}
    return between.join(marks[phone.stress] + phone.symbol for phone in phones)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("between", ["|", ""])
def test_ipa_comes_back(word: str, between: str) -> None:
    phones = listed(word)
    if not between and any(a.symbol + b.symbol in ("tʃ", "dʒ", "ɪə", "əɹ") for a, b in pairwise(phones)):
        pytest.skip("two phones that look like one without a border")
    parsed = parse_phonemes(in_ipa(phones, between))
    assert parsed.unknown == ()
    assert [phone.symbol for phone in parsed.phones] == [phone.symbol for phone in phones]
    if any(phone.stress for phone in phones):
        assert parsed.phones == phones


@pytest.mark.parametrize("word", WORDS)
def test_mfa_symbols_come_back(word: str) -> None:
    """They carry no stress: the first full vowel gets it."""
    phones = listed(word)
    parsed = parse_phonemes("|".join(MFA.get(phone.symbol, phone.symbol) for phone in phones))
    assert parsed.unknown == ()
    assert [phone.symbol for phone in parsed.phones] == [phone.symbol for phone in phones]
    assert sum(phone.stress == 1 for phone in parsed.phones) == 1


def test_the_weak_vowel_of_mfa() -> None:
    assert parse_phonemes("kʰ|ɑ|ɹ|tʲ|i|ʒ|ɐ").phones[-1] == PhoneWithStress("ə")

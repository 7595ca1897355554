"""Our front end's phones in Kokoro's alphabet."""

import pytest

from benchmarks.real.kokoro import letters_of
from models.phones import ARPABET_TO_IPA
from models.speech import Phone
from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Joyful chairs.", "ʤˈYfəl ʧˈɛɹz."),
        ("The bird heard her weather, now.", "ðə bˈɜɹd hˈɜɹd həɹ wˈɛðəɹ, nˈW."),
        ("May I go?", "mˈA ˌI ɡˌO?"),
    ],
)
def test_letters(text: str, letters: str) -> None:
    stream = TextFrontEnd(("en",)).open(Controls())
    stream.push(text)
    phones = [phone for segment in stream.take(Take.END) for phone in segment.utterance.phones]
    assert letters_of(phones) == letters


def test_every_english_phone_becomes_single_letters_that_kokoro_knows() -> None:
    known = "!,.? AIOWYbdfhijklmnpstuvwzæðŋɑɔəɛɜɡɪɹʃʊʌʒʤʧθˈˌ"
    """Those of its vocabulary, which has more for other languages."""
    for symbol in (*ARPABET_TO_IPA.values(), "_", ",", ".", "?", "!"):
        for stress in range(3):
            assert set(letters_of([Phone(symbol, stress, 0, starts_word=True)])) <= set(known)

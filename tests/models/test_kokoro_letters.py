"""Our phones in Kokoro's letters."""

import pytest

from models.kokoro.letters import letters_of, parts_of, write
from models.kokoro.vocabulary import VOCABULARY
from models.phones import PHONES
from models.speech import Phone
from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd


def phones_of(text: str, tongue: str) -> list[Phone]:
    stream = TextFrontEnd((tongue,)).open(Controls(), language=tongue)
    stream.push(text)
    return [phone for segment in stream.take(Take.END) for phone in segment.utterance.phones]


@pytest.mark.parametrize(
    ("tongue", "text", "letters"),
    [
        ("en", "Joyful chairs.", "ʤˈYfəl ʧˈɛɹz."),
        ("en", "The bird heard her weather, now.", "ðə bˈɜɹd hˈɜɹd həɹ wˈɛðəɹ, nˈW."),
        ("en-GB", "The bird, a goat, this house.", "ðə bˈɜːd, ə ɡˈQt, ðɪs hˈWs."),
        ("es", "¿Hay un perro?", "ˈI ˈum pˈero?"),
        ("fr", "Du pain.", "dy pˈɛ\u0303."),
        ("fr", "L'homme qu'il aime.", "lˈɔm kil ˈɛm."),
        ("it", "La pizza!", "la pˈiʦːa!"),
        ("it", "Il gatto rosso dell'amico.", "il ɡˈatːo rˈoSo dell amˈiko."),
        ("it", "Una bella terra.", "ˌuna bˈɛlla tˈɛrɾa."),
    ],
)
def test_letters(tongue: str, text: str, letters: str) -> None:
    assert write(phones_of(text, tongue), tongue).text == letters


@pytest.mark.parametrize("tongue", ["en", "en-GB", "es", "fr", "it"])
def test_every_phone_is_written_in_symbols_that_kokoro_knows(tongue: str) -> None:
    for symbol in PHONES:
        for stress in range(3):
            assert set(letters_of(Phone(symbol, stress), tongue)) <= VOCABULARY.keys()


def test_each_letter_belongs_to_a_phone_or_to_two() -> None:
    phones = [
        Phone("_", duration_ms=20.0), Phone("m", word=0, starts_word=True), Phone("eɪ", 1, word=0),
        Phone("aɪ", 2, word=1, starts_word=True), Phone(","), Phone("ɡ", word=2, starts_word=True), Phone("ɚ", 1, word=2),
        Phone("."),
    ]  # fmt: skip
    written = write(phones, "en")
    assert written.text == "mˈA ˌI, ɡˈɜɹ."
    assert written.owners == (1, 2, 2, -1, 3, 3, 4, 4, 5, 6, 6, 6, 7)


def test_long_utterances_are_split_and_nothing_is_lost() -> None:
    words = [Phone("ɑ", 1, word, starts_word=True) for word in range(40)]
    phones = (*words[:15], Phone(","), *words[15:], Phone("."))
    parts = parts_of(phones, "en", 60)
    assert [phone for part in parts for phone in part] == list(phones)
    assert all(len(write(part, "en").text) <= 60 for part in parts)
    assert parts[0][-1].symbol == ","
    assert parts[1][0].starts_word
    one_word = tuple(Phone("ɑ", 1, 0, starts_word=place == 0) for place in range(50))
    assert [len(part) for part in parts_of(one_word, "en", 30)] == [14, 15, 15, 6]
    assert parts_of((), "en", 30) == [()]

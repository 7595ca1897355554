"""The English normaliser against golden cases, and what must hold for any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.requests.speech import Pronunciations, Replacement
from server.text.languages.english.rules import english_normalizer
from server.text.normalize.normalizer import Normalizer
from server.text.normalize.replacements import Replacements
from server.text.normalize.tokens import PauseMark, SpokenToken
from tests.server.text.normalizer_cases import CASES

NORMALIZER = english_normalizer()


def spoken(text: str, normalizer: Normalizer = NORMALIZER) -> str:
    return " ".join(token.symbol if isinstance(token, PauseMark) else token.text for token in normalizer.normalize(text))


@pytest.mark.parametrize(
    ("written", "expected"), [pytest.param(*case, id=f"{kind}: {case[0]}") for kind, cases in CASES.items() for case in cases]
)
def test_golden(written: str, expected: str) -> None:
    assert spoken(written) == expected


def test_there_are_many_golden_cases() -> None:
    assert sum(map(len, CASES.values())) >= 200


@pytest.mark.parametrize(
    ("written", "word", "source"),
    [
        ("It costs $3.50 now", "dollars", "$3.50"),
        ("It costs $2.5 million now", "point", "$2.5"),
        ("It costs $2.5 million now", "dollars", "million"),
        ("on 5 May 2024", "fifth", "5"),
        ("on 5 May 2024", "May", "May"),
        ("on 5 May 2024", "twenty-four", "2024"),
        ("weighs 5 kg", "kilograms", "kg"),
        ("Dr. Smith", "doctor", "Dr."),
        ("at 9 a.m. EST", "S", "EST"),
        ("2 1/2 cups", "half", "1/2"),
    ],
)
def test_spoken_words_point_to_the_written_word(written: str, word: str, source: str) -> None:
    token = next(token for token in NORMALIZER.normalize(written) if isinstance(token, SpokenToken) and token.text == word)
    start = written.rfind(" ", 0, token.start + 1) + 1
    assert written[start:].split()[0] == source


MIXED = st.lists(
    st.one_of(
        st.text(max_size=6),
        st.sampled_from([case[0] for cases in CASES.values() for case in cases]),
        st.sampled_from([" ", ". ", ", ", "-", "/", "$", "%", "'", "\n", ":", "@", "#", "1", "23", "a.", "St. "]),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(MIXED, st.booleans())
def test_any_text_gives_ordered_spans_inside_it(text: str, minimal: bool) -> None:
    normalizer = english_normalizer(minimal=minimal)
    last = 0
    for token in normalizer.normalize(text):
        if isinstance(token, PauseMark):
            assert 0 <= token.position < len(text)
            assert token.symbol in (",", ".", "?", "!")
            continue
        assert last <= token.start < token.end <= len(text)
        assert token.text.strip()
        assert " " not in token.say
        assert not any(char.isdigit() and char.isascii() for char in token.say), "digits must have become words"
        last = token.start


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["apple", "Banana", "house", "tree", "walks", "slowly"]), min_size=1, max_size=12))
def test_plain_words_pass_unchanged(words: list[str]) -> None:
    assert spoken(" ".join(words)) == " ".join(words)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Dr. Smith owes $3.50", "Dr . Smith owes three point five zero"),
        ("5 May 2024", "five May two thousand twenty-four"),
        ("FBI & co", "FBI co"),
        ("Well, yes!", "Well , yes !"),
    ],
)
def test_normalization_off_says_only_what_it_must(written: str, expected: str) -> None:
    assert spoken(written, english_normalizer(minimal=True)) == expected


def test_other_locales_put_the_day_first() -> None:
    assert spoken("05/12/2024", english_normalizer(day_first=True)) == "December fifth twenty twenty-four"


REPLACEMENTS = Replacements(
    Pronunciations(
        (
            Replacement("Descant", "<<d|ˈɛ|s|k|æ|n|t>>"),
            Replacement("sql", "sequel"),
            Replacement("New York", "the big apple"),
            Replacement("York", "yorick"),
            Replacement("polish", "shine", case_sensitive=True),
            Replacement("gb", "5 gigs"),
            Replacement("Nguyen", "win"),
            Replacement("GIF", "ˈdʒɪf"),
            Replacement("gif", "with a g", case_sensitive=True),
            Replacement("C++", "see plus plus"),
        )
    )
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Try DESCANT, now", "Try dɛskænt , now"),
        ("SQL and sql.", "sequel and sequel ."),
        ("mysql stays", "mysql stays"),
        ("New York, York", "the big apple , yorick"),
        ("polish Polish POLISH", "shine shine POLISH"),
        ("one GB!", "one five gigs !"),
        ("Nguyen's dog, Nguyens", "win's dog , Nguyens"),
        ("GIF GIF's gif Gif gifs", "dʒɪf dʒɪf's with a g with a g gifs"),
        ("C++11 C++", "see plus plus eleven see plus plus"),
    ],
)
def test_replacements(written: str, expected: str) -> None:
    tokens = NORMALIZER.normalize(written, REPLACEMENTS)
    assert " ".join(token.symbol if isinstance(token, PauseMark) else token.text for token in tokens) == expected


def test_replaced_words_keep_the_span_of_the_written_ones() -> None:
    tokens = NORMALIZER.normalize("in New York now", REPLACEMENTS)
    spans = [(token.text, token.start, token.end) for token in tokens if isinstance(token, SpokenToken)]
    assert spans == [("in", 0, 2), ("the", 3, 11), ("big", 3, 11), ("apple", 3, 11), ("now", 12, 15)]

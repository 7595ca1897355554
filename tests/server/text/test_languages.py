"""The languages besides English: normaliser, pronunciation, sentence ends, markup."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.phones import PAUSES, PHONES, VOWELS
from server.errors import InvalidRequest
from server.requests.speech import Controls, Pronunciations, Replacement
from server.text.frontend import Take, TextFrontEnd, TextSegment
from server.text.languages.registry import LANGUAGES
from server.text.letter_to_sound import letter_to_sound
from server.text.normalize.rules import normalizer_of
from server.text.normalize.tokens import PauseMark
from server.text.phonemes import BRITISH, inventory_of, parse_phonemes
from server.text.pronouncer import pronouncer_of
from server.text.tongues import TONGUES
from tests.server.text.language_cases import NORMALIZED, PRONOUNCED

CODES = sorted(LANGUAGES)


@pytest.fixture(scope="module")
def polyglot() -> TextFrontEnd:
    return TextFrontEnd(TONGUES)


def speak(front_end: TextFrontEnd, language: str, text: str, take: Take = Take.END) -> list[TextSegment]:
    stream = front_end.open(Controls(), language=language)
    stream.push(text)
    return stream.take(take)


def shown(front_end: TextFrontEnd, language: str, text: str) -> str:
    phones = (p for segment in speak(front_end, language, text) for p in segment.utterance.phones if p.symbol not in PAUSES)
    return " ".join(f"{phone.symbol}{phone.stress or ''}" for phone in phones)


@pytest.mark.parametrize(("code", "written", "said"), NORMALIZED)
def test_written_as_said(code: str, written: str, said: str) -> None:
    tokens = normalizer_of(LANGUAGES[code]).normalize(written)
    assert " ".join(token.symbol if isinstance(token, PauseMark) else token.text for token in tokens) == said


@pytest.mark.parametrize("code", CODES)
def test_normalization_off_reads_numbers_only(code: str) -> None:
    tokens = normalizer_of(LANGUAGES[code], minimal=True).normalize("Dr 2024 USA")
    words = [token.text for token in tokens if not isinstance(token, PauseMark)]
    assert words == ["Dr", *LANGUAGES[code].cardinal("2024").split(), "USA"]


@pytest.mark.parametrize(("code", "text", "phones"), PRONOUNCED)
def test_words_in_phones(polyglot: TextFrontEnd, code: str, text: str, phones: str) -> None:
    assert shown(polyglot, code, text) == phones


@pytest.mark.parametrize("code", CODES)
def test_what_the_files_hold_is_of_the_inventory(code: str) -> None:
    pronouncer = pronouncer_of(LANGUAGES[code])
    for letter in "abcdefghijklmnopqrstuvwxyz":
        (name,) = pronouncer.pronounce_words([f"{letter.upper()}."])
        assert Counter(phone.stress for phone in name)[1] >= 1 or letter == "w", letter
    assert set(letter_to_sound(code).letters) >= set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize("code", CODES)
def test_all_that_the_normaliser_says_is_pronounced(polyglot: TextFrontEnd, code: str) -> None:
    language = LANGUAGES[code]
    phrases = [
        *language.months, *language.symbols.values(), *language.web.values(), *language.fractions.values(),
        *(noun.many for noun in language.units.values()), *(currency.whole.many for currency in language.currencies.values()),
        *language.abbreviations.never_end.values(), *language.abbreviations.may_end.values(),
    ]  # fmt: skip
    for phrase in phrases:
        assert shown(polyglot, code, phrase), phrase


@pytest.mark.parametrize(
    ("code", "text", "pieces"),
    [
        ("de", "Am 3. Mai kam Dr. Meier, z.B. um 9 Uhr. Danach ging er usw. Dann kam Nr. 5. Ende.", 4),
        ("de", "Er wohnt in der Hauptstr. 5. Sie auch.", 2),
        ("es", "El Sr. Gómez llegó a EE.UU. Después se fue. ¿Y tú? Sí.", 4),
        ("fr", "M. Dupont est là. Il habite 5 av. Foch, etc. Puis il part !", 3),
        ("it", "Il Sig. Rossi arriva. Poi va a casa, ecc. Dopo dorme.", 3),
    ],
)
def test_sentences_end_where_they_end(polyglot: TextFrontEnd, code: str, text: str, pieces: int) -> None:
    assert len(speak(polyglot, code, text)) == pieces


@pytest.mark.parametrize(
    ("code", "written", "phones"),
    [
        ("fr", "b|ɔ̃|ʒ|u|ʁ", "b ɔ̃1 ʒ u ʁ"),
        ("fr", "ʀ|y", "ʁ y1"),
        ("de", "ˈʃtʁaːsə", "ʃ t ʁ aː1 s ə"),
        ("de", "r|iː|ç|t", "ʁ i1 ç t"),
        ("es", "n|ˈi|ɲ|o", "n i1 ɲ o"),
        ("it", "ˈdzɛro", "dz ɛ1 r o"),
    ],
)
def test_phones_of_the_language_in_markup(polyglot: TextFrontEnd, code: str, written: str, phones: str) -> None:
    assert shown(polyglot, code, f"<<{written}>>") == phones


@pytest.mark.parametrize("code", CODES)
def test_every_phone_can_be_written(code: str) -> None:
    language = LANGUAGES[code]
    for symbol in set(PHONES) - set(PAUSES) - NEVER_TAUGHT:
        parsed = parse_phonemes(symbol, inventory_of(language))
        assert not parsed.unknown
        assert [phone.symbol for phone in parsed.phones] == [language.nearest_phones.get(symbol, symbol)]


NEVER_TAUGHT = {"ɚ", "oʊ", "ɐ̃", "ɐ̃ʊ̃", "õ", "ũ", "œy", "ʋ", "ʊə"}


@pytest.mark.parametrize("code", CODES)
def test_no_way_of_writing_gives_a_phone_that_no_voice_has_learnt(code: str) -> None:
    inventory = inventory_of(LANGUAGES[code])
    given = {phone for phones in inventory.keys.values() for phone in phones}
    assert not given & NEVER_TAUGHT
    assert [phone.symbol for phone in parse_phonemes("OW1|ER0", inventory).phones] == ["o", "œ"]


def test_british_phones_can_be_written() -> None:
    phones = parse_phonemes("k|əʊ|d|ɒ|b|ɪə|OW1|ER0|nˈɜːs|R", BRITISH).phones
    assert [phone.symbol for phone in phones] == "k əʊ d ɒ b ɪə əʊ ə n ɜ s ɹ".split()
    assert not {phone for phones in BRITISH.keys.values() for phone in phones} & {"ɚ", "oʊ"}


def test_spelling_names_letters_and_signs(polyglot: TextFrontEnd) -> None:
    words = [word.text for segment in speak(polyglot, "de", "<spell>Aß3@</spell>") for word in segment.spoken]
    assert words == ["A", "ß", "drei", "ät"]


def test_pronunciations_reach_the_phones_of_a_language(polyglot: TextFrontEnd) -> None:
    entry = Replacement("Rhöntgen", "<<r|œ|n|t|ɡ|ə|n>>")
    stream = polyglot.open(Controls(), pronunciations=Pronunciations((entry,)), language="de")
    stream.push("Rhöntgen")
    assert [phone.symbol for phone in stream.take(Take.END)[0].utterance.phones][1:-1] == "ʁ œ n t ɡ ə n".split()


PIECES = [
    "hallo ", "Dr. ", "3,50 €", "12:30", "1er ", "3.º", "z.B. ", "l'", "<break time='1s'/>", "<spell>", "<<ʁ|a>>", "<", ". ",
    ", ", "Zürich ", "東京", "\n\n", "ZDF ", "x" * 30, "a@b.com ", "1/2 ", "? ", "¿", "Straße", "XIV", "5. ", "1.2.3", "½", "h",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(st.one_of(st.text(max_size=8), st.sampled_from(PIECES)), max_size=12).map("".join),
    code=st.sampled_from(CODES),
)
def test_whatever_the_text_segments_are_well_formed(polyglot: TextFrontEnd, text: str, code: str) -> None:
    try:
        segments = speak(polyglot, code, text)
    except InvalidRequest:  # it begins in another script
        letters = filter(str.isalpha, unicodedata.normalize("NFKC", text))
        assert not all(unicodedata.name(letter, "").startswith("LATIN ") for letter in letters)
        return
    for segment in segments:
        phones = segment.utterance.phones
        assert phones[-1].symbol in PAUSES
        for phone in phones:
            assert phone.symbol in PHONES
            assert phone.stress == 0 or phone.symbol in VOWELS
        assert [phone.word for phone in phones if phone.starts_word] == list(range(len(segment.spoken)))
        for word in segment.written:
            assert text[word.start_chars : word.end_chars] == word.text


LETTERS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzäöüßéèàçñùôœáíóúABCXYZ'-", min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(LETTERS.filter(lambda word: any(map(str.isalpha, word))), min_size=1, max_size=6),
    code=st.sampled_from(CODES),
)
def test_no_word_vanishes(polyglot: TextFrontEnd, words: list[str], code: str) -> None:
    heard = [written.text for segment in speak(polyglot, code, " ".join(words)) for written in segment.written]
    assert heard == words


@settings(max_examples=100, deadline=None)
@given(number=st.from_regex(r"-?[0-9]{1,9}([.,][0-9]{1,3})?", fullmatch=True), code=st.sampled_from(CODES))
def test_no_number_vanishes(polyglot: TextFrontEnd, number: str, code: str) -> None:
    spoken = [word for segment in speak(polyglot, code, number) for word in segment.spoken]
    assert spoken
    assert not any(char.isdecimal() for word in spoken for char in word.text)

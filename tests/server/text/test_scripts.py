"""Text in scripts that no language here is written in."""

import pytest

from server.errors import InvalidRequest
from server.requests.speech import Controls, Pronunciations, Replacement
from server.text.frontend import Take, TextFrontEnd
from server.text.scripts import is_foreign_word


@pytest.mark.parametrize("word", ["你好", "中", "Привет", "Ωμέγα", "مرحبا", "नमस्ते", "สวัสดี", "こんにちは", "안녕하세요"])
def test_words_of_other_scripts(word: str) -> None:
    assert is_foreign_word(word)


@pytest.mark.parametrize("word", ["hello", "Ärger", "café", "Ω", "µ", "ﬁne", "𝓗𝓮𝓵𝓵𝓸", "Ｈ", "ª", "42", "kΩ", "", "'"])
def test_words_and_signs_of_the_latin_script(word: str) -> None:
    assert not is_foreign_word(word)


@pytest.mark.parametrize("text", ["Привет, мир.", "今天是2024年。", "你好。 " * 50, "  안녕하세요"])
@pytest.mark.parametrize("mode", [Take.INPUT, Take.END])
def test_a_text_of_such_words_is_refused(front_end: TextFrontEnd, text: str, mode: Take) -> None:
    stream = front_end.open(Controls())
    stream.push(text)
    with pytest.raises(
        InvalidRequest, match=r"transcript: '\S.{0,40}' holds nothing .* 'en'; languages spoken here: .*en"
    ) as told:
        stream.take(mode)
    assert told.value.field == "transcript"


@pytest.mark.parametrize(
    "text",
    ["She said 你好 to me.", "Привет. Hello.", "R = 5 Ω.", "π ≈ 3.14.", "1984.", "<<h|ə|l|oʊ>> 你好.", "<break time='1s'/>"],
)
def test_a_text_with_something_to_say_is_spoken(front_end: TextFrontEnd, text: str) -> None:
    stream = front_end.open(Controls())
    stream.push(text)
    assert stream.take(Take.END)
    stream.check_end()


def test_a_dictionary_may_say_how_such_words_are_spoken(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls(), pronunciations=Pronunciations((Replacement("你好", "nee how"),)))
    stream.push("你好")
    (segment,) = stream.take(Take.END)
    assert [word.text for word in segment.spoken] == ["nee", "how"]


@pytest.mark.parametrize(
    ("text", "is_refused"), [("", False), (" \n", False), ("😀", True), ("?!", True), ("<speed ratio='1.5'/>", True)]
)
def test_a_text_without_words_is_refused_at_its_end(front_end: TextFrontEnd, text: str, is_refused: bool) -> None:
    stream = front_end.open(Controls())
    stream.push(text)
    assert stream.take(Take.END) == []
    if is_refused:
        with pytest.raises(InvalidRequest, match="holds nothing that can be spoken"):
            stream.check_end()
    else:
        stream.check_end()


def test_words_after_a_text_without_any_are_spoken(front_end: TextFrontEnd) -> None:
    stream = front_end.open(Controls())
    stream.push("😀")
    assert stream.take(Take.INPUT) == []
    stream.push(" Hello. ")
    assert stream.take(Take.END)
    stream.push("你好。")
    assert stream.take(Take.END)
    stream.check_end()

import pytest

from models.scripts import words_of
from server.engine.hearing.joins import Joins


def joined(*windows: str, language: str = "en") -> str:
    joins, text = Joins(), ""
    for window in windows:
        words = joins.continued(words_of(window), language)
        joins.write(words)
        text += "".join(words)
    return text


@pytest.mark.parametrize(
    ("windows", "text"),
    [
        (("And so my fellow Americans,", "Ask not what."), "And so my fellow Americans, ask not what."),
        (("We went home", "And then we slept."), "We went home and then we slept."),
        (("It was late.", "It was dark."), "It was late. It was dark."),
        (('He said "no."', "Then he left."), 'He said "no." Then he left.'),
        (("What I think", "I don't know."), "What I think I don't know."),
        (("He works for", "NASA now."), "He works for NASA now."),
        (("He drives a", "McLaren."), "He drives a McLaren."),
        (("I met John. Then, with John", "John left."), "I met John. Then, with John John left."),
        (("it was", "the worst"), "it was the worst"),
        (("first", "", "second"), "first second"),
        (("今日は", "いい天気。", "はい"), "今日はいい天気。はい"),
        (("สวัสดี", "ครับ"), "สวัสดีครับ"),
        (("그는 오늘", "집에 갔다."), "그는 오늘 집에 갔다."),
    ],
)
def test_windows_go_on_as_one_text(windows: tuple[str, ...], text: str) -> None:
    assert joined(*windows) == text


def test_german_nouns_keep_their_capitals() -> None:
    assert joined("Das ist ein", "Haus.", language="de") == "Das ist ein Haus."


def test_a_capital_behind_an_opening_mark_is_taken_back_as_well() -> None:
    assert joined("and he said,", "“Go on” twice") == "and he said, “go on” twice"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scripts import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Well, don't stop!", ["Well,", " don't", " stop!"]),
        ('He said "no (never)".', ["He", " said", ' "no', ' (never)".']),
        ("Bonjour !", ["Bonjour !"]),
        ("3.5 km", ["3.5", " km"]),
        ("今日は、いい。", ["今", "日", "は、", "い", "い。"]),
        ("「はい」と", ["「は", "い」", "と"]),
        ("我用Python写", ["我", "用", "Python", "写"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ("안녕하세요 여러분", ["안녕하세요", " 여러분"]),
        ("", []),
    ],
)
def test_words_by_spaces_and_characters_where_there_are_none(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(st.sampled_from("ab .,\"'(今は。「」ก็"), max_size=20))
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text.rstrip()

"""How text is written: where a word ends, in scripts with spaces between words and in those without."""

import re
import unicodedata
from collections.abc import Iterable

_CLOSING = frozenset(".,!?;:%)]}…。，、！？；：」』）】》〉”’")
_OPENING = frozenset("([{「『（【《〈“‘¿¡\"'")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff65]"
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters and their punctuation: written without spaces between words."""
LATIN_LANGUAGES = frozenset(
    "af az bs br ca cs cy da de en es et eu fi fo fr gl ha haw hr ht hu id is it jw la lb ln lt lv mg mi ms mt nl nn no oc pl "
    "pt ro sk sl sn so sq su sv sw tk tl tr uz vi yo".split()
)
"""Written in Latin letters, of which a token of Whisper's vocabulary holds several; letters of others take one to three."""
_PIECE = re.compile(r"\s*\S")


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that is written without spaces between words."""
    return _UNSPACED.match(character) is not None


def goes_on(word: str, piece: str) -> bool:
    """Whether a piece of text belongs to the word before it: marks and closing punctuation do, letters behind an opening
    quotation mark, and in scripts with spaces all that follows without one."""
    if all(c in _CLOSING for c in piece.strip()):
        return True
    if piece[0].isspace():
        return False
    if all(c in _OPENING for c in word.strip()) or unicodedata.category(piece[0]).startswith("M"):
        return True
    return not (is_unspaced(piece[0]) or is_unspaced(word[-1]))


def words_of(text: str) -> list[str]:
    """Words with the space before them, in scripts without spaces single characters; joined they are the text, but for
    space at its end."""
    return _joined(_PIECE.findall(text))


def _joined(pieces: Iterable[str]) -> list[str]:
    words: list[str] = []
    for piece in pieces:
        if words and goes_on(words[-1], piece):
            words[-1] += piece
        else:
            words.append(piece)
    return words

"""Language tags as clients send them: ``en``, ``en-US``, ``EN_us``."""

import re
from collections.abc import Sequence

from server.errors import InvalidRequest

DETECTED = "auto"
"""Stands for a language where what is spoken is to be detected."""
WHISPER_CODES = {"jv": "jw", "nb": "no", "iw": "he", "in": "id", "fil": "tl", "cmn": "zh"}
"""Codes of languages that Whisper and its like know by another one."""
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*", re.ASCII)


def is_locale(text: str) -> bool:
    """Whether it has the form of a tag."""
    return _TAG.fullmatch(text) is not None


def canonical_tag(tag: str) -> str:
    """``en-us`` of ``EN_us``."""
    return tag.strip().replace("_", "-").lower()


def primary_subtag(tag: str) -> str:
    """``en`` of ``EN_us``."""
    return canonical_tag(tag).partition("-")[0]


def spoken_language(tag: str) -> str | None:
    """The language of audio, by the code that recognizers know; None if it is to be detected."""
    primary = primary_subtag(tag)
    return None if primary == DETECTED else WHISPER_CODES.get(primary, primary)


def primary_language(tag: str, supported: Sequence[str], field: str) -> str:
    """The supported language behind a tag.

    Raises InvalidRequest listing the supported ones.
    """
    primary = primary_subtag(tag)
    if not is_locale(tag.strip()) or primary not in supported:
        raise InvalidRequest.choice(field, tag, supported)
    return primary

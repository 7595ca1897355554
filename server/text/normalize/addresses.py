"""Addresses on the web and telephone numbers in any language."""

import re

from server.text.languages.language import Language
from server.text.normalize.source import Reading, Source
from server.text.normalize.tokens import Part
from server.text.normalize.web import WebRules

_INTERNATIONAL = re.compile(r"\+\d{1,3}(?:[ ./\-]?\(?\d{1,5}\)?){2,7}+(?![\w])")
_NATIONAL = re.compile(r"\(?0\d{1,5}\)?(?:[ ./\-]\d{2,8}){1,5}+(?![\w]|[.,/]\d)")
_SPANISH_BLOCKS = re.compile(r"[6-9]\d{2}(?: \d{3}){2}(?![\w ]\d|\w)|[6-9]\d{2}(?: \d{2}){3}(?!\w)")
_GROUP = re.compile(r"\d+")


class AddressRules:
    """E-mail, URL, hashtag, mention, telephone."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self.web = WebRules(language.web, language.cardinal, language.digits)

    def phone_number(self, source: Source, position: int) -> Reading | None:
        """``+49 30 123456``, ``030/1234567``, ``01 23 45 67 89``; a pause between the groups."""
        for pattern in (_INTERNATIONAL, _NATIONAL, *((_SPANISH_BLOCKS,) if self._language.code == "es" else ())):
            found = pattern.match(source.text, position)
            if found and sum(char.isdecimal() for char in found[0]) >= 7 and not source.char(position - 1).isalnum():
                return self._grouped(found)
        return None

    def _grouped(self, found: re.Match[str]) -> Reading:
        language = self._language
        parts: list[Part] = []
        for group in _GROUP.finditer(found[0]):
            start, end = found.start() + group.start(), found.start() + group.end()
            text = group[0]
            if language.phone_pairs and len(text) == 2:
                said = language.digits(text) if text[0] == "0" else language.cardinal(text)
            else:
                said = language.digits(text)
            if not parts and found[0].startswith("+"):
                said, start = f"{language.plus} {said}", start - 1
            parts.append((f", {said}" if parts else said, start, end))
        return parts, found.end()

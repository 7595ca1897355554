"""Which languages have a front end, by their ISO 639-1 codes."""

from collections.abc import Mapping

from server.text.languages.french import FRENCH
from server.text.languages.german import GERMAN
from server.text.languages.italian import ITALIAN
from server.text.languages.language import Language
from server.text.languages.spanish import SPANISH

LANGUAGES: Mapping[str, Language] = {language.code: language for language in (FRENCH, GERMAN, ITALIAN, SPANISH)}
"""All but English, which has rules of its own."""

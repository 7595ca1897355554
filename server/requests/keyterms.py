"""Keyterms as a client gives them, by any API: names and phrases to listen for."""

from collections.abc import Iterable

from server.errors import InvalidRequest

MAX_KEYTERMS = 100
MAX_KEYTERM_CHARS = 1200


def checked_keyterms(given: Iterable[str], field: str = "keyterm") -> tuple[str, ...]:
    """The terms, each once, blank ones left out. Raises InvalidRequest naming ``field`` where they are too many or long."""
    terms = tuple(given)
    if len(terms) > MAX_KEYTERMS or sum(len(term) for term in terms) > MAX_KEYTERM_CHARS:
        message = f"{field}: at most {MAX_KEYTERMS} terms with {MAX_KEYTERM_CHARS} characters in total are taken"
        raise InvalidRequest(message, field=field)
    return tuple(dict.fromkeys(spaced for term in terms if (spaced := " ".join(term.split()))))

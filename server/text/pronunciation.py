"""Pronunciations: phones with stress."""

from typing import NamedTuple


class PhoneWithStress(NamedTuple):
    """A phone of `models.phones.PHONES`; stress 1 primary, 2 secondary, 0 none (consonants: 0)."""

    symbol: str
    stress: int = 0


Pronunciation = tuple[PhoneWithStress, ...]

"""Amounts of money and measures, the unit behind the number as a rule."""

import re

from server.text.languages.language import Language, Noun
from server.text.normalize.source import WORD, Reading, Source


class AmountRules:
    """Numbers with a currency or a unit."""

    def __init__(self, language: Language, number: str) -> None:
        self._language = language
        currency = _any(language.currencies)
        scale = _any(language.scales)
        self._last = re.compile(
            rf"(?P<amount>{number})(?:[,.](?P<dash>[-–—]))?(?:\s?(?P<scale>{scale})(?=[\s€$]))?\s?(?P<currency>{currency})(?![^\W_])"
        )
        self._first = re.compile(
            rf"(?P<currency>{currency})\s?(?P<minus>-?)(?P<amount>{number})(?:[,.][-–—])?(?:\s?(?P<scale>{scale})(?![^\W_]))?"
        )
        self._measure = re.compile(rf"(?P<amount>{number})\s?(?P<unit>{_any(language.units)})(?![^\W_])")
        self._scaled = re.compile(rf"(?P<amount>{number})\s(?P<scale>{scale})(?![^\W_])")

    def currency_last(self, source: Source, position: int) -> Reading | None:
        """``3,50 €``, ``2,5 Mio. EUR``."""
        found = self._last.match(source.text, position)
        return self._money(source, found, minus=False) if found else None

    def currency_first(self, source: Source, position: int) -> Reading | None:
        """``€ 3,50``, ``$10``."""
        found = self._first.match(source.text, position)
        if not found or source.char(position - 1).isalnum():
            return None
        return self._money(source, found, minus=bool(found["minus"]))

    def _money(self, source: Source, found: re.Match[str], *, minus: bool) -> Reading:
        language = self._language
        phrase = self.in_words(found["amount"], found["currency"], found["scale"])
        if minus:
            phrase = f"{language.minus} {phrase}"
        end = found.end()
        unit = WORD.match(source.text, end + 1) if source.char(end) == "/" else None
        if unit and unit[0] in language.unit_per:
            return [(f"{phrase} {language.per} {language.unit_per[unit[0]]}", found.start(), unit.end())], unit.end()
        return [(phrase, found.start(), end)], end

    def in_words(self, amount: str, currency: str, scale: str | None) -> str:
        """ "3,50" and "€" as "drei Euro fünfzig"."""
        language = self._language
        whole_noun, part_noun = language.currencies[currency].whole, language.currencies[currency].part
        if scale:
            name = language.scales[scale]
            return f"{self._scaled_number(amount, name)} {language.scale_of(whole_noun.many)}"
        whole, point, decimals = amount.partition(language.decimal)
        if not point and amount[-3:-2] in (".", ","):  # the decimals of another language
            whole, point, decimals = amount[:-3], ".", amount[-2:]
        if not point or len(decimals) != 2 or part_noun is None:
            return language.counted(amount, whole_noun)
        if decimals == "00":
            return language.counted(whole, whole_noun)
        cents = decimals.lstrip("0")
        if not whole.strip("0"):
            return language.counted(cents, part_noun)
        part = language.counted(cents, part_noun) if language.money_part else language.cardinal(cents)
        return " ".join(filter(None, (language.counted(whole, whole_noun), language.money_join, part)))

    def _scaled_number(self, amount: str, name: str) -> str:
        return self._language.counted(amount, Noun(name, name, "f" if name.startswith("Milli") else "m"))

    def measure(self, source: Source, position: int) -> Reading | None:
        """``5 kg``, ``20 km/h``, ``15 %``, ``3 Mio.``."""
        found = self._measure.match(source.text, position)
        if found:
            return [
                (self._language.counted(found["amount"], self._language.units[found["unit"]]), position, found.end())
            ], found.end()
        found = self._scaled.match(source.text, position)
        if found and not found["scale"][-1].isalpha():
            name = self._language.scales[found["scale"]]
            return [(self._scaled_number(found["amount"], name), position, found.end())], found.end()
        return None


def _any(table: object) -> str:
    words = sorted((str(word) for word in table), key=len, reverse=True)  # type: ignore[attr-defined]
    return "|".join(map(re.escape, words))

"""Phone error rate and word accuracy of letter-to-sound against the lexicon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.text.letter_to_sound import LetterToSound
from server.text.pronunciation import Pronunciation


@dataclass
class Score:
    """Counts over the words measured; rates are derived."""

    words: int = 0
    phones: int = 0
    phone_errors: int = 0
    right_words: int = 0
    right_words_with_stress: int = 0

    def add(self, expected: Pronunciation, given: Pronunciation) -> None:
        symbols = [phone.symbol for phone in expected]
        errors = edit_distance(symbols, [phone.symbol for phone in given])
        self.words += 1
        self.phones += len(symbols)
        self.phone_errors += errors
        self.right_words += errors == 0
        self.right_words_with_stress += expected == given

    def figures(self) -> dict[str, float]:
        """Rates in percent."""
        return {
            "phone_error_rate": round(100 * self.phone_errors / max(1, self.phones), 2),
            "word_accuracy": round(100 * self.right_words / max(1, self.words), 2),
            "word_accuracy_with_stress": round(100 * self.right_words_with_stress / max(1, self.words), 2),
        }


_HEADING = """# Letter-to-sound: words held out

English: the words of its lexicon; the other languages: the words of their texts, as espeak-ng says them.
Command: `python -m training.letter_to_sound.train --language LANGUAGE --epochs N`, for all but English with
`--channels 96 --text-folder FOLDER` too. One thread of a shared machine (as little as a tenth of one).

| code | epochs | trained on | held out | phone errors | words right | right with stress | lexicon entries | weights | time |
|---|---|---|---|---|---|---|---|---|---|
"""
_FOOTING = """
Phone errors and words right do not count stress. The split is by spelling, so inflected forms of a held-out word may
be in training, as a served word may be a new form of a listed one; names nobody has listed will do worse. After the
measurement the words of the text that the network gets wrong, held-out ones too, go into the language's small lexicon,
but for those that only the text's held-out sentences have.
"""


def report(
    path: Path, language: str, epochs: int, score: Score, trained: int, entries: int, size_bytes: int, seconds: float
) -> None:
    """Write a language's line into the report, in place of its older one."""
    rates = score.figures()
    line = (
        f"| {language} | {epochs} | {trained} | {score.words} | {rates['phone_error_rate']} % | {rates['word_accuracy']} % "
        f"| {rates['word_accuracy_with_stress']} % | {entries} | {size_bytes / 1e6:.2f} MB | {seconds:.0f} s |\n"
    )
    old = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    lines = [row for row in old if row.startswith("| ") and not row.startswith(("| code ", f"| {language} "))]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEADING + "".join(sorted([*lines, line])) + _FOOTING, encoding="utf-8")


def edit_distance(expected: Sequence[str], given: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(given) + 1))
    for i, one in enumerate(expected, start=1):
        diagonal, row[0] = row[0], i
        for j, two in enumerate(given, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != two))
    return row[-1]


def score_words(model: LetterToSound, expected: Mapping[str, Pronunciation]) -> Score:
    score = Score()
    for word, phones in expected.items():
        score.add(phones, model.pronounce(word))
    return score

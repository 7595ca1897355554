"""Phone error rate and word accuracy of letter-to-sound against the lexicon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.text.letter_to_sound import LetterToSound
from server.text.lexicon import Pronunciation


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

    def report(self, command: str, trained_words: int, size_bytes: int, seconds: float) -> str:
        rates = self.figures()
        return (
            "# Letter-to-sound: held-out words of the lexicon\n\n"
            f"Command: `{command}` ({seconds:.0f} s, one thread of a shared machine)\n\n"
            "| figure | value |\n|---|---|\n"
            f"| words trained on | {trained_words} |\n"
            f"| words held out | {self.words} |\n"
            f"| phone error rate, stress ignored | {rates['phone_error_rate']} % |\n"
            f"| words fully right, stress ignored | {rates['word_accuracy']} % |\n"
            f"| words fully right with stress | {rates['word_accuracy_with_stress']} % |\n"
            f"| size of the weights | {size_bytes / 1e6:.2f} MB |\n\n"
            "The split is by spelling, so inflected forms of a held-out word may be in training, as a\n"
            "served word may be a new form of a listed one; names nobody has listed will do worse.\n"
        )


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

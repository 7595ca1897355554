"""What a stock checkpoint is asked for and what is made of its answers, by an engine that says what a test wants."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.hearing import Effort, RecognitionWindow
from models.scripts import LATIN_LANGUAGES
from models.whisper.conversion.vocabulary import LANGUAGES
from models.whisper.decoding import DecodingTask
from models.whisper.decoding_policy import DecodingPolicy
from models.whisper.engine import Alignment, Decoded, Floats
from models.whisper.model import WhisperRecognizer, load, token_budget
from tests.models.outside_checkpoints import edit_json
from tests.models.whisper_checkpoints import write_random_checkpoint

RATE_HZ = 16_000
Encoded = list[Floats]


class ScriptedEngine:
    """Implements `models.whisper.engine.Engine`: the next answers, one for each window."""

    description, weight_bytes, parallel = "scripted", 0, 1

    def __init__(self, answers: Sequence[Decoded]) -> None:
        self.answers = list(answers)
        self.seconds: list[list[float]] = []
        """How long the windows of each batch were with their padding."""
        self.tasks: list[DecodingTask] = []
        self.beams: list[tuple[int, list[int]]] = []
        """With the rows they were asked for."""
        self.aligned: list[list[int]] = []

    def encode(self, mels: Sequence[Floats]) -> Encoded:
        self.seconds.append([len(mel) / 50 for mel in mels])
        return list(mels)

    def detect_languages(self, encoded: Encoded, rows: Sequence[int]) -> list[str]:
        return ["de"] * len(rows)

    def states(self, encoded: Encoded, rows: Sequence[int]) -> list[Floats]:
        raise NotImplementedError

    def generate(self, encoded: Encoded, rows: Sequence[int], tasks: Sequence[DecodingTask], beams: int) -> list[Decoded]:
        self.tasks += tasks
        self.beams.append((beams, list(rows)))
        return [self.answers.pop(0) for _ in rows]

    def align(
        self, encoded: Encoded, rows: Sequence[int], starts: Sequence[tuple[int, ...]], texts: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Alignment]:  # fmt: skip
        """A token takes two positions, 80 ms."""
        self.aligned.append(list(rows))
        return [Alignment(2 * np.arange(len(text) + 1), [0.9] * len(text)) for text in texts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decoded as stock Whisper is, with three languages."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("stock"))
    edit_json(folder / "config.json", descant_decoding={})
    edit_json(folder / "generation_config.json", lang_to_id={"<|en|>": 11, "<|de|>": 12, "<|ja|>": 13})
    return folder


@pytest.fixture
def stock(folder: Path) -> WhisperRecognizer:
    return load("cpu", 4, folder, engine="torch")


def said(stock: WhisperRecognizer, *segments: tuple[float, str, float], mean: float = -0.1, truncated: bool = False) -> Decoded:
    stamps, position_s = stock.checkpoint.rules.timestamps, stock.checkpoint.features.position_s
    assert stamps is not None
    tokens: list[int] = []
    for start_s, text, end_s in segments:
        start, end = (stamps.start + round(at_s / position_s) for at_s in (start_s, end_s))
        tokens += [start, *stock.tokenizer.encode(text), end]
    return Decoded(tokens, mean, 0.0, truncated)


def play(stock: WhisperRecognizer, *answers: Decoded) -> ScriptedEngine:
    engine = ScriptedEngine(answers)
    stock.engine = engine
    return engine


def window(seconds: float, effort: Effort = Effort.WHOLE, **changes: object) -> RecognitionWindow:
    """A tone, as loud at its end as before."""
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return replace(RecognitionWindow(tone.astype(np.float32), language="en", effort=effort), **changes)  # type: ignore[arg-type]


def test_a_stock_checkpoint_has_drafts_and_the_embedded_one_has_none(stock: WhisperRecognizer, tmp_path: Path) -> None:
    assert stock.info.has_drafts
    assert not load("cpu", 1, write_random_checkpoint(tmp_path), engine="torch").info.has_drafts


# --- budgets --------------------------------------------------------------------


def test_short_windows_have_a_budget_of_their_own() -> None:
    policy = DecodingPolicy(tokens_per_second=50.0, tokens_at_least=40, short_tokens_per_second=8.0, short_tokens_at_least=16)
    assert [token_budget(policy, seconds, 400) for seconds in (0.0, 2.0)] == [40, 140]
    assert [token_budget(policy, seconds, 400, is_short=True) for seconds in (0.0, 2.0)] == [16, 32]
    assert token_budget(policy, 2.0, 20, is_short=True) == 20
    assert token_budget(policy, 2.0, -3, is_short=True) == 1


def test_the_second_reading_at_full_length_has_the_whole_budget(stock: WhisperRecognizer) -> None:
    good = said(stock, (0, "the shop was closed", 2))
    engine = play(stock, replace(good, truncated=True), good)
    (heard,) = stock.step([window(2.0)])
    assert (heard.text, heard.retried, heard.truncated) == ("the shop was closed", True, False)
    assert engine.seconds == [[3.0], [stock.info.max_window_s]]
    assert [task.max_tokens for task in engine.tasks] == [16 + 8 * 2, 40 + 50 * 2]


@pytest.mark.parametrize(("language", "tokens"), [("de", 32), (None, 32), ("ja", 140)])
def test_only_latin_letters_fit_into_the_short_budget(language: str | None, tokens: int, stock: WhisperRecognizer) -> None:
    engine = play(stock, said(stock, (0, "the shop was closed", 2)))
    stock.step([window(2.0, language=language)])
    assert [task.max_tokens for task in engine.tasks] == [tokens]


def test_what_stands_already_counts(stock: WhisperRecognizer) -> None:
    engine = play(stock, said(stock, (0, "the shop was closed", 2)))
    stock.step([window(2.0, prefix="the shop")])
    (task,) = engine.tasks
    assert task.max_tokens == 32 - task.prefix_tokens
    assert task.prefix_tokens == 1 + len(stock.tokenizer.encode("the shop"))


def test_languages_of_latin_letters() -> None:
    assert set(LANGUAGES) >= LATIN_LANGUAGES
    assert {"en", "de", "fr", "es", "pl", "tr", "vi", "id", "sw"} <= LATIN_LANGUAGES
    assert not LATIN_LANGUAGES & {
        "ru",
        "uk",
        "bg",
        "el",
        "ar",
        "fa",
        "he",
        "hi",
        "th",
        "ja",
        "zh",
        "yue",
        "ko",
        "ka",
        "hy",
        "am",
    }


# --- efforts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "retried"),
    [
        (-0.2, set[Effort]()),
        (DecodingPolicy().doubtful_log_probability_live + 0.01, {Effort.WHOLE}),
        (DecodingPolicy().doubtful_log_probability_live - 0.01, {Effort.WHOLE, Effort.LIVE}),
    ],
)
def test_who_waits_has_less_sure_texts_read_again(mean: float, retried: set[Effort], stock: WhisperRecognizer) -> None:
    text = said(stock, (0, "the shop was closed", 2), mean=mean)
    for effort in Effort:
        engine = play(stock, text, text)
        (heard,) = stock.step([window(2.0, effort)])
        assert heard.retried == (effort in retried), effort
        assert len(engine.seconds) == 1 + (effort in retried)


def test_a_draft_is_never_read_again(stock: WhisperRecognizer) -> None:
    bad = said(stock, (0, "again and again and again and again", 0.5), mean=-2.0, truncated=True)
    engine = play(stock, bad, said(stock, (0, "the shop was closed", 2)), said(stock, (0, "the shop was closed", 2)))
    draft, final = stock.step([window(2.0, Effort.DRAFT), window(2.0, Effort.LIVE)])
    assert (draft.text, draft.retried, draft.truncated) == ("again and again and again and again", False, True)
    assert not final.retried
    assert len(engine.seconds) == 1


def test_drafts_have_beams_of_their_own_within_a_batch(stock: WhisperRecognizer) -> None:
    texts = [said(stock, (0, text, 2)) for text in ("first", "third", "second")]
    engine = play(stock, *texts)
    efforts = (Effort.DRAFT, Effort.LIVE, Effort.DRAFT)
    heard = stock.step([window(2.0, effort) for effort in efforts])
    assert engine.beams == [(1, [0, 2]), (5, [1])]
    assert [one.text for one in heard] == ["first", "second", "third"]


def test_drafts_have_no_word_times(stock: WhisperRecognizer) -> None:
    engine = play(stock, *[said(stock, (0, "the shop was closed", 2))] * 2)
    draft, final = stock.step([window(2.0, effort, want_words=True) for effort in (Effort.DRAFT, Effort.LIVE)])
    assert draft.words == ()
    assert "".join(word.word for word in final.words).strip() == "the shop was closed"
    assert engine.aligned == [[1]]


def test_drafts_have_word_times_where_they_tell_that_a_phrase_is_missing(stock: WhisperRecognizer) -> None:
    stock.checkpoint = replace(stock.checkpoint, windows=replace(stock.checkpoint.windows, loses_phrases=True))
    engine = play(stock, *[said(stock, (0, "the shop was closed", 2))] * 2)
    wanted, unwanted = stock.step([window(2.0, Effort.DRAFT, want_words=want) for want in (True, False)])
    assert "".join(word.word for word in wanted.words).strip() == "the shop was closed"
    assert unwanted.words == ()
    assert engine.aligned == [[0]]


# --- segments -------------------------------------------------------------------


def test_a_copy_behind_the_audio_is_left_out_and_no_reason_to_read_again(stock: WhisperRecognizer) -> None:
    play(stock, said(stock, (0, "the shop was closed", 2), (2, "the shop was closed", 3), truncated=True))
    (heard,) = stock.step([window(2.0, Effort.LIVE)])
    assert (heard.text, heard.truncated, heard.retried) == ("the shop was closed", False, False)


def test_other_words_that_begin_within_the_audio_stay(stock: WhisperRecognizer) -> None:
    text = said(stock, (0, "the shop was", 1), (1, "closed", 2))
    play(stock, text)
    assert stock.step([window(2.0)])[0].text == "the shop was closed"


class TestRest:
    """The text ends after a second, and the speech after four."""

    def test_speech_without_words_is_read_as_a_window_of_its_own(self, stock: WhisperRecognizer) -> None:
        short = said(stock, (0, "the shop", 1))
        engine = play(stock, short, short, said(stock, (0, "was closed", 3)))
        (heard,) = stock.step([window(4.0, want_words=True, language=None, prefix="the shop")])
        assert (heard.text, heard.retried, heard.language) == ("the shop was closed", True, "de")
        longest = stock.info.max_window_s
        assert engine.seconds == [[5.0], [longest], [longest]]
        rest = engine.tasks[-1]
        assert rest.prefix_tokens == 0
        assert stock.checkpoint.previous is not None
        prompt = [stock.checkpoint.previous, *stock.tokenizer.encode("the shop")]
        assert list(rest.start) == [*prompt, stock.checkpoint.start, 12, stock.checkpoint.transcribe]
        assert rest.max_tokens == 40 + 50 * 3
        assert "".join(word.word for word in heard.words).strip() == heard.text
        moved = heard.words[len(stock.tokenizer.split_words(stock.tokenizer.encode("the shop"))) :]
        assert moved[0].start_s == 1.0
        assert moved[-1].end_s == pytest.approx(1.0 + 0.08 * len(stock.tokenizer.encode("was closed")))

    def test_only_of_the_windows_that_need_it(self, stock: WhisperRecognizer) -> None:
        short, whole = said(stock, (0, "the shop", 1)), said(stock, (0, "please open the window", 4))
        engine = play(stock, whole, short, short, said(stock, (0, "was closed", 3)))
        heard = stock.step([window(4.0), window(4.0)])
        assert [one.text for one in heard] == ["please open the window", "the shop was closed"]
        assert [len(seconds) for seconds in engine.seconds] == [2, 1, 1]

    def test_not_where_the_second_reading_has_the_words(self, stock: WhisperRecognizer) -> None:
        engine = play(stock, said(stock, (0, "the shop", 1)), said(stock, (0, "the shop was closed", 4)))
        assert stock.step([window(4.0)])[0].text == "the shop was closed"
        assert len(engine.seconds) == 2

    def test_a_rest_that_is_doubted_is_left_out(self, stock: WhisperRecognizer) -> None:
        short = said(stock, (0, "the shop", 1))
        play(stock, short, short, said(stock, (0, "was closed", 3), mean=-2.0))
        assert stock.step([window(4.0)])[0].text == "the shop"

    def test_not_of_a_draft(self, stock: WhisperRecognizer) -> None:
        engine = play(stock, said(stock, (0, "the shop", 1)))
        assert stock.step([window(4.0, Effort.DRAFT)])[0].text == "the shop"
        assert len(engine.seconds) == 1

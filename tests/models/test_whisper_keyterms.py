"""Keyterms in the search: the trie, what it adds and takes away, and that nothing else changes."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.hearing import RecognitionWindow, Recognizer
from models.registry import load_recognizer
from models.whisper import keyterms
from models.whisper.decoding import DecodedWindow, DecodingRules, DecodingTask, _Search, decode
from models.whisper.incremental import IncrementalDecoder
from models.whisper.keyterms import REWARD_PER_TOKEN, TermPath, TermTrie, choices, spellings
from models.whisper.tokenizer import WhisperTokenizer
from tests.models.whisper_checkpoints import TOKENIZER_PATH, random_network
from tests.speech import say

VOCABULARY = 20
END = 19
SPACES = (1, 2, 3, 10, END)
"""Tokens of the hand-made vocabulary that begin a word or end one."""


def outside() -> NDArray[np.bool_]:
    return np.isin(np.arange(VOCABULARY), SPACES)


def trie(*terms: tuple[int, ...]) -> TermTrie:
    return TermTrie(terms, outside())


def walk(terms: TermTrie, *tokens: int, gain: float = 1.0) -> tuple[TermPath, float]:
    """The path behind the tokens, each of which gained ``gain`` if it went on with a term, and all that was earned."""
    path, total = TermPath(), 0.0
    for token in tokens:
        path, earned = terms.follow(path, token, gain)
        total += earned
    return path, total


def test_spellings() -> None:
    assert spellings("Saoirse  Ronan ") == ("Saoirse Ronan", "saoirse ronan")
    assert spellings("descant") == ("descant", "Descant")
    assert spellings("GPT-4") == ("GPT-4", "gpt-4")
    assert spellings("  ") == ()


def test_a_completed_term_pays_its_stakes_where_its_word_ends() -> None:
    terms = trie((1, 5, 6))
    path, earned = walk(terms, 1, 5, 6)
    assert (path.stake, earned) == (3.0, 0.0)
    assert walk(terms, 1, 5, 6, 2)[1] == pytest.approx(3 * (1.0 + REWARD_PER_TOKEN))
    assert walk(terms, 1, 5, 6, END)[1] == pytest.approx(3 * (1.0 + REWARD_PER_TOKEN))
    assert walk(terms, 1, 5, 6, 2)[0] == TermPath()


@pytest.mark.parametrize("tokens", [(1, 5, 7), (1, 5, END), (1, 5, 6, 7), (1, 5, 6, 7, 2), (4, 5, 6, 2)])
def test_a_term_that_is_not_completed_earns_nothing(tokens: tuple[int, ...]) -> None:
    """Broken off, cut short by the end, part of a longer word, begun within a word."""
    assert walk(trie((1, 5, 6)), *tokens) == (TermPath(), 0.0)


def test_a_broken_term_may_be_the_beginning_of_another() -> None:
    terms = trie((1, 5, 2, 6), (2, 7))
    path, earned = walk(terms, 1, 5, 2, 7)
    assert (path.stake, earned) == (2.0, 0.0)
    assert walk(terms, 1, 5, 2, 7, 3)[1] == pytest.approx(2 * (1.0 + REWARD_PER_TOKEN))


def test_a_term_within_a_longer_one_is_paid_once() -> None:
    terms = trie((1, 5), (1, 5, 2, 6))
    path, earned = walk(terms, 1, 5, 2)
    assert earned == pytest.approx(2 * (1.0 + REWARD_PER_TOKEN))
    assert path.gains == (0.0, 0.0, 1.0)
    assert walk(terms, 1, 5, 2, 6, 3)[1] == pytest.approx(4.0 + 6 * REWARD_PER_TOKEN)
    assert walk(terms, 1, 5, 2, 7, 3)[1] == pytest.approx(2 * (1.0 + REWARD_PER_TOKEN))


def test_moves_go_on_or_begin_anew() -> None:
    terms = trie((1, 5, 2, 6), (2, 7))
    tokens, depths = terms.moves(terms.start([1, 5, 2]).node)
    assert dict(zip(tokens.tolist(), depths.tolist(), strict=True)) == {6: 4, 7: 2, 1: 1, 2: 1}


def chances(likely: dict[int, float]) -> torch.Tensor:
    row = torch.full((VOCABULARY,), -12.0)
    for token, chance in likely.items():
        row[token] = chance
    return row[None]


def test_unlikely_tokens_of_terms_are_offered_with_a_limited_gain() -> None:
    row = chances({4: -0.1, 8: -2.0, 1: -4.1})
    found = choices(row, [trie((1, 5, 6))], [TermPath()], END, 2)
    assert found.tokens[0][:2] == [4, 8]
    gain = dict(zip(found.tokens[0], found.gains[0], strict=True))[1]
    assert gain == pytest.approx(min(keyterms.DISTANCE_SHARE * 4.0, keyterms.MOST_PER_TOKEN))
    offered = {t for t, c in zip(found.tokens[0], found.log_probabilities[0], strict=True) if c > -np.inf}
    assert offered == {4, 8, 1}
    assert dict(zip(found.tokens[0], found.log_probabilities[0], strict=True))[1] == pytest.approx(-4.1)


def test_no_term_begins_where_the_text_would_end() -> None:
    row = chances({END: -0.1, 8: -2.0, 1: -3.0, 5: -7.0})
    at_root = choices(row, [trie((1, 5, 6))], [TermPath()], END, 2)
    assert sum(c > -np.inf for c in at_root.log_probabilities[0]) == 2
    terms = trie((1, 5, 6))
    within = choices(row, [terms], [walk(terms, 1)[0]], END, 2)
    assert 5 in [t for t, c in zip(within.tokens[0], within.log_probabilities[0], strict=True) if c > -np.inf]


def test_tokens_that_may_not_be_chosen_stay_so() -> None:
    found = choices(chances({4: -0.1, 1: -torch.inf}), [trie((1, 5))], [TermPath()], END, 2)
    assert all(c == -np.inf for t, c in zip(found.tokens[0], found.log_probabilities[0], strict=True) if t == 1)


def decode_by_hand(rows: dict[tuple[int, ...], dict[int, float]], terms: TermTrie | None, beams: int = 2) -> DecodedWindow:
    """Search where the log probabilities depend on the text so far; texts that are not listed end."""
    rules = DecodingRules(END, None, (), ())
    search = _Search([DecodingTask((17,), 0, 0, 10, terms)], rules, beams)
    while search.active:
        table = torch.cat([chances(rows.get(tuple(h.tokens), {END: -0.01})) for h in search.active])
        search.advance(search.choose(table), None)
    return search.results([0.0])[0]


SPOKEN: dict[tuple[int, ...], dict[int, float]] = {
    (): {10: -0.3, 1: -4.0, 2: -3.0, 3: -3.5},
    (10,): {4: -0.9, 8: -2.0},
    (10, 4): {END: -0.5},
    (1,): {9: -0.5, 5: -3.0},
    (1, 5): {9: -1.0, 6: -2.0},
    (1, 5, 6): {END: -0.1, 7: -2.5},
}


def test_a_rare_name_is_found_among_its_terms_and_scored_by_the_model_alone() -> None:
    assert decode_by_hand(SPOKEN, None).tokens == [10, 4]
    found = decode_by_hand(SPOKEN, trie((1, 5, 6), (2, 7, 7)))
    assert found.tokens == [1, 5, 6]
    assert found.log_probabilities == pytest.approx([-4.0, -3.0, -2.0])
    assert found.end_log_probability == pytest.approx(-0.1)


def test_terms_that_are_never_completed_change_nothing() -> None:
    plain = decode_by_hand(SPOKEN, None)
    for terms in (trie((2, 7, 7)), trie((1, 5, 6, 8, 8)), trie((1, 5)), trie()):
        assert decode_by_hand(SPOKEN, terms) == plain


def test_a_term_is_not_invented_where_the_model_hears_nothing() -> None:
    quiet = {(): {END: -0.7, 1: -1.0, 10: -3.0}, (1,): {5: -1.5}, (1, 5): {END: -0.5}}
    assert decode_by_hand(quiet, None).tokens == []
    assert decode_by_hand(quiet, trie((1, 5))).tokens == []
    unsure = {**quiet, (): {10: -0.8, END: -0.9, 1: -2.5}, (10,): {END: -3.0}}
    assert decode_by_hand(unsure, None).tokens == []
    found = decode_by_hand(unsure, trie((1, 5)))
    assert (found.tokens, found.log_probabilities) == ([], [])
    assert found.end_log_probability == pytest.approx(-0.9)


def test_endless_terms_are_cut() -> None:
    babble = {tuple([1, 5] * n): {10: -0.5, 1: -1.0} for n in range(20)} | {(*[1, 5] * n, 1): {5: -0.5} for n in range(20)}
    rules = DecodingRules(END, None, (), ())
    search = _Search([DecodingTask((17,), 0, 0, 60, trie((1, 5)))], rules, 2)
    for _ in range(60):
        if not search.active:
            break
        table = torch.cat([chances(babble.get(tuple(h.tokens), {3: -0.5, 1: -1.0})) for h in search.active])
        search.advance(search.choose(table), None)
    assert not search.active
    assert len(search.results([0.0])[0].tokens) <= 60


@pytest.mark.parametrize("beams", [1, 4])
def test_rows_without_terms_do_not_feel_rows_with_them(beams: int) -> None:
    tokenizer = WhisperTokenizer(TOKENIZER_PATH)
    network = random_network(1, sharpness=6.0)
    rules = DecodingRules(tokenizer.end, tokenizer.no_speech, (), ())
    states = network.encoder(torch.randn(2, 150, 80, generator=torch.Generator().manual_seed(3)))
    start = (tokenizer.start, tokenizer.no_timestamps)
    sequences = [tokenizer.encode(name) for name in ("Nguyen", "Saoirse Ronan", "a", "in the")]
    terms = TermTrie(sequences, tokenizer.starts_outside_words(tokenizer.end + 1))
    plain, helped = DecodingTask(start, 0, 0, 20), DecodingTask(start, 0, 0, 20, terms)
    positions = torch.tensor([75, 75])
    alone = decode(IncrementalDecoder(network.decoder), states, positions, [plain, plain], rules, beams)
    mixed = decode(IncrementalDecoder(network.decoder), states, positions, [plain, helped], rules, beams)
    assert mixed[0].tokens == alone[0].tokens
    np.testing.assert_allclose(mixed[0].log_probabilities, alone[0].log_probabilities, atol=1e-3)
    assert mixed[1].no_speech_probability == pytest.approx(alone[1].no_speech_probability, abs=1e-4)
    found = mixed[1].tokens
    logits = network.decoder(torch.tensor([[*start, *found]]), states[1:])[0]
    logits[:, tokenizer.end + 1 :] = -torch.inf
    expected = logits.log_softmax(-1)[range(1, 1 + len(found)), found]
    np.testing.assert_allclose(mixed[1].log_probabilities, expected.detach(), atol=1e-3)


def test_which_tokens_lie_outside_words() -> None:
    tokenizer = WhisperTokenizer(TOKENIZER_PATH)
    outside_words = tokenizer.starts_outside_words(tokenizer.end + 1)
    name, comma, accent = tokenizer.encode("Nguyen"), tokenizer.encode("so,")[-1], tokenizer.encode("caf\u00e9")[-1]
    assert [bool(outside_words[token]) for token in name] == [True, False, False, False, False]
    assert outside_words[comma]
    assert not outside_words[accent]
    assert len(outside_words) == tokenizer.end + 1
    assert outside_words[tokenizer.end]


# --- the embedded ears ----------------------------------------------------------

SENTENCE = "The meeting with Trevelyan was very short."
NAMES = ("Trevelyan", "Satterthwaite", "Brzezinski", "Okafor", "Lindqvist", "Yamaguchi", "Penhallow", "Nguyen")


@pytest.fixture(scope="module")
def ears() -> Recognizer:
    torch.set_num_threads(1)
    return load_recognizer("whisper", "cpu", max_batch=8)


def test_a_spoken_name_is_found(ears: Recognizer) -> None:
    (pcm,) = say((SENTENCE,))
    plain, helped = ears.step([RecognitionWindow(pcm), RecognitionWindow(pcm, keyterms=NAMES, want_words=True)])
    assert "trevelyan" not in plain.text.lower(), "the ears know this name, so the test shows nothing"
    assert "trevelyan" in helped.text.lower(), (plain.text, helped.text)
    assert "trevelyan" in [word.word.lower().strip() for word in helped.words]
    assert not any(name.lower() in helped.text.lower() for name in NAMES[1:])
    assert helped.mean_log_probability <= plain.mean_log_probability + 0.2


def test_other_speech_stays_as_it_is(ears: Recognizer) -> None:
    spoken = say(("The shop was closed in the morning.", "Please open the window."))
    plain = ears.step([RecognitionWindow(pcm) for pcm in spoken])
    helped = ears.step([RecognitionWindow(pcm, keyterms=NAMES) for pcm in spoken])
    assert [h.text for h in helped] == [h.text for h in plain]


def test_no_words_in_noise(ears: Recognizer) -> None:
    rng = np.random.default_rng(5)
    signals = [np.zeros(32_000), 0.1 * rng.standard_normal(48_000), 0.01 * rng.standard_normal(16_000)]
    signals.append(0.2 * np.sin(2 * np.pi * 50 * np.arange(64_000) / 16_000))
    windows = [signal.astype(np.float32) for signal in signals]
    plain = ears.step([RecognitionWindow(pcm) for pcm in windows])
    heard = ears.step([RecognitionWindow(pcm, keyterms=NAMES) for pcm in windows])
    assert [h.text for h in heard] == [h.text for h in plain] == [""] * len(windows)

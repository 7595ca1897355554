import numpy as np
import pytest
import torch

from models.whisper.decoding import DecodedWindow, DecodingRules, DecodingTask, _Search, decode, loop_start
from models.whisper.decoding_policy import DecodingPolicy
from models.whisper.incremental import IncrementalDecoder
from models.whisper.keyterms import Choices
from models.whisper.model import token_budget
from models.whisper.tokenizer import WhisperTokenizer
from models.whisper.word_times import token_starts, warp
from tests.models.whisper_checkpoints import TOKENIZER_PATH, random_network

FRAMES = (100, 150, 50, 200)


@pytest.fixture(scope="module")
def tokenizer() -> WhisperTokenizer:
    return WhisperTokenizer(TOKENIZER_PATH)


def offered(log_probabilities: list[list[float]], tokens: list[list[int]]) -> Choices:
    return Choices(tokens, log_probabilities, [[0.0] * len(row) for row in tokens])


def rules_of(tokenizer: WhisperTokenizer) -> DecodingRules:
    return DecodingRules(tokenizer.end, tokenizer.no_speech, (), ())


def run(rows: list[int], tasks: list[DecodingTask], tokenizer: WhisperTokenizer, beams: int = 1) -> list[DecodedWindow]:
    network = random_network(1, sharpness=6.0)
    generator = torch.Generator().manual_seed(9)
    mels = [torch.randn(frames, 80, generator=generator) for frames in FRAMES]
    longest = max(FRAMES[row] for row in rows)
    mel = torch.stack([torch.nn.functional.pad(mels[row], (0, 0, 0, longest - FRAMES[row])) for row in rows])
    frames = torch.tensor([FRAMES[row] for row in rows])
    states = network.encoder(mel, frames)
    return decode(
        IncrementalDecoder(network.decoder), states, frames // 2, [tasks[row] for row in rows], rules_of(tokenizer), beams
    )


@pytest.fixture(scope="module")
def tasks(tokenizer: WhisperTokenizer) -> list[DecodingTask]:
    plain = (tokenizer.start, tokenizer.no_timestamps)
    prefix = tuple(tokenizer.encode("as I was saying"))
    assert tokenizer.previous is not None
    prompt = (tokenizer.previous, *tokenizer.encode("Before that."))
    return [
        DecodingTask(plain, 0, 0, 20),
        DecodingTask((*plain, *prefix), 0, len(prefix), 12),
        DecodingTask((*prompt, *plain), len(prompt), 0, 7),
        DecodingTask(plain, 0, 0, 30),
    ]


@pytest.mark.parametrize("beams", [1, 3])
def test_alone_batched_and_permuted_give_the_same_tokens(
    beams: int, tokenizer: WhisperTokenizer, tasks: list[DecodingTask]
) -> None:
    together = run([0, 1, 2, 3], tasks, tokenizer, beams)
    permuted = run([2, 0, 3, 1], tasks, tokenizer, beams)
    alone = [run([row], tasks, tokenizer, beams)[0] for row in range(4)]
    assert [r.tokens for r in together] == [r.tokens for r in alone]
    assert [permuted[i].tokens for i in (1, 3, 0, 2)] == [r.tokens for r in alone]
    assert len({tuple(r.tokens) for r in alone}) == 4, "the rows say the same, so the test shows nothing"
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.log_probabilities, b.log_probabilities, atol=1e-3)
        assert a.no_speech_probability == pytest.approx(b.no_speech_probability, abs=1e-4)


def test_prefix_is_kept_and_budget_is_reported(tokenizer: WhisperTokenizer, tasks: list[DecodingTask]) -> None:
    result = run([1], tasks, tokenizer)[0]
    prefix = list(tasks[1].start[-tasks[1].prefix_tokens :])
    assert result.tokens[: len(prefix)] == prefix
    assert len(result.tokens) <= len(prefix) + 12
    assert result.log_probabilities[: len(prefix)] == [0.0] * len(prefix)
    short = run([3], [*tasks[:3], DecodingTask(tasks[3].start, 0, 0, 1)], tokenizer)[0]
    assert len(short.tokens) == 1
    assert short.truncated


def test_only_text_is_chosen(tokenizer: WhisperTokenizer, tasks: list[DecodingTask]) -> None:
    assert all(token < tokenizer.end for result in run([0, 1, 2, 3], tasks, tokenizer) for token in result.tokens)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([5, 6, 7, 8], None),
        ([1, 2, 3, 4, 4, 4, 4], None),
        ([1, 2, *[4] * 9], 3),
        ([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3], 4),
        ([1, 2, 3, 1, 2, 3, 1, 2, 3, 7], None),
        ([], None),
    ],
)
def test_loops_are_found(tokens: list[int], expected: int | None) -> None:
    assert loop_start(tokens) == expected


def test_a_text_that_starts_over_is_cut(tokenizer: WhisperTokenizer) -> None:
    """The rows know nothing but tokens and positions: from the fifth token on the audio is read again."""
    rules = DecodingRules(tokenizer.end, None, (), (), back_positions=10)
    search = _Search([DecodingTask((1, 2), 0, 0, 50), DecodingTask((1, 2), 0, 0, 50)], rules, 1)
    for token, position in enumerate([0, 8, 20, 30, 2, 8, 15, 20]):
        if not search.advance(offered([[-0.1]] * 2, [[100 + token]] * 2), [position, position + 22]):
            break
    results = search.results([0.0, 0.0])
    assert [row.tokens for row in results] == [[100, 101, 102, 103], [100, 101, 102, 103]]
    assert all(row.truncated for row in results)


def test_a_short_look_back_is_no_start_over(tokenizer: WhisperTokenizer) -> None:
    rules = DecodingRules(tokenizer.end, None, (), (), back_positions=10)
    search = _Search([DecodingTask((1, 2), 0, 0, 50)], rules, 1)
    for token, position in enumerate([0, 20, 30, 2, 2, 31, 25, 22]):
        assert search.advance(offered([[-0.1]], [[100 + token]]), [position]) == [0]
    assert len(search.active[0].tokens) == 8


def test_beams_find_a_likelier_text_than_the_first_choice_leads_to(tokenizer: WhisperTokenizer) -> None:
    """Token 7 looks better than 8 at first, and ends badly."""
    rules = DecodingRules(tokenizer.end, None, (), ())
    search = _Search([DecodingTask((1,), 0, 0, 50)], rules, 2)
    assert search.advance(offered([[-0.5, -0.9, -9.0]], [[7, 8, 9]]), None) == [0, 0]
    assert search.advance(offered([[-3.0, -3.1, -3.2], [-0.1, -4.0, -5.0]], [[1, 2, 3], [4, 5, 6]]), None) == [1, 0]
    assert [h.tokens for h in search.active] == [[8, 4], [7, 1]]
    end = tokenizer.end
    assert search.advance(offered([[-0.1, -3.0, -4.0], [-0.2, -5.0, -6.0]], [[end, 1, 2], [end, 1, 2]]), None) == []
    result = search.results([0.25])[0]
    assert (result.tokens, result.log_probabilities, result.end_log_probability) == ([8, 4], [-0.9, -0.1], -0.1)
    assert result.no_speech_probability == 0.25


def test_a_text_that_was_cut_off_loses_against_any_other(tokenizer: WhisperTokenizer) -> None:
    rules = DecodingRules(tokenizer.end, None, (), ())
    search = _Search([DecodingTask((1,), 0, 0, 2)], rules, 2)
    search.advance(offered([[-0.1, -2.0, -9.0]], [[7, 8, 9]]), None)
    assert search.advance(offered([[-0.1, -9.0], [-3.0, -9.0]], [[7, 1], [tokenizer.end, 1]]), None) == []
    result = search.results([0.0])[0]
    assert (result.tokens, result.truncated) == ([8], False)


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_beams_score_what_they_say(beams: int, tokenizer: WhisperTokenizer, tasks: list[DecodingTask]) -> None:
    """The log probabilities of a found text are those of the same text, given all at once."""
    network = random_network(1, sharpness=6.0)
    states = network.encoder(torch.randn(1, 150, 80, generator=torch.Generator().manual_seed(1)))
    found = decode(IncrementalDecoder(network.decoder), states, torch.tensor([75]), tasks[:1], rules_of(tokenizer), beams)[0]
    assert len(found.tokens) > 1
    start = tasks[0].start
    logits = network.decoder(torch.tensor([[*start, *found.tokens]]), states)[0]
    logits[:, tokenizer.end + 1 :] = -torch.inf
    expected = logits.log_softmax(-1)[range(len(start) - 1, len(start) - 1 + len(found.tokens)), found.tokens]
    np.testing.assert_allclose(found.log_probabilities, expected.detach(), atol=1e-3)


def test_budget_grows_with_time_and_ends_with_room() -> None:
    policy = DecodingPolicy(tokens_per_second=15.0, tokens_at_least=12)
    assert token_budget(policy, 0.0, 400) == 12
    assert token_budget(policy, 10.0, 400) == 162
    assert token_budget(policy, 10.0, 40) == 40
    assert token_budget(policy, 10.0, -3) == 1


def test_words_keep_their_punctuation(tokenizer: WhisperTokenizer) -> None:
    text = 'Well, it isn\'t "easy"; caf\u00e9 prices (all of them) rose...'
    words = tokenizer.split_words(tokenizer.encode(text))
    assert "".join(word for word, _ in words) == f" {text}"
    assert sum(count for _, count in words) == len(tokenizer.encode(text))
    assert [word for word, _ in words][:3] == [" Well,", " it", " isn't"]


def test_warp_follows_the_cheapest_monotone_path() -> None:
    cost = np.ones((3, 6), np.float32)
    for token, position in [(0, 0), (0, 1), (1, 2), (2, 3), (2, 4), (2, 5)]:
        cost[token, position] = -1.0
    assert warp(cost) == [(0, 0), (0, 1), (1, 2), (2, 3), (2, 4), (2, 5)]


def test_token_starts_follow_attention() -> None:
    weights = np.full((2, 4, 40), 1e-3, np.float32)
    for token, first in enumerate([0, 8, 17, 30]):
        weights[:, token, first : first + 8] = 0.12
    starts = token_starts(weights)
    assert np.abs(starts - np.array([0, 8, 17, 30])).max() <= 2
    assert (np.diff(starts) >= 0).all()

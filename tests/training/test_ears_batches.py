"""Batches of the ears' training: joined items, silences, targets."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from training.ears.batches import IGNORED, MEL_BANDS, BatchMaker, Corpus, SpecialTokens, Take
from training.ears.learner import Learner, make_config
from training.ears.tokenizer import train_tokenizer
from training.ears.train import Optimizer, Workers

SENTENCES = ("the tide is out", "nobody came back", "seven boats at sea", "open the window now")
FRAMES = (60, 80, 100, 120)


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Corpus, Tokenizer]:
    """Four short items and one without words."""
    text = tmp_path / "text"
    text.mkdir()
    lines = [f"{a} and then {b}." for a in SENTENCES for b in SENTENCES for _ in range(12)]
    (text / "sentences.en.txt").write_text("\n".join(lines), encoding="utf-8")
    tokenizer = train_tokenizer(text)
    rng = np.random.default_rng(3)
    frames = (*FRAMES, 90)
    np.save(tmp_path / "mels-0000.npy", rng.uniform(-4, 1, (sum(frames), MEL_BANDS)).astype(np.float16))
    np.save(tmp_path / "phones-0000.npy", np.zeros(sum(frames), np.uint8))
    np.save(tmp_path / "noise.npy", rng.uniform(-1, 1, (3000, MEL_BANDS)).astype(np.float16))
    items = [
        {"text": text, "frames": count, "engine": "espeak", "voice": "v", "previous": ""}
        for text, count in zip((*SENTENCES, ""), frames, strict=True)
    ]
    (tmp_path / "items-0000.json").write_text(json.dumps({"phones": ["espeak:a"], "items": items}), encoding="utf-8")
    corpus = Corpus(tmp_path, tokenizer)
    corpus.refresh()
    return corpus, tokenizer


def test_a_take_of_two_items_holds_both_texts_and_a_quiet_gap(corpus: tuple[Corpus, Tokenizer]) -> None:
    made, tokenizer = corpus
    first, second = made.items[:2]
    take = Take((first, second), (0, 50, 30))
    mel, phones = made.take(take, np.random.default_rng(0))
    assert len(mel) == len(phones) == take.frames == first.frames + 50 + second.frames + 30
    np.testing.assert_array_equal(mel[: first.frames], made.mel(first))
    gap = slice(first.frames, first.frames + 50)
    assert mel[gap].mean() < made.mel(first).mean() - 1
    assert (phones[gap] == IGNORED).all()
    assert (phones[: first.frames] != IGNORED).all()
    assert tokenizer.decode(list(take.tokens)) == f" {SENTENCES[0]} {SENTENCES[1]}"


def test_batches_teach_every_token_and_the_end(corpus: tuple[Corpus, Tokenizer]) -> None:
    made, tokenizer = corpus
    special = SpecialTokens(tokenizer)
    batch = BatchMaker(made, special, 20.0).make([Take((item,), (0, 0)) for item in made.items])
    for row, text in enumerate(SENTENCES):
        learnt = [int(token) for token in batch.targets[row] if token != IGNORED]
        assert tokenizer.decode(learnt[1:-1]) == f" {text}"
        assert learnt[-1] == special.end
    assert [int(token) for token in batch.targets[4] if token != IGNORED] == [special.no_speech, special.end]


def test_a_round_joins_some_items_and_loses_none(corpus: tuple[Corpus, Tokenizer]) -> None:
    made, tokenizer = corpus
    maker = BatchMaker(made, SpecialTokens(tokenizer), 20.0)
    takes = maker._takes(made.items * 100)
    counts = [len(take.items) for take in takes]
    assert 2 in counts
    assert sum(counts) == 500
    assert all(take.frames <= maker.longest_s * 50 for take in takes)


def test_a_few_steps_learn_four_sentences(corpus: tuple[Corpus, Tokenizer]) -> None:
    made, tokenizer = corpus
    special = SpecialTokens(tokenizer)
    batch = BatchMaker(made, special, 20.0).make([Take((item,), (0, 0)) for item in made.items])
    torch.manual_seed(5)
    learner = Learner(make_config(tokenizer, 64, 1, 1))
    optimizer = Optimizer(learner, Workers())
    losses = []
    for _ in range(30):
        text_loss, phone_loss, accuracy = learner(batch, special.end + 1)
        (text_loss + phone_loss).backward()
        optimizer.step(3e-3)
        learner.zero_grad()
        losses.append((text_loss.item(), phone_loss.item()))
    assert losses[-1][0] < 0.5 * losses[0][0]
    assert losses[-1][1] < losses[0][1]
    assert float(accuracy) > 0.6

"""Engines in turns, and peers that must speak as long as they are told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import peers_voice
from benchmarks.peers_voice import FixedDurations, Peer, Sentence, checked, spread
from benchmarks.side_by_side import Times, in_turns, middle_ms, print_rows, ratios, timed, total_s


def test_everybody_does_every_piece_and_nobody_always_begins() -> None:
    calls: list[tuple[str, int]] = []

    def work(name: str, piece: int) -> Iterator[str]:
        calls.append((name, piece))
        yield f"{name}{piece}"

    engines = {name: (lambda piece, name=name: work(name, piece)) for name in "abc"}
    outputs, times = in_turns(engines, 2, 3)
    counted = calls[3:]
    assert calls[:3] == [("a", 0), ("b", 0), ("c", 0)]
    assert len(counted) == 3 * 2 * 3
    assert {name for name, _ in counted[::3]} == {"a", "b", "c"}
    assert [piece for _, piece in counted] == [0, 0, 0, 1, 1, 1] * 3
    assert outputs["b"] == [["b0"], ["b1"]]
    assert {name: [len(pieces) for pieces in rounds] for name, rounds in times.items()} == {name: [2, 2, 2] for name in "abc"}


def test_first_output_comes_before_the_rest() -> None:
    given, times = timed(lambda piece: (sum(range(200_000)) for _ in range(piece)), 3)
    assert len(given) == 3
    assert 0 < times.first_s < times.wall_s
    with pytest.raises(ValueError, match="gave nothing"):
        timed(lambda _: [], 0)


def test_ratios_are_taken_round_by_round() -> None:
    def rounds(*seconds: float) -> list[list[Times]]:
        return [[Times(s / 2, s, s), Times(s / 2, s, s)] for s in seconds]

    times = {"ours": rounds(1.0, 10.0, 2.0), "theirs": rounds(3.0, 40.0, 10.0)}
    assert ratios(times, "theirs", "ours", "wall_s") == {"median": 4.0, "lowest": 3.0, "highest": 5.0}
    assert total_s(times, "theirs", "wall_s") == 20.0
    assert middle_ms(times, "ours", "first_s") == 1000.0


def test_a_table_has_a_line_per_engine(capsys: pytest.CaptureFixture[str]) -> None:
    ratio = {"median": 2.5, "lowest": 2.0, "highest": 3.0}
    print_rows("ears", {"ours": {"ms": 4}, "theirs": {"ms": 10, "ms / ours": ratio}, "gone": {"note": "not installed"}})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["ears", "ours", "theirs", "gone"]
    assert "2.5 (2.0-3.0)" in lines[2]


@pytest.mark.parametrize(("frames", "tokens"), [(100, 7), (3, 9), (8, 8)])
def test_durations_add_up(frames: int, tokens: int) -> None:
    durations = spread(frames, tokens)
    assert len(durations) == tokens
    assert int(durations.sum()) == frames
    assert int(durations.max() - durations.min()) <= 1
    layer = torch.nn.Linear(2, 2)
    predictor = FixedDurations(layer, lambda given: given + 1)
    predictor.frames = durations
    assert torch.equal(predictor(torch.zeros(1, 2)), durations + 1)


def sentence(seconds: float) -> Sentence:
    return Sentence("Hello there.", (), seconds)


def test_a_peer_that_speaks_longer_than_ours_is_refused() -> None:
    def say(_: Sentence) -> Iterator[Tensor]:
        yield torch.zeros(8000)
        yield torch.zeros(8000)

    peer = Peer(1, 16_000, True, say)
    assert checked("peer", peer, sentence(1.0)) == 16_000
    with pytest.raises(ValueError, match=r"spoke 1.00 s where our voice spoke 1.20 s"):
        checked("peer", peer, sentence(1.2))


def test_a_peer_that_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: object) -> Peer:
        raise ModuleNotFoundError("nobody")

    monkeypatch.setattr(peers_voice, "PEERS", {"nobody": ("nobody==1.0", build)})
    rows = peers_voice.compare(["The boats came back."], Path("."), ["nobody"], 1)
    assert rows["nobody"] == {"note": "not installed: pip install nobody==1.0"}
    assert rows["descant"]["weights"] == "trained"

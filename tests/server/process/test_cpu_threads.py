"""How many threads are chosen, from times that are given and on this machine."""

import pytest
import torch

from models.cpu_cores import usable_cores
from models.registry import load_synthesizer
from server.config import Settings
from server.process.cpu_threads import candidates, fastest, measured_threads


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1]), (2, [1]), (3, [1]), (4, [1, 2]), (16, [1, 2, 4, 8]), (24, [1, 2, 4, 8])]
)
def test_half_of_the_cores_are_left_to_the_other_model(cores: int, counts: list[int]) -> None:
    assert candidates(cores) == counts


def test_threads_are_added_as_long_as_a_step_gets_clearly_shorter() -> None:
    times_s = {1: 0.1, 2: 0.06, 4: 0.055, 8: 0.01}
    measured: list[int] = []

    def step_s(count: int) -> float:
        measured.append(count)
        return times_s[count]

    assert fastest([1, 2, 4, 8], step_s) == 2
    assert measured == [1, 2, 4]
    assert fastest([1], step_s) == 1
    assert measured == [1, 2, 4], "nothing is measured where there is no choice"


def test_the_voice_is_measured_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    voice, before = load_synthesizer("conv_tts", "cpu", 4), torch.get_num_threads()
    asked: list[int] = []
    monkeypatch.setattr("server.process.cpu_threads.usable_cores", lambda: 4)

    def set_threads(count: int) -> None:
        asked.append(count)
        torch.set_num_threads(count)

    try:
        chosen = measured_threads(voice, set_threads)
        assert asked == [1, 2, chosen]
        assert torch.get_num_threads() == chosen
        for slot in range(4):
            voice.admit(slot, voice.info.voices[0])  # all are free
            assert not len(voice.step([slot])[0].pcm)
    finally:
        torch.set_num_threads(before)


def test_the_setting_counts_where_it_is_given() -> None:
    assert Settings().threads == 0
    assert Settings(threads=3).threads == 3
    assert usable_cores() >= 1

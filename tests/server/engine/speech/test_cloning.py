"""What a clip must have before a voice is made of it, and how clips wait for each other."""

import asyncio
import threading

import numpy as np
import pytest

from models.audio import Pcm
from models.voices import ClonedVoice
from server.engine.speech.cloning import CLIP_RATE_HZ, LEAST_SPEECH_S, MOST_USED_S, Cloning
from server.errors import Busy, InvalidRequest
from tests.fakes import FakeCloner, FakeDetector


def tone(seconds: float, level: float = 0.1) -> Pcm:
    time_s = np.arange(round(seconds * CLIP_RATE_HZ)) / CLIP_RATE_HZ
    return np.asarray(level * np.sin(2 * np.pi * 150 * time_s), np.float32)


def hush(seconds: float) -> Pcm:
    return np.zeros(round(seconds * CLIP_RATE_HZ), np.float32)


def cloning(cloner: FakeCloner | None = None) -> Cloning:
    made = cloner or FakeCloner()
    return Cloning(lambda: made, FakeDetector())


async def test_silence_around_speech_and_level_do_not_count() -> None:
    cloner = FakeCloner()
    loud = await cloning(cloner).clone(tone(4), "clip")
    quiet = await cloning(cloner).clone(np.concatenate([hush(3), tone(4, 0.001), hush(5)]), "clip")
    assert loud.record["pitch"] == pytest.approx(quiet.record["pitch"], rel=0.15)
    plain, trimmed = cloner.clips
    assert len(plain) == 4 * CLIP_RATE_HZ
    assert 4 <= len(trimmed) / CLIP_RATE_HZ <= 4.5
    for pcm in cloner.clips:
        assert np.abs(pcm).max() == pytest.approx(0.7, abs=0.01)


async def test_pauses_stay_and_the_end_of_a_long_clip_goes() -> None:
    cloner = FakeCloner()
    await cloning(cloner).clone(np.concatenate([tone(2), hush(1), tone(2)]), "clip")
    await cloning(cloner).clone(tone(60), "clip")
    assert [round(len(pcm) / CLIP_RATE_HZ, 1) for pcm in cloner.clips] == [5.0, MOST_USED_S]


@pytest.mark.parametrize(
    ("pcm", "message"),
    [
        (hush(5), "clip: is silent"),
        (tone(LEAST_SPEECH_S - 0.2), "clip: holds 1.8 s of speech; at least 2 s are needed, 3 to 10 s are best"),
        (np.concatenate([tone(1), hush(20)]), "clip: holds 1.0 s of speech"),
        (np.repeat(np.array([0.1, -0.1], np.float32), 20_000), "clip: nothing in it is voiced"),
    ],
)
async def test_clips_without_enough_speech_are_refused(pcm: Pcm, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await cloning().clone(pcm, "clip")
    assert refusal.value.message.startswith(message)
    assert refusal.value.field == "clip"


class SlowCloner(FakeCloner):
    """Waits for the test, and notes how many clips are worked on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.working = self.most_working = 0

    def clone(self, pcm: Pcm) -> ClonedVoice:
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        self.go_on.wait(10)
        self.working -= 1
        return super().clone(pcm)


async def test_one_at_a_time_and_the_fifth_is_told_to_come_back() -> None:
    slow = SlowCloner()
    one = cloning(slow)
    first = [asyncio.create_task(one.clone(tone(3), "clip")) for _ in range(4)]
    await asyncio.sleep(0.05)
    with pytest.raises(Busy) as refusal:
        await one.clone(tone(3), "clip")
    assert refusal.value.retry_after_s
    slow.go_on.set()
    assert len(await asyncio.gather(*first)) == 4
    assert slow.most_working == 1
    await one.clone(tone(3), "clip")


async def test_models_are_loaded_by_the_first_clip_only() -> None:
    loads: list[int] = []

    def load() -> FakeCloner:
        loads.append(1)
        return FakeCloner()

    lazy = Cloning(load, FakeDetector())
    with pytest.raises(InvalidRequest):
        await lazy.clone(hush(3), "clip")
    assert not loads
    for _ in range(2):
        await lazy.clone(tone(3), "clip")
    assert loads == [1]

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from models.audio import Pcm
from server.audio.input import InputChain
from server.audio.off_loop import HAND_OVER_S, PIECE_BYTES, decoded, encoded
from server.audio.output import OutputChain
from server.requests.audio_format import AudioFormat, Container, Encoding
from tests.server.audio.signals import noise

CHUNK = 7200
"""300 ms at 24 kHz, what the embedded voice gives at most in a step."""
TELEPHONE = AudioFormat(Container.RAW, Encoding.PCM_MULAW, 8000)
MUSIC = AudioFormat(Container.MP3, sample_rate_hz=44100)


class Watched(OutputChain):
    """Says which threads encode."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__(audio, 24000)
        self.threads: list[str] = []

    def encode(self, pcm: Pcm) -> bytes:
        self.threads.append(threading.current_thread().name)
        return super().encode(pcm)


@pytest.mark.parametrize("audio", [TELEPHONE, MUSIC], ids=str)
async def test_long_work_leaves_the_loop_and_gives_the_same_bytes(audio: AudioFormat) -> None:
    chain, plain = Watched(audio), OutputChain(audio, 24000)
    assert chain.work_s(CHUNK) > HAND_OVER_S
    data = b"".join([await encoded(chain, noise(CHUNK)) for _ in range(3)])
    assert data == b"".join(plain.encode(noise(CHUNK)) for _ in range(3))
    assert all(name.startswith("descant-audio") for name in chain.threads)


async def test_short_work_is_not_worth_the_way() -> None:
    chain = Watched(AudioFormat(Container.RAW, Encoding.PCM_S16LE, 24000))
    await encoded(chain, noise(CHUNK))
    telephone = Watched(TELEPHONE)
    await encoded(telephone, noise(480))
    assert {*chain.threads, *telephone.threads} == {threading.current_thread().name}


async def test_audio_in_comes_out_the_same() -> None:
    data = np.arange(65_536).astype("<i2").tobytes()
    chain, plain = (InputChain(Encoding.PCM_S16LE, 48000, 16000) for _ in range(2))
    assert plain.work_s(PIECE_BYTES) > HAND_OVER_S > plain.work_s(160)
    pieces = [pcm async for pcm in decoded(chain, data)]
    assert len(pieces) == len(data) / PIECE_BYTES
    np.testing.assert_array_equal(np.concatenate(pieces), plain.feed(data))


async def test_what_goes_wrong_off_the_loop_is_raised_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pcm: Any) -> bytes:
        raise RuntimeError("no encoder")

    chain = OutputChain(MUSIC, 24000)
    monkeypatch.setattr(chain, "encode", fail)
    with pytest.raises(RuntimeError, match="no encoder"):
        await asyncio.wait_for(encoded(chain, noise(CHUNK)), 5)

"""The events of a context with bytes for samples: what stands around the audio, and in which order."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from server.audio.output import OutputChain
from server.audio.speech import EncodedAudio, encoded_speech
from server.requests.audio_format import AudioFormat, Container, Encoding
from server.requests.speech import SpeechEvent, SpeechFlushed, SpokenAudio, StageTimes
from tests.server.audio.signals import noise

WAV_8K = AudioFormat(Container.WAV, Encoding.PCM_S16LE, 8000)
"""From 24 kHz the chain holds back 4 ms."""


async def told(*events: SpeechEvent) -> AsyncIterator[SpeechEvent]:
    for event in events:
        yield event


async def test_header_in_front_of_the_first_audio_and_what_was_held_back_at_the_end() -> None:
    pcm = noise(2400)
    events = told(SpokenAudio(pcm[:1200], 0.0, 0), SpeechFlushed(0), SpokenAudio(pcm[1200:], 0.05, 1))
    times, chain, plain = StageTimes(0.0), OutputChain(WAV_8K, 24000), OutputChain(WAV_8K, 24000)
    first, flushed, second, tail = [event async for event in encoded_speech(events, times, chain, b"header")]
    assert flushed == SpeechFlushed(0)
    assert isinstance(first, EncodedAudio)
    assert isinstance(second, EncodedAudio)
    assert isinstance(tail, EncodedAudio)
    assert [audio.flush_index for audio in (first, second, tail)] == [0, 1, 1]
    assert first.data + second.data + tail.data == b"header" + plain.encode(pcm) + plain.finish()
    assert len(tail.data) == 2 * 8000 * 4 // 1000
    assert times.encoded_s is not None


@pytest.mark.parametrize("samples", [[], [0, 0]])
async def test_no_audio_no_header_and_no_time(samples: list[int]) -> None:
    times = StageTimes(0.0)
    events = told(*(SpokenAudio(np.zeros(size, dtype=np.float32), 0.0, 0) for size in samples), SpeechFlushed(0))
    assert [event async for event in encoded_speech(events, times, OutputChain(WAV_8K, 24000), b"header")] == [SpeechFlushed(0)]
    assert times.encoded_s is None


async def test_a_clip_shorter_than_what_is_held_back_has_its_header_too() -> None:
    times, events = StageTimes(0.0), told(SpokenAudio(noise(48), 0.0, 0))
    (only,) = [event async for event in encoded_speech(events, times, OutputChain(WAV_8K, 24000), b"h")]
    assert isinstance(only, EncodedAudio)
    assert only.data[:1] == b"h"
    assert len(only.data) == 1 + 2 * 16
    assert times.encoded_s is not None

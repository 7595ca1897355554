import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio.encodings import SAMPLE_BYTES
from server.audio.files import decode_headerless
from server.audio.input import InputChain
from server.errors import InvalidRequest, RequestTooLarge
from server.requests.audio_format import Encoding
from tests.server.audio.signals import level_db, tone


@pytest.mark.parametrize("encoding", list(Encoding))
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 333), min_size=1, max_size=5).filter(any))
def test_messages_may_cut_samples_in_two(encoding: Encoding, sizes: list[int]) -> None:
    data = np.random.default_rng(1).bytes(2003)
    chain = InputChain(encoding, 8000, 16000)
    pieces, start, turn = [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(chain.feed(data[start : start + size]))
        start, turn = start + size, turn + 1
    pieces.append(chain.finish())
    np.testing.assert_array_equal(np.concatenate(pieces), decode_headerless(data, encoding, 8000, max_s=1))


@pytest.mark.parametrize("sample_rate_hz", [4000, 8000, 11025, 16000, 24000, 44100, 48000, 192000])
def test_a_tone_arrives_at_the_target_rate(sample_rate_hz: int) -> None:
    data = (tone(500.0, sample_rate_hz) * 32767).astype("<i2").tobytes()
    pcm = decode_headerless(data, Encoding.PCM_S16LE, sample_rate_hz, max_s=1)
    assert pcm.dtype == np.float32
    assert len(pcm) == 16000
    assert level_db((pcm - tone(500.0, 16000))[500:-500]) < -60.0


@pytest.mark.parametrize("encoding", list(Encoding))
def test_bare_samples_that_last_too_long(encoding: Encoding) -> None:
    """To the sample; of a larger file no more is read than it takes to see it."""
    most = bytes(8000 * SAMPLE_BYTES[encoding])
    assert len(decode_headerless(most, encoding, 8000, max_s=1)) == 16000
    file = io.BytesIO(most * 3)
    with pytest.raises(RequestTooLarge, match="file: the audio is longer than 1 s"):
        decode_headerless(file, encoding, 8000, max_s=1)
    assert file.tell() <= len(most) + 8


def test_an_empty_stream_gives_nothing() -> None:
    chain = InputChain(Encoding.PCM_F32LE, 44100, 16000)
    assert len(chain.feed(b"")) == 0
    assert len(chain.feed(b"\0\0\0")) == 0
    assert len(chain.finish()) == 0


@pytest.mark.parametrize("sample_rate_hz", [0, -1, 3999, 192_001])
def test_sample_rates_out_of_range(sample_rate_hz: int) -> None:
    with pytest.raises(InvalidRequest, match="4000 to 192000") as caught:
        InputChain(Encoding.PCM_S16LE, sample_rate_hz, 16000, "audio.")
    assert caught.value.field == "audio.sample_rate"


def test_unknown_encoding_names_the_field() -> None:
    with pytest.raises(InvalidRequest, match="pcm_f16le") as caught:
        InputChain("mp3", 16000, 16000)  # type: ignore[arg-type]
    assert caught.value.field == "encoding"

from itertools import pairwise

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from server.audio.encodings import DECODERS, ENCODERS, SAMPLE_BYTES, find_decoder, find_encoder, to_int16
from server.errors import InvalidRequest
from server.requests.audio_format import OUTPUT_ENCODINGS, Encoding
from tests.server.audio.signals import level_db, noise

ALL_CODES = bytes(range(256))
ALL_INT16 = np.arange(-32768, 32768).astype(np.int16)
ALL_INT16_AS_PCM = (ALL_INT16 / np.float32(32768)).astype(np.float32)
G711 = (Encoding.PCM_MULAW, Encoding.PCM_ALAW)


@pytest.mark.parametrize(
    ("encoding", "lowest_signal_to_noise_db"),
    [(Encoding.PCM_F32LE, 140.0), (Encoding.PCM_S16LE, 80.0), (Encoding.PCM_MULAW, 34.0), (Encoding.PCM_ALAW, 34.0)],
)
def test_round_trip(encoding: Encoding, lowest_signal_to_noise_db: float) -> None:
    pcm = noise(8000)
    data = ENCODERS[encoding](pcm)
    assert len(data) == len(pcm) * SAMPLE_BYTES[encoding]
    back = DECODERS[encoding](data)
    assert back.dtype == np.float32
    assert level_db(pcm) - level_db(back - pcm) > lowest_signal_to_noise_db


@pytest.mark.parametrize(("encoding", "kind", "scale"), [(Encoding.PCM_S32LE, "<i4", 2**31), (Encoding.PCM_F16LE, "<f2", 1)])
def test_input_only_encodings(encoding: Encoding, kind: str, scale: int) -> None:
    values = np.array([0.0, 0.5, -0.25, -1.0])
    assert DECODERS[encoding]((values * scale).astype(kind).tobytes()).tolist() == values.tolist()


def test_every_output_encoding_is_an_input_encoding_too() -> None:
    assert set(ENCODERS) == set(OUTPUT_ENCODINGS)
    assert set(DECODERS) == set(Encoding) == set(SAMPLE_BYTES)


@pytest.mark.parametrize("encoding", OUTPUT_ENCODINGS)
def test_full_scale_clips_instead_of_wrapping(encoding: Encoding) -> None:
    pcm = np.array([1.0, -1.0, 1.5, -1.5, 1e9, -1e9, np.inf, -np.inf, np.nan], dtype=np.float32)
    back = DECODERS[encoding](ENCODERS[encoding](pcm))
    assert np.abs(back).max() <= 1.0
    np.testing.assert_array_equal(np.sign(back[:8]), np.sign(pcm[:8]))
    assert (np.abs(back[:8]) > 0.97).all()
    assert abs(back[8]) < 1e-3


def test_int16_steps() -> None:
    assert to_int16(np.array([1.0, -1.0, 0.0, 1 / 32768, 0.6 / 32768], dtype=np.float32)).tolist() == [32767, -32768, 0, 1, 1]
    np.testing.assert_array_equal(to_int16(ALL_INT16_AS_PCM), ALL_INT16)


@pytest.mark.parametrize("encoding", G711)
def test_g711_decodes_as_ffmpeg_does(encoding: Encoding) -> None:
    codec = AudioCodecContext.create(encoding.value, "r")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate = 8000
    codec.layout = "mono"
    judged = np.concatenate([frame.to_ndarray().ravel() for frame in codec.decode(av.Packet(ALL_CODES))])
    np.testing.assert_array_equal(to_int16(DECODERS[encoding](ALL_CODES)), judged)


@pytest.mark.parametrize(
    ("encoding", "segment_ends", "unit"),
    [
        # Ends of segments in tables 2a (14 bits) and 1a (13 bits) of G.711, and 16-bit steps per unit of the table.
        (Encoding.PCM_MULAW, [31, 95, 223, 479, 991, 2015, 4063, 8159], 4),
        (Encoding.PCM_ALAW, [64, 128, 256, 512, 1024, 2048, 4096], 8),
    ],
)
def test_g711_decision_levels(encoding: Encoding, segment_ends: list[int], unit: int) -> None:
    codes = np.frombuffer(ENCODERS[encoding](ALL_INT16_AS_PCM[32768:]), dtype=np.uint8)
    changes = set((np.flatnonzero(np.diff(codes.astype(int))) + 1).tolist())
    levels = set(segment_ends[:-1])
    for start, end in pairwise([*segment_ends]):
        levels |= set(range(start, end, (end - start) // 16))
    if encoding == Encoding.PCM_MULAW:
        levels |= set(range(1, 31, 2))
    else:
        levels |= set(range(2, 64, 2))
    assert changes == {level * unit for level in levels}
    below_zero = np.frombuffer(ENCODERS[encoding](ALL_INT16_AS_PCM[:32768][::-1]), dtype=np.uint8)
    np.testing.assert_array_equal(below_zero ^ 0x80, codes)


def test_g711_known_values() -> None:
    """Corner values of the tables in ITU-T G.711 (1988), on 16 bits."""
    mulaw = to_int16(DECODERS[Encoding.PCM_MULAW](bytes([0x00, 0x80, 0x7F, 0xFF, 0x8F, 0x0F, 0xF0])))
    assert mulaw.tolist() == [-32124, 32124, 0, 0, 16764, -16764, 120]
    alaw = to_int16(DECODERS[Encoding.PCM_ALAW](bytes([0x55, 0xD5, 0x2A, 0xAA])))
    assert alaw.tolist() == [-8, 8, -32256, 32256]
    encoded = ENCODERS[Encoding.PCM_MULAW](np.array([0, 1.0, -1.0, -1 / 32768], dtype=np.float32))
    assert encoded == bytes([0xFF, 0x80, 0x00, 0x7F])
    assert ENCODERS[Encoding.PCM_ALAW](np.array([0, 1.0, -1.0, -1 / 32768], dtype=np.float32)) == bytes(
        [0xD5, 0xAA, 0x2A, 0x55]
    )


@pytest.mark.parametrize("encoding", G711)
def test_g711_codes_survive_a_round_trip(encoding: Encoding) -> None:
    """Every code but mu-law's minus zero comes back as itself."""
    again = ENCODERS[encoding](DECODERS[encoding](ALL_CODES))
    changed = [code for code in ALL_CODES if again[code] != code]
    assert changed == ([0x7F] if encoding == Encoding.PCM_MULAW else [])


def test_floats_from_outside_are_made_harmless() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 3e38], dtype="<f4").tobytes()
    assert DECODERS[Encoding.PCM_F32LE](wild).tolist() == [0.0, 1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    ("find", "known"), [(find_encoder, [e.value for e in OUTPUT_ENCODINGS]), (find_decoder, [e.value for e in Encoding])]
)
def test_unknown_encoding_lists_the_known_ones(find: object, known: list[str]) -> None:
    assert callable(find)
    with pytest.raises(InvalidRequest) as caught:
        find("opus", "output_format.encoding")
    assert caught.value.field == "output_format.encoding"
    assert "opus" in caught.value.message
    for name in known:
        assert name in caught.value.message


def test_input_only_encodings_are_refused_for_output() -> None:
    with pytest.raises(InvalidRequest, match="pcm_s32le"):
        find_encoder(Encoding.PCM_S32LE)

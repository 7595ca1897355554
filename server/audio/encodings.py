"""Two tables: encoding name to encode function, encoding name to decode function.

mu-law and A-law follow ITU-T G.711 (segment tables of its annexes) on samples
of 16 bits, bit for bit as the ITU's reference tools do it: mu-law on 14 bits
with rounding towards zero, A-law on 13 bits.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.audio import Pcm
from server.errors import InvalidRequest
from server.requests.audio_format import OUTPUT_ENCODINGS, Encoding

Encoder = Callable[[Pcm], bytes]
Decoder = Callable[[bytes], Pcm]

_MULAW_BIAS = 33
_MULAW_CLIP = 8158
"""Largest magnitude on 14 bits; with the bias it stays inside the last segment."""


def to_int16(pcm: Pcm) -> NDArray[np.int16]:
    """Round to the nearest step of 1/32768 and clip; +1.0 becomes 32767, NaN silence."""
    scaled = np.rint(_sane(pcm).astype(np.float32) * np.float32(32768.0))
    samples: NDArray[np.int16] = np.minimum(scaled, 32767).astype(np.int16)
    return samples


def from_int16(samples: NDArray[np.int16]) -> Pcm:
    return samples.astype(np.float32) / np.float32(32768.0)


def _mulaw_decode_table() -> NDArray[np.int16]:
    """int16 [256]: G.711 table 2a, scaled from 14 to 16 bits."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((2 * mantissa + _MULAW_BIAS) << exponent) - _MULAW_BIAS) << 2
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _mulaw_encode_table() -> NDArray[np.uint8]:
    """uint8 [65536], indexed by the 16-bit sample read as unsigned."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    # One's complement of negatives: -1 is the same step as 0 (the sign bit tells them apart).
    magnitude = np.where(samples < 0, ~samples, samples) >> 2
    biased = np.minimum(magnitude, _MULAW_CLIP) + _MULAW_BIAS
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 5
    mantissa = (biased >> (exponent + 1)) & 15
    code = (np.where(samples < 0, 0x80, 0) | (exponent << 4) | mantissa) ^ 0xFF
    return np.asarray(code, dtype=np.uint8)


def _alaw_decode_table() -> NDArray[np.int16]:
    """int16 [256]: G.711 table 1a, scaled from 13 to 16 bits; even bits are inverted on the line."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (2 * mantissa + 1) << 3, (2 * mantissa + 33) << (exponent + 2))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _alaw_encode_table() -> NDArray[np.uint8]:
    """uint8 [65536], indexed by the 16-bit sample read as unsigned."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(samples < 0, ~samples, samples) >> 4
    exponent = np.where(magnitude < 32, magnitude >> 4, np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3)
    mantissa = (magnitude >> np.maximum(exponent - 1, 0)) & 15
    code = (np.where(samples < 0, 0, 0x80) | (exponent << 4) | mantissa) ^ 0x55
    return np.asarray(code, dtype=np.uint8)


_MULAW_TO_INT16 = _mulaw_decode_table()
_INT16_TO_MULAW = _mulaw_encode_table()
_ALAW_TO_INT16 = _alaw_decode_table()
_INT16_TO_ALAW = _alaw_encode_table()


def _encode_s16le(pcm: Pcm) -> bytes:
    return to_int16(pcm).astype("<i2").tobytes()


def _encode_f32le(pcm: Pcm) -> bytes:
    return _sane(pcm).astype("<f4").tobytes()


def _encode_mulaw(pcm: Pcm) -> bytes:
    return _INT16_TO_MULAW[to_int16(pcm).view(np.uint16)].tobytes()


def _encode_alaw(pcm: Pcm) -> bytes:
    return _INT16_TO_ALAW[to_int16(pcm).view(np.uint16)].tobytes()


def _decode_s16le(data: bytes) -> Pcm:
    return from_int16(np.frombuffer(data, dtype="<i2").astype(np.int16))


def _decode_s32le(data: bytes) -> Pcm:
    return (np.frombuffer(data, dtype="<i4") / 2147483648.0).astype(np.float32)


def _decode_f32le(data: bytes) -> Pcm:
    return _sane(np.frombuffer(data, dtype="<f4").astype(np.float32))


def _decode_f16le(data: bytes) -> Pcm:
    return _sane(np.frombuffer(data, dtype="<f2").astype(np.float32))


def _decode_mulaw(data: bytes) -> Pcm:
    return from_int16(_MULAW_TO_INT16[np.frombuffer(data, dtype=np.uint8)])


def _decode_alaw(data: bytes) -> Pcm:
    return from_int16(_ALAW_TO_INT16[np.frombuffer(data, dtype=np.uint8)])


def _sane(pcm: Pcm) -> Pcm:
    """Clipped to full scale, NaN silenced: a client's floats may be anything, and filters with memory never forget a NaN."""
    return np.clip(np.nan_to_num(pcm, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)


ENCODERS: Mapping[Encoding, Encoder] = {
    Encoding.PCM_F32LE: _encode_f32le,
    Encoding.PCM_S16LE: _encode_s16le,
    Encoding.PCM_MULAW: _encode_mulaw,
    Encoding.PCM_ALAW: _encode_alaw,
}

DECODERS: Mapping[Encoding, Decoder] = {
    Encoding.PCM_S16LE: _decode_s16le,
    Encoding.PCM_S32LE: _decode_s32le,
    Encoding.PCM_F16LE: _decode_f16le,
    Encoding.PCM_F32LE: _decode_f32le,
    Encoding.PCM_MULAW: _decode_mulaw,
    Encoding.PCM_ALAW: _decode_alaw,
}

SAMPLE_BYTES: Mapping[Encoding, int] = {
    Encoding.PCM_S16LE: 2,
    Encoding.PCM_S32LE: 4,
    Encoding.PCM_F16LE: 2,
    Encoding.PCM_F32LE: 4,
    Encoding.PCM_MULAW: 1,
    Encoding.PCM_ALAW: 1,
}


def find_encoder(encoding: str, field: str = "encoding") -> Encoder:
    """Raises InvalidRequest naming ``field`` and listing the output encodings."""
    try:
        return ENCODERS[Encoding(encoding)]
    except (ValueError, KeyError):
        raise InvalidRequest.choice(field, str(encoding), OUTPUT_ENCODINGS) from None


def find_decoder(encoding: str, field: str = "encoding") -> Decoder:
    """Raises InvalidRequest naming ``field`` and listing the input encodings."""
    try:
        return DECODERS[Encoding(encoding)]
    except (ValueError, KeyError):
        raise InvalidRequest.choice(field, str(encoding), DECODERS) from None

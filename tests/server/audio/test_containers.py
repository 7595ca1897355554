import io
import struct
import wave

import numpy as np
import pytest

from server.audio.containers import Mp3Encoder, mp3_bit_rates_bps, wav_header, wav_padding
from server.audio.encodings import ENCODERS
from server.audio.files import decode_file
from server.errors import InvalidRequest
from server.requests.audio_format import MP3_BIT_RATES_BPS, OUTPUT_ENCODINGS, OUTPUT_SAMPLE_RATES_HZ, Encoding
from tests.server.audio.signals import cut, noise, tone


@pytest.mark.parametrize(
    ("encoding", "tag", "width", "header_bytes"),
    [
        (Encoding.PCM_S16LE, 1, 2, 44),
        (Encoding.PCM_F32LE, 3, 4, 58),
        (Encoding.PCM_ALAW, 6, 1, 58),
        (Encoding.PCM_MULAW, 7, 1, 58),
    ],
)
def test_wav_header_fields(encoding: Encoding, tag: int, width: int, header_bytes: int) -> None:
    header = wav_header(encoding, 22050)
    assert len(header) == header_bytes
    assert header[:4] == b"RIFF"
    assert header[8:16] == b"WAVEfmt "
    assert struct.unpack("<I", header[4:8])[0] == 0xFFFFFFFF
    assert struct.unpack("<HHIIHH", header[20:36]) == (tag, 1, 22050, 22050 * width, width, 8 * width)
    assert header[-8:] == b"data\xff\xff\xff\xff"
    assert (b"fact\x04\x00\x00\x00\xff\xff\xff\xff" in header) == (tag != 1)


@pytest.mark.parametrize("encoding", OUTPUT_ENCODINGS)
@pytest.mark.parametrize("samples", [0, 3, 1000])
def test_sized_wav_adds_up(encoding: Encoding, samples: int) -> None:
    data = ENCODERS[encoding](noise(samples))
    file = wav_header(encoding, 8000, len(data)) + data + wav_padding(len(data))
    assert struct.unpack("<I", file[4:8])[0] == len(file) - 8
    assert len(file) % 2 == 0
    position, chunks = 12, {}
    while position < len(file):
        name, size = struct.unpack("<4sI", file[position : position + 8])
        chunks[name] = file[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    assert chunks[b"data"] == data
    if encoding != Encoding.PCM_S16LE:
        assert struct.unpack("<I", chunks[b"fact"]) == (samples,)


def test_the_standard_library_reads_a_sized_file() -> None:
    data = ENCODERS[Encoding.PCM_S16LE](tone(440, 16000))
    with wave.open(io.BytesIO(wav_header(Encoding.PCM_S16LE, 16000, len(data)) + data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (16000, 1, 2, 16000)
        assert file.readframes(16000) == data


@pytest.mark.parametrize("sample_rate_hz", OUTPUT_SAMPLE_RATES_HZ)
@pytest.mark.parametrize("bit_rate_bps", MP3_BIT_RATES_BPS)
def test_mp3_has_the_bit_rate_asked_for_or_is_refused(sample_rate_hz: int, bit_rate_bps: int) -> None:
    if bit_rate_bps not in mp3_bit_rates_bps(sample_rate_hz):
        with pytest.raises(
            InvalidRequest, match=f"{bit_rate_bps} .*at {sample_rate_hz} Hz; accepted values: 32000, 64000"
        ) as caught:
            Mp3Encoder(sample_rate_hz, bit_rate_bps)
        assert caught.value.field == "bit_rate"
        return
    encoder = Mp3Encoder(sample_rate_hz, bit_rate_bps)
    data = encoder.encode(tone(440, sample_rate_hz, duration_s=2.0)) + encoder.finish()
    assert data[0] == 0xFF
    assert data[1] & 0xE0 == 0xE0
    assert len(data) * 8 / 2.0 == pytest.approx(bit_rate_bps, rel=0.09)  # The encoder's delay and last frame add up to 0.16 s.
    decoded = decode_file(data, max_s=10)
    spectrum = np.abs(np.fft.rfft(decoded[8000:24000]))
    assert int(spectrum.argmax()) == 440


def test_no_mp3_rate_lies_between_the_versions() -> None:
    """48 kHz takes everything, 24 kHz all but 192 kbit/s, 8 kHz up to 64 kbit/s."""
    assert mp3_bit_rates_bps(48000) == MP3_BIT_RATES_BPS
    assert mp3_bit_rates_bps(24000) == (32000, 64000, 96000, 128000)
    assert mp3_bit_rates_bps(8000) == (32000, 64000)


def test_mp3_does_not_depend_on_how_its_input_is_cut() -> None:
    pcm = noise(20_000)
    whole = Mp3Encoder(24000, 64000)
    pieces = Mp3Encoder(24000, 64000)
    cut_up = b"".join(pieces.encode(piece) for piece in cut(pcm, [1, 300, 0, 2000])) + pieces.finish()
    assert cut_up == whole.encode(pcm) + whole.finish()


def test_mp3_of_nothing_is_nothing() -> None:
    encoder = Mp3Encoder(44100, 128000)
    assert encoder.encode(noise(0)) + encoder.finish() == b""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from models.audio import Pcm
from server.audio.files import ACCEPTED_FILES, decode_file
from server.audio.output import OutputChain
from server.errors import RequestTooLarge, UnsupportedMedia
from server.requests.audio_format import AudioFormat, Container, Encoding
from tests.server.audio.signals import level_db, tone

KINDS = [
    ("flac", "flac", 44100),
    ("ogg", "libopus", 48000),
    ("webm", "libopus", 48000),
    ("ipod", "aac", 44100),
    ("mp4", "aac", 16000),
    ("mp3", "libmp3lame", 44100),
    ("mpeg", "mp2", 48000),
    ("adts", "aac", 24000),
    ("wav", "pcm_s24le", 96000),
    ("wav", "pcm_u8", 8000),
    ("aiff", "pcm_s16be", 22050),
]
PLAIN = [("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac"), ("webm", "libopus")]


def encode(container: str, codec: str, sample_rate_hz: int, left: Pcm, right: Pcm) -> bytes:
    """A stereo file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=sample_rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.stack([left, right]), format="fltp", layout="stereo")
        frame.sample_rate = sample_rate_hz
        converter = av.AudioResampler(stream.codec_context.format.name, "stereo", sample_rate_hz)
        for converted in converter.resample(frame):
            file.mux(stream.encode(converted))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def stereo_tone(container: str, codec: str, sample_rate_hz: int, duration_s: float = 2.0) -> bytes:
    pcm = tone(440.0, sample_rate_hz, duration_s)
    return encode(container, codec, sample_rate_hz, pcm, pcm)


@pytest.mark.parametrize(("container", "codec", "sample_rate_hz"), KINDS)
def test_every_kind_of_file(container: str, codec: str, sample_rate_hz: int) -> None:
    data = stereo_tone(container, codec, sample_rate_hz)
    for source in (data, io.BytesIO(data)):
        pcm = decode_file(source, max_s=10)
        assert pcm.dtype == np.float32
        assert 32_000 - 10 <= len(pcm) <= 32_000 + 2500  # Lossy codecs add up to two frames of delay.
        middle = pcm[8000:24000]
        spectrum = np.abs(np.fft.rfft(middle))
        assert int(spectrum.argmax()) == 440
        assert level_db(middle) == pytest.approx(level_db(tone(440.0, 16000)), abs=0.6)


def test_channels_are_averaged_and_loud_stereo_does_not_clip() -> None:
    loud, silent = tone(440.0, 16000, amplitude=0.99), np.zeros(16000, dtype=np.float32)
    both = decode_file(encode("wav", "pcm_s16le", 16000, loud, loud), max_s=5)
    one = decode_file(encode("wav", "pcm_s16le", 16000, loud, silent), max_s=5)
    np.testing.assert_allclose(both, loud, atol=1e-3)
    np.testing.assert_allclose(one, loud / 2, atol=1e-3)


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("wav", "pcm_s16le"), ("flac", "flac"), ("webm", "libopus")]
)
def test_a_file_that_breaks_off_gives_what_it_holds(container: str, codec: str) -> None:
    data = stereo_tone(container, codec, 48000)
    pcm = decode_file(data[: len(data) // 2], max_s=10)
    assert 8000 < len(pcm) < 24000
    assert level_db(pcm[2000:8000]) == pytest.approx(level_db(tone(440.0, 16000)), abs=0.6)


def test_damage_in_the_middle_costs_only_the_damage() -> None:
    data = bytearray(stereo_tone("mp3", "libmp3lame", 44100))
    data[len(data) // 2 : len(data) // 2 + 1000] = b"\xaa" * 1000
    assert len(decode_file(bytes(data), max_s=10)) > 28_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, this is no audio " * 1000,
        bytes(100_000),
        np.random.default_rng(0).bytes(100_000),
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"%PDF-1.4\n" + bytes(1000),
        stereo_tone("mp4", "aac", 44100)[:20_000],
        stereo_tone("wav", "pcm_s16le", 44100)[:44],
        stereo_tone("wav", "pcm_s16le", 44100)[:20],
    ],
    ids=["empty", "text", "zeros", "noise", "png", "pdf", "mp4 without its index", "wav header only", "half a wav header"],
)
def test_what_holds_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        decode_file(data, max_s=10)
    assert caught.value.field == "file"
    for name in ACCEPTED_FILES:
        assert name in caught.value.message


def test_a_video_without_sound_is_refused() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    with pytest.raises(UnsupportedMedia, match="no audio stream"):
        decode_file(buffer.getvalue(), max_s=10)


def test_playlists_cannot_reach_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(stereo_tone("wav", "pcm_s16le", 16000))
    assert len(decode_file(secret.read_bytes(), max_s=10))
    for playlist in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"[playlist]\nFile1={secret}\nNumberOfEntries=1\n",
    ):
        with pytest.raises(UnsupportedMedia):
            decode_file(playlist.encode(), max_s=10)


@pytest.mark.parametrize(
    ("container", "codec"), [("flac", "flac"), ("mp3", "libmp3lame"), ("webm", "libopus"), ("wav", "pcm_s16le")]
)
def test_too_long(container: str, codec: str) -> None:
    data = stereo_tone(container, codec, 48000)
    with pytest.raises(RequestTooLarge, match=r"longer than 1\.5 s"):
        decode_file(data, max_s=1.5)
    assert len(decode_file(data, max_s=2.2))


def test_a_streamed_wav_declares_more_than_it_holds() -> None:
    chain = OutputChain(AudioFormat(Container.WAV, Encoding.PCM_S16LE, 16000), 16000)
    data = chain.header() + chain.encode(tone(440.0, 16000)) + chain.finish()
    assert len(decode_file(data, max_s=1.1)) == 16000

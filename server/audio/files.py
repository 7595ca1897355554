"""Uploaded audio files to samples, by FFmpeg's libraries through PyAV where they have a header.

A file that breaks off or has damaged spots is decoded as far as it goes; only
one that gives no audio at all is refused. Uploads are hostile until proven
otherwise: demuxers that open further files or addresses (playlists, concat) are
shut out by an allow-list, and the length is bounded while decoding, so that a
small file cannot swell into a large one.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

import av
import numpy as np
import soxr
from av.audio.resampler import AudioResampler

from models.audio import Pcm
from server.audio.encodings import SAMPLE_BYTES
from server.audio.input import InputChain
from server.errors import RequestTooLarge, UnsupportedMedia
from server.requests.audio_format import Encoding

FILE_RATE_HZ = 16_000
"""What recognizers take."""

ACCEPTED_FILES = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_DEMUXERS = "aac,aiff,caf,flac,m4a,matroska,mov,mp3,mp4,mpeg,ogg,w64,wav,webm,3gp,3g2,mj2"
_RATE_RANGE_HZ = (1000, 768_000)


def decode_file(data: bytes | BinaryIO, *, max_s: float, field: str = "file") -> Pcm:
    """The first audio stream of a file as mono float32 [S] at 16 kHz.

    Raises UnsupportedMedia when there is no audio in it, RequestTooLarge when it
    is longer than ``max_s`` seconds.
    """
    source = BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
    try:
        container = av.open(source, mode="r", options={"format_whitelist": _DEMUXERS, "protocol_whitelist": ""})
    except (av.FFmpegError, ValueError, UnicodeDecodeError):
        raise _unsupported(field, "is not an audio file that can be read") from None
    with container:
        if not container.streams.audio:
            raise _unsupported(field, "holds no audio stream")
        # Declared lengths spare the work of decoding; a streamed WAV declares 0xFFFFFFFF bytes, whatever it holds.
        if container.duration is not None and container.format.name != "wav" and container.duration / av.time_base > max_s:
            raise _too_long(field, max_s)
        pieces = list(_resampled(_frames(container), max_s, field))
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
    if not len(pcm):
        raise _unsupported(field, "is damaged or cut off: no audio in it could be decoded")
    return pcm


def decode_headerless(
    data: bytes | BinaryIO, encoding: Encoding, sample_rate_hz: int, *, max_s: float, field: str = "file"
) -> Pcm:
    """Bare samples in one channel as mono float32 [S] at 16 kHz; half a sample at the end is dropped.

    Raises InvalidRequest as `server.audio.input.InputChain` does, RequestTooLarge when it is longer than ``max_s`` seconds.
    """
    chain = InputChain(encoding, sample_rate_hz, FILE_RATE_HZ)
    source = BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
    most_bytes = int(max_s * sample_rate_hz) * SAMPLE_BYTES[encoding]
    content = source.read(most_bytes + SAMPLE_BYTES[encoding])
    if len(content) >= most_bytes + SAMPLE_BYTES[encoding]:
        raise _too_long(field, max_s)
    return np.concatenate([chain.feed(content), chain.finish()])


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """All frames that can be decoded; damaged packets are skipped, a broken end is an end."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        try:
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    yield frame
        except av.FFmpegError:
            continue


def _resampled(frames: Iterator[av.AudioFrame], max_s: float, field: str) -> Iterator[Pcm]:
    """Mono at 16 kHz. A stream may change its format midway (joined Ogg files): each stretch has its own converters."""
    decoded_s = 0.0
    current: tuple[str, str, int] | None = None
    planar: AudioResampler | None = None
    stream: soxr.ResampleStream | None = None
    for frame in frames:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != current:
            if not _RATE_RANGE_HZ[0] <= frame.sample_rate <= _RATE_RANGE_HZ[1]:
                raise _unsupported(field, f"has a sample rate of {frame.sample_rate} Hz")
            if stream is not None:
                yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            planar = AudioResampler(format="fltp", layout=frame.layout.name, rate=frame.sample_rate)
            stream = soxr.ResampleStream(frame.sample_rate, FILE_RATE_HZ, 1, dtype="float32", quality="HQ")
            current = kind
        decoded_s += frame.samples / frame.sample_rate
        if decoded_s > max_s:
            raise _too_long(field, max_s)
        assert planar is not None
        assert stream is not None
        frame.pts = None
        for converted in planar.resample(frame):
            channels = np.clip(np.nan_to_num(converted.to_ndarray(), nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
            # The mean, where FFmpeg's own mixing adds 3 dB per pair of channels and so clips loud speech.
            yield stream.resample_chunk(channels.mean(axis=0, dtype=np.float32))
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _unsupported(field: str, what: str) -> UnsupportedMedia:
    return UnsupportedMedia(f"{field}: {what}; accepted formats: {', '.join(ACCEPTED_FILES)}", field=field)


def _too_long(field: str, max_s: float) -> RequestTooLarge:
    return RequestTooLarge(f"{field}: the audio is longer than {max_s:g} s, the most that is taken", field=field)

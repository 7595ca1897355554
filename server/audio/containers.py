"""What stands around encoded samples: WAV headers and the MP3 bit stream.

WAV after Microsoft's "Multimedia Programming Interface and Data Specifications"
(1991) and its 1994 revision: formats other than PCM carry a size field for
their (empty) extension and a ``fact`` chunk with the number of samples.
"""

import struct
from collections.abc import Mapping

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from models.audio import Pcm
from server.audio.encodings import SAMPLE_BYTES
from server.errors import InvalidRequest
from server.requests.audio_format import MP3_BIT_RATES_BPS, Container, Encoding

UNKNOWN_BYTES = 0xFFFFFFFF
"""Size fields of a stream whose length nobody knows yet; players then read to the end."""

WAV_FORMAT_TAGS: Mapping[Encoding, int] = {
    Encoding.PCM_S16LE: 1,
    Encoding.PCM_F32LE: 3,
    Encoding.PCM_ALAW: 6,
    Encoding.PCM_MULAW: 7,
}

CONTENT_TYPES: Mapping[Container, str] = {
    Container.RAW: "audio/pcm",
    Container.WAV: "audio/wav",
    Container.MP3: "audio/mpeg",
}


def wav_header(encoding: Encoding, sample_rate_hz: int, data_bytes: int | None = None) -> bytes:
    """Everything before the samples of a mono WAV file.

    ``data_bytes`` is the size of the encoded samples; None, for a stream, writes
    0xFFFFFFFF into all three size fields. A sized file with an odd number of
    bytes needs one zero byte after them (`wav_padding`).
    """
    width = SAMPLE_BYTES[encoding]
    tag = WAV_FORMAT_TAGS[encoding]
    layout = struct.pack("<HHIIHH", tag, 1, sample_rate_hz, sample_rate_hz * width, width, 8 * width)
    if tag != 1:
        layout += struct.pack("<H", 0)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout
    if tag != 1:
        samples = UNKNOWN_BYTES if data_bytes is None else data_bytes // width
        chunks += b"fact" + struct.pack("<II", 4, samples)
    if data_bytes is None:
        riff_bytes = size = UNKNOWN_BYTES
    else:
        size = data_bytes
        riff_bytes = 4 + len(chunks) + 8 + data_bytes + data_bytes % 2
    return b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + chunks + b"data" + struct.pack("<I", size)


def wav_padding(data_bytes: int) -> bytes:
    """RIFF chunks end on even bytes."""
    return b"\0" * (data_bytes % 2)


def mp3_bit_rates_bps(sample_rate_hz: int) -> tuple[int, ...]:
    """The bit rates of the API that an MP3 stream at this sample rate can have.

    MPEG-1 (32 kHz and up) reaches 320 kbit/s, MPEG-2 (16 to 24 kHz) 160, MPEG-2.5
    (8 to 12 kHz) 64. LAME would quietly write its nearest rate instead.
    """
    highest_bps = 320_000 if sample_rate_hz >= 32_000 else 160_000 if sample_rate_hz >= 16_000 else 64_000
    return tuple(rate for rate in MP3_BIT_RATES_BPS if rate <= highest_bps)


def check_bit_rate(sample_rate_hz: int, bit_rate_bps: int, field: str = "bit_rate") -> None:
    """Raises InvalidRequest listing the bit rates that go with the sample rate."""
    accepted = mp3_bit_rates_bps(sample_rate_hz)
    if bit_rate_bps not in accepted:
        listed = ", ".join(map(str, accepted))
        message = f"{field}: {bit_rate_bps} is not supported for mp3 at {sample_rate_hz} Hz; accepted values: {listed}"
        raise InvalidRequest(message, field=field)


MP3_SAMPLE_S = 0.5e-6
"""What a sample takes to encode, measured: 5.6 ms for 300 ms of audio at 44.1 kHz."""


class Mp3Encoder:
    """Mono MP3 at a constant bit rate through libmp3lame; gives whole MPEG frames as they are complete."""

    def __init__(self, sample_rate_hz: int, bit_rate_bps: int) -> None:
        check_bit_rate(sample_rate_hz, bit_rate_bps)
        context = AudioCodecContext.create("libmp3lame", "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = sample_rate_hz
        context.bit_rate = bit_rate_bps
        context.layout = "mono"
        context.format = "fltp"
        context.open()
        self._context = context
        self._sample_rate_hz = sample_rate_hz
        self._given = 0
        self._pending: Pcm = np.zeros(0, dtype=np.float32)

    def encode(self, pcm: Pcm) -> bytes:
        self._pending = np.concatenate([self._pending, np.clip(np.nan_to_num(pcm, nan=0.0), -1.0, 1.0)])
        whole = len(self._pending) // self._context.frame_size * self._context.frame_size
        frames, self._pending = self._pending[:whole], self._pending[whole:]
        return b"".join(self._frame(frame) for frame in np.split(frames, whole // self._context.frame_size)) if whole else b""

    def finish(self) -> bytes:
        if self._given == 0 and not len(self._pending):
            return b""
        last = self._frame(self._pending) if len(self._pending) else b""
        return last + b"".join(bytes(packet) for packet in self._context.encode(None))

    def _frame(self, pcm: Pcm) -> bytes:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None, :], dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = self._sample_rate_hz
        frame.pts = self._given
        self._given += len(pcm)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

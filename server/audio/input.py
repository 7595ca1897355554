"""From a client's bytes to a model's samples: decode, resample."""

from models.audio import Pcm
from server.audio.encodings import SAMPLE_BYTES, find_decoder
from server.audio.resample import Resampler
from server.errors import InvalidRequest
from server.requests.audio_format import Encoding

INPUT_SAMPLE_RATE_RANGE_HZ = (4000, 192_000)


def check_sample_rate(sample_rate_hz: int, field: str = "sample_rate") -> None:
    """Raises InvalidRequest for a rate out of range."""
    lowest, highest = INPUT_SAMPLE_RATE_RANGE_HZ
    if not lowest <= sample_rate_hz <= highest:
        message = f"{field}: {sample_rate_hz} is not supported; accepted values: {lowest} to {highest} (Hz)"
        raise InvalidRequest(message, field=field)


class InputChain:
    """One audio stream on its way in. Messages may cut a sample in two; the rest is carried over.

    Raises InvalidRequest for an unknown encoding or a sample rate out of range,
    naming the field (``prefix`` is put before its name).
    """

    def __init__(self, encoding: Encoding, sample_rate_hz: int, target_rate_hz: int, prefix: str = "") -> None:
        self._decode = find_decoder(encoding, f"{prefix}encoding")
        check_sample_rate(sample_rate_hz, f"{prefix}sample_rate")
        self._width = SAMPLE_BYTES[Encoding(encoding)]
        self._rest = b""
        self._resampler = Resampler(sample_rate_hz, target_rate_hz)

    def work_s(self, size_bytes: int) -> float:
        """About how long `feed` takes for so many bytes."""
        return self._resampler.work_s(size_bytes // self._width)

    def feed(self, data: bytes) -> Pcm:
        """Samples at the target rate that these bytes complete; perhaps none."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._width
        self._rest = bytes(data[whole:])
        return self._resampler.feed(self._decode(bytes(data[:whole])))

    def finish(self) -> Pcm:
        """The end: what the resampler held back. Half a sample is dropped."""
        self._rest = b""
        return self._resampler.finish()

"""From a model's samples to the bytes a client asked for: resample, encode, wrap."""

from models.audio import Pcm
from server.audio.containers import CONTENT_TYPES, MP3_SAMPLE_S, Mp3Encoder, check_bit_rate, wav_header, wav_padding
from server.audio.encodings import Encoder, find_encoder
from server.audio.resample import Resampler
from server.errors import InvalidRequest
from server.requests.audio_format import OUTPUT_SAMPLE_RATES_HZ, AudioFormat, Container


def check_format(audio: AudioFormat, field: str = "output_format") -> None:
    """Raises InvalidRequest for a format that cannot be made, naming what is wrong under ``field`` (the
    caller's name for the format object) and listing the accepted values. Needs no model, so a request can be
    refused before it is admitted."""
    if audio.container not in tuple(Container):
        raise InvalidRequest.choice(f"{field}.container", str(audio.container), Container)
    if audio.sample_rate_hz not in OUTPUT_SAMPLE_RATES_HZ:
        raise InvalidRequest.choice(f"{field}.sample_rate", audio.sample_rate_hz, OUTPUT_SAMPLE_RATES_HZ)
    if audio.container == Container.MP3:
        check_bit_rate(audio.sample_rate_hz, audio.bit_rate_bps, f"{field}.bit_rate")
    else:
        find_encoder(audio.encoding, f"{field}.encoding")


class OutputChain:
    """One audio stream on its way out; however its input is cut, the same bytes come out.

    Building it checks the format as `check_format` does.
    """

    def __init__(self, audio: AudioFormat, model_rate_hz: int, field: str = "output_format") -> None:
        check_format(audio, field)
        self.audio = audio
        self._model_rate_hz = model_rate_hz
        self._mp3: Mp3Encoder | None = None
        if audio.container == Container.MP3:
            self._mp3 = Mp3Encoder(audio.sample_rate_hz, audio.bit_rate_bps)
            self._encode: Encoder = self._mp3.encode
        else:
            self._encode = find_encoder(audio.encoding)
        self._resampler = Resampler(model_rate_hz, audio.sample_rate_hz)
        self._taken_samples = 0

    @property
    def taken_s(self) -> float:
        """Seconds of audio that `encode` was given so far."""
        return self._taken_samples / self._model_rate_hz

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.audio.container]

    def header(self) -> bytes:
        """What goes before the first sample; for wav a header of unknown length."""
        if self.audio.container == Container.WAV:
            return wav_header(self.audio.encoding, self.audio.sample_rate_hz)
        return b""

    def work_s(self, samples: int) -> float:
        """About how long `encode` takes for so many of the model's samples; plain encoding is too little to count."""
        mp3_s = samples / self._model_rate_hz * self.audio.sample_rate_hz * MP3_SAMPLE_S if self._mp3 else 0.0
        return self._resampler.work_s(samples) + mp3_s

    def encode(self, pcm: Pcm) -> bytes:
        """The bytes that these samples complete: whole samples only, perhaps none (up to 4 ms are held back)."""
        self._taken_samples += len(pcm)
        return self._encode(self._resampler.feed(pcm))

    def finish(self) -> bytes:
        """The end: what was held back. Nothing may be encoded after it."""
        rest = self._encode(self._resampler.finish())
        return rest + self._mp3.finish() if self._mp3 else rest


def whole_file(audio: AudioFormat, encoded: bytes) -> bytes:
    """A file of known length, which a wav header says; ``encoded`` is all that an `OutputChain` gave, without its header."""
    if audio.container != Container.WAV:
        return encoded
    return wav_header(audio.encoding, audio.sample_rate_hz, len(encoded)) + encoded + wav_padding(len(encoded))

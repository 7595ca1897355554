import numpy as np
import pytest
from hypothesis import given, settings

from server.audio.encodings import DECODERS, SAMPLE_BYTES
from server.audio.files import decode_file
from server.audio.output import OutputChain, whole_file
from server.errors import InvalidRequest
from server.requests.audio_format import OUTPUT_ENCODINGS, OUTPUT_SAMPLE_RATES_HZ, AudioFormat, Container, Encoding
from tests.server.audio.signals import cut, cuts, level_db, noise, tone

FORMATS = [AudioFormat(Container.RAW, encoding, rate) for encoding in OUTPUT_ENCODINGS for rate in OUTPUT_SAMPLE_RATES_HZ]
SAMPLES = [AudioFormat(Container.WAV, Encoding.PCM_MULAW, 8000), AudioFormat(Container.MP3, sample_rate_hz=44100)]


@pytest.mark.parametrize("audio", [FORMATS[0], FORMATS[8], *SAMPLES], ids=str)
@settings(max_examples=8, deadline=None)
@given(sizes=cuts)
def test_any_split_gives_the_same_bytes(audio: AudioFormat, sizes: list[int]) -> None:
    pcm = noise(2500)
    whole = OutputChain(audio, 24000)
    pieces = OutputChain(audio, 24000)
    encoded = [pieces.encode(piece) for piece in cut(pcm, sizes)]
    assert b"".join([*encoded, pieces.finish()]) == whole.encode(pcm) + whole.finish()
    if audio.container != Container.MP3:
        assert all(len(data) % SAMPLE_BYTES[audio.encoding] == 0 for data in encoded)


@pytest.mark.parametrize("audio", FORMATS, ids=str)
def test_length_and_tone(audio: AudioFormat) -> None:
    chain = OutputChain(audio, 24000)
    assert chain.header() == b""
    data = chain.encode(tone(1000.0, 24000)) + chain.finish()
    assert len(data) == audio.sample_rate_hz * SAMPLE_BYTES[audio.encoding]
    out = DECODERS[audio.encoding](data)
    error = (out - tone(1000.0, audio.sample_rate_hz))[500:-500]
    assert level_db(error) < -40.0


def test_wav_stream_can_be_read_back() -> None:
    for encoding in OUTPUT_ENCODINGS:
        chain = OutputChain(AudioFormat(Container.WAV, encoding, 16000), 24000)
        assert chain.content_type == "audio/wav"
        data = chain.header() + chain.encode(tone(440.0, 24000)) + chain.finish()
        assert level_db(decode_file(data, max_s=5)[500:-500] - tone(440.0, 16000)[500:-500]) < -40.0


def test_a_whole_file_says_its_length() -> None:
    for encoding, samples in ((Encoding.PCM_S16LE, 16000), (Encoding.PCM_MULAW, 15999)):
        audio = AudioFormat(Container.WAV, encoding, 16000)
        chain = OutputChain(audio, 16000)
        encoded = chain.encode(tone(440.0, 16000)[:samples]) + chain.finish()
        file = whole_file(audio, encoded)
        assert len(file) % 2 == 0
        assert int.from_bytes(file[4:8], "little") == len(file) - 8
        assert len(decode_file(file, max_s=5)) == samples
        assert chain.taken_s == samples / 16000
    assert whole_file(AudioFormat(Container.RAW), b"abc") == whole_file(AudioFormat(Container.MP3), b"abc") == b"abc"


def test_too_loud_audio_clips() -> None:
    chain = OutputChain(AudioFormat(Container.RAW, Encoding.PCM_S16LE, 24000), 24000)
    out = np.frombuffer(chain.encode(tone(100.0, 24000, amplitude=3.0)), dtype="<i2")
    assert out.max() == 32767
    assert out.min() == -32768
    assert np.abs(np.diff(out.astype(np.int32))).max() < 32768 // 4


@pytest.mark.parametrize(
    ("audio", "field", "accepted"),
    [
        (AudioFormat(encoding=Encoding.PCM_S32LE), "format.encoding", "pcm_f32le, pcm_s16le, pcm_mulaw, pcm_alaw"),
        (AudioFormat(encoding="opus"), "format.encoding", "pcm_f32le, pcm_s16le, pcm_mulaw, pcm_alaw"),  # type: ignore[arg-type]
        (AudioFormat(container="ogg"), "format.container", "raw, wav, mp3"),  # type: ignore[arg-type]
        (AudioFormat(sample_rate_hz=11025), "format.sample_rate", "8000, 16000, 22050, 24000, 44100, 48000"),
        (AudioFormat(Container.MP3, sample_rate_hz=8000), "format.bit_rate", "32000, 64000"),
        (AudioFormat(Container.MP3, bit_rate_bps=1), "format.bit_rate", "32000, 64000, 96000, 128000, 192000"),
    ],
    ids=str,
)
def test_bad_formats_are_refused_when_the_chain_is_built(audio: AudioFormat, field: str, accepted: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        OutputChain(audio, 24000, "format")
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field}: ")
    assert caught.value.message.endswith(f"accepted values: {accepted}")


def test_the_first_audio_comes_from_a_10_ms_chunk() -> None:
    for audio in FORMATS:
        assert OutputChain(audio, 24000).encode(noise(240))

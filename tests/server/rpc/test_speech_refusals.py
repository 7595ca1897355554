"""Each wrong field has its status, its name in the trailing metadata, and the accepted values in the message."""

from typing import Any

import grpc
import pytest

from server.pb import speech_pb2 as pb
from server.requests.speech import MAX_TRANSCRIPT_CHARS
from tests.fakes import ANNA, CLEO
from tests.server.rpc.conftest import Running
from tests.server.rpc.messages import config, converse, kinds, refused, text

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ANNA_SHARE = pb.VoiceShare(voice=ANNA.id)

BAD_CONFIGS: list[tuple[dict[str, Any], grpc.StatusCode, str, str]] = [
    ({"model": None}, INVALID, "config.model", "sonic-turbo"),
    ({"model": "sonic-9"}, NOT_FOUND, "config.model", "sonic-turbo"),
    ({"model": "ink-whisper"}, NOT_FOUND, "config.model", "sonic-turbo"),
    ({"model": "kokoro"}, NOT_FOUND, "config.model", "has not loaded it; loaded: fake, reader. "),
    ({"model": "whisper-base"}, NOT_FOUND, "config.model", "recognizes speech; accepted values: fake, reader, sonic"),
    (
        {"voices": [pb.VoiceShare(voice="Cleo")]},
        INVALID,
        "config.voices",
        f"not of 'fake'; ask for model 'reader', or for one of the voices of 'fake': {ANNA.id}",
    ),
    ({"language": "ja"}, INVALID, "config.language", "accepted values: en"),
    ({"voices": []}, INVALID, "config.voices", ANNA.id),
    ({"voices": [pb.VoiceShare(voice="nobody")]}, NOT_FOUND, "config.voices", ANNA.id),
    ({"voices": [pb.VoiceShare()]}, NOT_FOUND, "config.voices", ANNA.id),
    ({"voices": [ANNA_SHARE, pb.VoiceShare(voice="bert", weight=-1)]}, INVALID, "config.voices", "at least 0"),
    ({"voices": [ANNA_SHARE, pb.VoiceShare(voice="bert", weight=float("nan"))]}, INVALID, "config.voices", "at least 0"),
    ({"language": "tlh"}, INVALID, "config.language", "en"),
    ({"language": "en US!"}, INVALID, "config.language", "en"),
    ({"audio": pb.AudioFormat(container=9)}, INVALID, "config.audio.container", "CONTAINER_WAV"),  # type: ignore[arg-type]
    ({"audio": pb.AudioFormat(encoding=pb.ENCODING_PCM_S32LE)}, INVALID, "config.audio.encoding", "ENCODING_PCM_MULAW"),
    ({"audio": pb.AudioFormat(encoding=77)}, INVALID, "config.audio.encoding", "ENCODING_PCM_MULAW"),  # type: ignore[arg-type]
    ({"audio": pb.AudioFormat(sample_rate=11025)}, INVALID, "config.audio.sample_rate", "8000, 16000, 22050"),
    ({"audio": pb.AudioFormat(container=pb.CONTAINER_MP3, bit_rate=7)}, INVALID, "config.audio.bit_rate", "32000, 64000"),
    ({"controls": pb.Controls(speed=3)}, INVALID, "config.controls.speed", "0.6 to 1.5"),
    ({"controls": pb.Controls(speed=float("nan"))}, INVALID, "config.controls.speed", "0.6 to 1.5"),
    ({"controls": pb.Controls(volume=0)}, INVALID, "config.controls.volume", "0.5 to 2"),
    ({"controls": pb.Controls(pitch_semitones=13)}, INVALID, "config.controls.pitch_semitones", "-12 to 12"),
    ({"controls": pb.Controls(pitch_range=2.5)}, INVALID, "config.controls.pitch_range", "0 to 2"),
    ({"controls": pb.Controls(emotion="zesty")}, INVALID, "config.controls.emotion", "neutral, happy"),
    ({"pronunciation_dict_id": "pdict_x"}, NOT_FOUND, "config.pronunciation_dict_id", "you have none yet"),
    ({"max_buffer_delay_ms": 5001}, INVALID, "config.max_buffer_delay_ms", "0 to 5000"),
    ({"normalization": "some"}, INVALID, "config.normalization", "auto"),
]


READER = {"model": "reader", "voices": [pb.VoiceShare(voice=CLEO.id)]}
BAD_CONFIGS += [
    ({**READER, **changes}, INVALID, field, accepted)
    for changes, field, accepted in (
        ({"times": pb.WantedTimes(words=True)}, "config.times", "gives no times of words"),
        ({"times": pb.WantedTimes(normalized_words=True)}, "config.times", "gives no times of words"),
        ({"times": pb.WantedTimes(phonemes=True)}, "config.times.phonemes", "gives no times of phonemes"),
        ({"controls": pb.Controls(speed=1.2)}, "config.controls.speed", "emotion, instructions"),
        ({"controls": pb.Controls(pitch_semitones=1)}, "config.controls.pitch_semitones", "emotion, instructions"),
        ({"sampling": {"temperature": 3.0}}, "config.sampling", "0 to 2"),
        ({"instructions": "a" * 2001}, "config.instructions", "at most 2000"),
        ({"normalization": "off"}, "config.normalization", "leave it out"),
        ({"voices": [ANNA_SHARE]}, "config.voices", CLEO.id),
    )
]


@pytest.mark.parametrize(
    ("changes", "code", "field", "accepted"), BAD_CONFIGS, ids=[f"{row[2]}-{i}" for i, row in enumerate(BAD_CONFIGS)]
)
async def test_bad_configuration(
    running: Running, changes: dict[str, Any], code: grpc.StatusCode, field: str, accepted: str
) -> None:
    answered, message, trailing = await refused(converse(running.speech.Synthesize, config(**changes)))
    assert answered == code
    assert trailing["descant-field"] == field
    assert message.startswith(f"{field}: ")
    assert accepted in message
    assert running.engine.snapshot().open_sessions == 0


async def test_error_codes_of_the_public_api(running: Running) -> None:
    _, _, trailing = await refused(converse(running.speech.Synthesize, config(model="sonic-9")))
    assert trailing["descant-error-code"] == "model_not_found"
    _, _, trailing = await refused(converse(running.speech.Synthesize, config(voices=[pb.VoiceShare(voice="x")])))
    assert trailing["descant-error-code"] == "voice_not_found"


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "config"),
        ([text("Hello.")], "config"),
        ([pb.SynthesizeRequest()], "config"),
        ([config(), config()], "config"),
        ([config(), pb.SynthesizeRequest()], "message"),
        ([config(), pb.SynthesizeRequest(controls=pb.Controls(speed=0.1))], "controls.speed"),
        ([config(), text("a" * (MAX_TRANSCRIPT_CHARS + 1))], "text"),
    ],
    ids=["nothing", "text first", "empty first", "twice", "empty later", "bad controls later", "too much text"],
)
async def test_bad_conversations(running: Running, requests: list[pb.SynthesizeRequest], field: str) -> None:
    code, message, trailing = await refused(converse(running.speech.Synthesize, *requests))
    assert code == INVALID
    assert trailing["descant-field"] == field
    assert message.startswith(f"{field}: ")


@pytest.mark.parametrize("after_config", [False, True])
async def test_bytes_that_are_no_message(running: Running, after_config: bool) -> None:
    """Later ones used to end only the reading, so the call hung until it was idle for long enough."""
    broken = running.channel.stream_stream("/descant.v1.Speech/Synthesize")
    requests = [config().SerializeToString(), text("Abc. ").SerializeToString()] if after_config else []
    code, message, trailing = await refused(converse(broken, *requests, b"\xff\xff\xff"))
    assert code == INVALID
    assert message.startswith("message: ")
    assert trailing["descant-field"] == "message"
    assert running.engine.snapshot().open_sessions == 0


async def test_a_message_that_is_too_large(running: Running) -> None:
    code, _, _ = await refused(converse(running.speech.Synthesize, config(), text("a" * (5 * 1024 * 1024))))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_tags_with_a_region_are_taken(running: Running) -> None:
    for tag in ("en", "en-US", "EN_us"):
        assert kinds(await converse(running.speech.Synthesize, config(language=tag), text("Abc.")))[-1] == "done"

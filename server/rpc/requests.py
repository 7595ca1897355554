"""Configuration messages of the wire contract to the engine's types; everything wrong is found here, field by field."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from models.speech import Generation
from models.voices import Voice
from server.errors import InvalidRequest
from server.pb import speech_pb2
from server.requests.audio_format import OUTPUT_ENCODINGS, AudioFormat, Container, Encoding
from server.requests.keyterms import checked_keyterms
from server.requests.locales import is_locale, primary_language, spoken_language
from server.requests.speech import (
    MAX_BUFFER_DELAY_RANGE_MS,
    MAX_INSTRUCTIONS_CHARS,
    PITCH_MOVEMENT_RANGE,
    PITCH_RANGE_SEMITONES,
    SPEED_RANGE,
    VOLUME_RANGE,
    Controls,
    SpeechRequest,
)
from server.requests.transcription import TranscriptionRequest
from server.requests.turn_settings import TURN_RANGES, turn_settings
from server.rpc.call import Call
from server.storage.voices import Voices
from server.text.delivery import checked_emotion

VOLUME_LEVEL_RANGE = (0.0, 1.0)
MAX_SILENCE_RANGE_S = (0.01, 60.0)
MAX_VOICE_SHARES = 8
_Name = TypeVar("_Name", bound=StrEnum)
_Number = TypeVar("_Number", int, float)


def speech_request(config: speech_pb2.SynthesisConfig, call: Call) -> SpeechRequest:
    """Raises InvalidRequest, ModelNotFound, VoiceNotFound or NotFound naming the field and listing what it takes."""
    services = call.services
    given: dict[str, Any] = {}
    _require(config.model, "config.model", sorted(services.catalog.speech))
    model = services.catalog.speech_model(config.model)
    voices = call.voices.of_model(model)
    language = primary_language(config.language, voices.languages(), "config.language") if config.language else None
    voice = _voice(config.voices, voices, language)
    if config.HasField("max_buffer_delay_ms"):
        given["max_buffer_delay_ms"] = _within(
            "config.max_buffer_delay_ms", config.max_buffer_delay_ms, MAX_BUFFER_DELAY_RANGE_MS
        )
    if config.normalization:
        given["normalization"] = _normalization(config.normalization)
    if dictionary_id := config.pronunciation_dict_id:
        found = services.pronunciations.get(call.key_id, dictionary_id, "config.pronunciation_dict_id")
        given["pronunciations"] = found.pronunciations
    if len(config.instructions) > MAX_INSTRUCTIONS_CHARS:
        message = f"config.instructions: has {len(config.instructions)} characters; at most {MAX_INSTRUCTIONS_CHARS} are taken"
        raise InvalidRequest(message, field="config.instructions")
    seed = config.seed if config.HasField("seed") else None
    return SpeechRequest(
        model=model,
        voice=voice,
        request_id=call.request_id,
        language=language or voice.language,
        controls=controls(config.controls, "config.controls"),
        generation=Generation(seed, dict(config.sampling), config.instructions.strip()),
        want_words=config.times.words or config.times.normalized_words,
        want_phonemes=config.times.phonemes,
        key_id=call.key_id,
        received_s=call.received_s,
        **given,
    )


def audio_format(audio: speech_pb2.AudioFormat) -> AudioFormat:
    """Checks the enums; the numbers are checked by `server.audio.output.check_format`."""
    defaults = AudioFormat()
    field = "config.audio"
    encodings = {speech_pb2.Encoding.Value(f"ENCODING_{encoding.name}"): encoding for encoding in OUTPUT_ENCODINGS}
    containers = {speech_pb2.Container.Value(f"CONTAINER_{container.name}"): container for container in Container}
    return AudioFormat(
        container=_choose(f"{field}.container", audio.container, containers, speech_pb2.Container) or defaults.container,
        encoding=_choose(f"{field}.encoding", audio.encoding, encodings, speech_pb2.Encoding) or defaults.encoding,
        sample_rate_hz=audio.sample_rate or defaults.sample_rate_hz,
        bit_rate_bps=audio.bit_rate or defaults.bit_rate_bps,
    )


def controls(message: speech_pb2.Controls, field: str = "controls") -> Controls:
    """Raises InvalidRequest for a number out of its range and an unknown emotion."""
    given: dict[str, Any] = {}
    ranges = {
        "speed": SPEED_RANGE, "volume": VOLUME_RANGE,
        "pitch_semitones": PITCH_RANGE_SEMITONES, "pitch_range": PITCH_MOVEMENT_RANGE,
    }  # fmt: skip
    for name, bounds in ranges.items():
        if message.HasField(name):
            given[name] = _within(f"{field}.{name}", getattr(message, name), bounds)
    given["emotion"] = checked_emotion(message.emotion, f"{field}.emotion")
    return Controls(**given)


def transcription_request(config: speech_pb2.TranscriptionConfig, call: Call) -> TranscriptionRequest:
    """Raises InvalidRequest or ModelNotFound naming the field and listing what it takes."""
    services = call.services
    _require(config.model, "config.model", sorted(services.catalog.recognition))
    given: dict[str, Any] = {}
    if config.language:
        # Of a tag such as "en-US" the language counts; which ones the recognizer knows, the engine says.
        given["language"] = spoken_language(config.language)
    if config.HasField("min_volume"):
        given["min_volume"] = _within("config.min_volume", config.min_volume, VOLUME_LEVEL_RANGE)
    if config.HasField("max_silence_s"):
        given["max_silence_s"] = _within("config.max_silence_s", config.max_silence_s, MAX_SILENCE_RANGE_S)
    if config.HasField("words"):
        given["want_words"] = config.words
    if config.HasField("partials"):
        given["interim"] = config.partials
    if config.HasField("turns"):
        given["turns"] = turn_settings(given_turns(config.turns), "config.turns.")
    if config.keyterms:
        given["keyterms"] = checked_keyterms(config.keyterms, "config.keyterms")
    return TranscriptionRequest(
        model=services.catalog.recognition_model(config.model, "config.model"),
        request_id=call.request_id,
        key_id=call.key_id,
        received_s=call.received_s,
        **given,
    )


def given_turns(message: speech_pb2.TurnSettings) -> dict[str, float]:
    """The turn settings that the client set."""
    return {name: getattr(message, name) for name in TURN_RANGES if message.HasField(name)}


def input_encoding(config: speech_pb2.TranscriptionConfig) -> Encoding:
    """Raises InvalidRequest where it is left out or unknown."""
    encodings = {speech_pb2.Encoding.Value(f"ENCODING_{encoding.name}"): encoding for encoding in Encoding}
    encoding = _choose("config.encoding", config.encoding, encodings, speech_pb2.Encoding)
    if encoding is None:
        _require("", "config.encoding", [speech_pb2.Encoding.Name(value) for value in encodings])
    assert encoding is not None
    return encoding


def _voice(shares: Sequence[speech_pb2.VoiceShare], store: Voices, language: str | None) -> Voice:
    field = "config.voices"
    _require(shares, field, [f"{voice.id} ({voice.name})" for voice in store.list()])
    if len(shares) > MAX_VOICE_SHARES:
        raise InvalidRequest(f"{field}: {len(shares)} voices were given; at most {MAX_VOICE_SHARES} are mixed", field=field)
    parts = [(store.find(share.voice, language), share.weight if share.HasField("weight") else 1.0) for share in shares]
    return parts[0][0] if len(parts) == 1 else store.mix(parts)


def _normalization(value: str) -> str:
    if value in ("auto", "off") or is_locale(value):
        return value
    raise InvalidRequest.choice("config.normalization", value, ("auto", "off", "a locale such as en-US"))


def _require(value: object, field: str, accepted: Sequence[str]) -> None:
    if not value:
        raise InvalidRequest(f"{field}: is required; accepted values: {', '.join(accepted)}", field=field)


def _choose(field: str, value: int, accepted: dict[int, _Name], wire_enum: Any) -> _Name | None:
    """The value of an enum; None for ..._UNSPECIFIED. The error names values as the contract does."""
    if value == 0:
        return None
    if value not in accepted:
        shown = wire_enum.Name(value) if value in wire_enum.values() else value
        raise InvalidRequest.choice(field, shown, [wire_enum.Name(known) for known in accepted])
    return accepted[value]


def _within(field: str, value: _Number, bounds: tuple[float, float]) -> _Number:
    # Written so that NaN is refused too.
    if not bounds[0] <= value <= bounds[1]:
        message = f"{field}: {value:g} is out of range; accepted values: {bounds[0]:g} to {bounds[1]:g}"
        raise InvalidRequest(message, field=field)
    return value

"""Public JSON bodies of speech synthesis, with one way to the engine's types.

Field names, types and defaults are those of the public API (all versions at
once). Everything a client can get wrong is found here, before a stream starts.
"""

import logging
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from models.speech import DEFAULT_GENERATION, Generation
from server.api.body import Body
from server.api.call import Call
from server.api.versions import default_buffer_delay_ms
from server.api.voice_specifier import experimental_controls, find_voice
from server.errors import InvalidRequest
from server.requests.audio_format import (
    MP3_BIT_RATES_BPS,
    OUTPUT_ENCODINGS,
    OUTPUT_SAMPLE_RATES_HZ,
    AudioFormat,
    Container,
    Encoding,
)
from server.requests.locales import canonical_tag, is_locale, primary_language
from server.requests.speech import (
    MAX_BUFFER_DELAY_RANGE_MS,
    MAX_INSTRUCTIONS_CHARS,
    MAX_TRANSCRIPT_CHARS,
    NO_PRONUNCIATIONS,
    PITCH_MOVEMENT_RANGE,
    PITCH_RANGE_SEMITONES,
    SEED_RANGE,
    SPEED_RANGE,
    VOLUME_RANGE,
    Controls,
    Pronunciations,
    SpeechRequest,
)
from server.text.delivery import checked_emotion

_log = logging.getLogger("descant.api")

STREAM_CONTAINERS = (Container.RAW,)
FILE_CONTAINERS = tuple(Container)
_LEGACY_SPEEDS = {"slow": 0.8, "normal": 1.0, "fast": 1.2}
_Choice = TypeVar("_Choice", bound=Container | Encoding | int)


def _no_boolean(value: Any) -> Any:
    # Pydantic takes true for 1; a client that sends it has mixed up its fields.
    if isinstance(value, bool):
        raise ValueError("must be a number, not a boolean")
    return value


Number = Annotated[float, BeforeValidator(_no_boolean)]
WholeNumber = Annotated[int, BeforeValidator(_no_boolean)]


class OutputFormatBody(Body):
    container: str | None = None
    encoding: str | None = None
    """Of raw and WAV."""
    sample_rate: WholeNumber | None = None
    """Hertz."""
    bit_rate: WholeNumber | None = None
    """Bits per second, of MP3."""

    def to_format(self, containers: Sequence[Container]) -> AudioFormat:
        """Raises InvalidRequest naming the key and listing what it takes."""
        container = _choose("container", self.container, containers)
        rate_hz = _choose("sample_rate", self.sample_rate, OUTPUT_SAMPLE_RATES_HZ)
        if container == Container.MP3:
            bit_rate = self.bit_rate
            # The JavaScript SDK 2 counts in kbit/s.
            bit_rate = bit_rate * 1000 if bit_rate is not None and bit_rate < 1000 else bit_rate
            bit_rate_bps = _choose("bit_rate", bit_rate, MP3_BIT_RATES_BPS)
            return AudioFormat(Container.MP3, sample_rate_hz=rate_hz, bit_rate_bps=bit_rate_bps)
        encoding = _choose("encoding", self.encoding, OUTPUT_ENCODINGS)
        return AudioFormat(Container(container), Encoding(encoding), rate_hz)


class GenerationConfigBody(Body):
    speed: Number = 1.0
    volume: Number = 1.0
    pitch: Number = 0.0
    """Semitones; an addition of this server, as is the next."""
    pitch_range: Number = 1.0
    emotion: str | None = None
    seed: WholeNumber | None = None
    """The same seed gives the same audio, from models that sample; an addition of this server, as are the next two."""
    sampling: dict[str, Number] = Field(default_factory=dict)
    """How a model that samples does it, such as {"temperature": 0.8}; the model's own numbers where left out."""
    instructions: str = Field("", max_length=MAX_INSTRUCTIONS_CHARS)
    """How to speak, in words, for models that take them."""

    def to_generation(self) -> Generation:
        """Raises InvalidRequest for a seed out of range; what the model takes, the engine says."""
        lowest, highest = SEED_RANGE
        if self.seed is not None and not lowest <= self.seed <= highest:
            field = "generation_config.seed"
            raise InvalidRequest(f"{field}: {self.seed} is out of range; accepted values: {lowest} to {highest}", field=field)
        return Generation(self.seed, self.sampling, self.instructions.strip())

    def to_controls(self) -> Controls:
        """Out-of-range numbers are moved into range: LiveKit sends speeds up to 2.0. Raises InvalidRequest for an
        unknown emotion."""
        return Controls(
            speed=_clamp("generation_config.speed", self.speed, SPEED_RANGE),
            volume=_clamp("generation_config.volume", self.volume, VOLUME_RANGE),
            pitch_semitones=_clamp("generation_config.pitch", self.pitch, PITCH_RANGE_SEMITONES),
            emotion=checked_emotion(self.emotion, "generation_config.emotion"),
            pitch_range=_clamp("generation_config.pitch_range", self.pitch_range, PITCH_MOVEMENT_RANGE),
        )


class SpeechBody(Body):
    """A generation request on any route; which fields are required depends on the route."""

    model_id: str | None = None
    transcript: str | None = Field(None, max_length=MAX_TRANSCRIPT_CHARS)
    voice: Any = None
    """An id, or {"mode": "id", "id": "…"}."""
    output_format: OutputFormatBody | None = None
    language: str | None = None
    locale: str | None = None
    normalization: str = "auto"
    """How numbers, dates and signs are read: auto, off, or a locale such as en-US."""
    generation_config: GenerationConfigBody | None = None
    speed: Any = None
    """Of old versions: slow, normal or fast."""
    pronunciation_dict_id: str | None = None
    add_timestamps: bool | None = None
    add_phoneme_timestamps: bool | None = None
    use_normalized_timestamps: bool | None = None
    """Times of words as they are spoken rather than as they are written."""
    context_id: str | None = Field(None, min_length=1, max_length=512)
    """Names a context on a socket, and comes back in what answers it."""
    continue_: bool = Field(False, alias="continue")
    """More text of this context will follow."""
    flush: bool = False
    """Speak what was sent so far without waiting for more."""
    cancel: bool = False
    """Stop this context at once."""
    max_buffer_delay_ms: WholeNumber | None = None
    """How long incomplete text may wait for more."""

    def text(self) -> str:
        """The transcript. Raises InvalidRequest where it is absent."""
        if self.transcript is None:
            raise InvalidRequest("transcript: is required", field="transcript")
        return self.transcript

    def spoken_text(self) -> str:
        """The transcript where it must not be blank."""
        if not self.text().strip():
            raise InvalidRequest("transcript: is empty", field="transcript")
        return self.text()

    def audio_format(self, containers: Sequence[Container]) -> AudioFormat:
        if self.output_format is None:
            raise InvalidRequest("output_format: is required", field="output_format")
        return self.output_format.to_format(containers)

    def controls(self) -> Controls:
        """What ``generation_config`` says, else what its two predecessors say."""
        if self.generation_config is not None:
            return self.generation_config.to_controls()
        controls = experimental_controls(self.voice)
        if self.speed is None:
            return controls
        if not isinstance(self.speed, str) or self.speed not in _LEGACY_SPEEDS:
            raise InvalidRequest.choice("speed", self.speed, _LEGACY_SPEEDS)
        return Controls(speed=_LEGACY_SPEEDS[self.speed], emotion=controls.emotion)

    def buffer_delay_ms(self) -> int | None:
        """None where the client left it open."""
        lowest, highest = MAX_BUFFER_DELAY_RANGE_MS
        delay_ms = self.max_buffer_delay_ms
        if delay_ms is not None and not lowest <= delay_ms <= highest:
            field = "max_buffer_delay_ms"
            raise InvalidRequest(f"{field}: {delay_ms} is out of range; accepted values: {lowest} to {highest}", field=field)
        return delay_ms

    def to_request(self, call: Call, received_s: float) -> SpeechRequest:
        """Raises InvalidRequest, ModelNotFound, VoiceNotFound or NotFound naming the field and listing what it takes."""
        services = call.services
        if self.model_id is None:
            raise InvalidRequest("model_id: is required", field="model_id")
        model = services.catalog.speech_model(self.model_id)
        voices = call.voices.of_model(model)
        language = self._language(voices.languages())
        voice = find_voice(self.voice, voices, language)
        delay_ms = self.buffer_delay_ms()
        return SpeechRequest(
            model=model,
            voice=voice,
            request_id=call.request_id,
            language=language or voice.language,
            controls=self.controls(),
            generation=self.generation_config.to_generation() if self.generation_config else DEFAULT_GENERATION,
            normalization=self._normalization(),
            pronunciations=self._pronunciations(call),
            max_buffer_delay_ms=default_buffer_delay_ms(call.version) if delay_ms is None else delay_ms,
            want_words=bool(self.add_timestamps),
            want_phonemes=bool(self.add_phoneme_timestamps),
            key_id=call.key_id,
            received_s=received_s,
        )

    def _language(self, supported: Sequence[str]) -> str | None:
        chosen = None
        for field, value in (("language", self.language), ("locale", self.locale)):
            if not value:
                continue
            primary = primary_language(value, supported, field)
            if chosen not in (None, (primary, canonical_tag(value))):
                raise InvalidRequest("locale: set language or locale, not both", field="locale")
            chosen = (primary, canonical_tag(value))
        return chosen[0] if chosen else None

    def _pronunciations(self, call: Call) -> Pronunciations:
        if self.pronunciation_dict_id is None:
            return NO_PRONUNCIATIONS
        store = call.services.pronunciations
        return store.get(call.key_id, self.pronunciation_dict_id, "pronunciation_dict_id").pronunciations

    def _normalization(self) -> str:
        value = self.normalization
        if value in ("auto", "off") or is_locale(value):
            return value
        raise InvalidRequest.choice("normalization", value, ("auto", "off", "a locale such as en-US"))


def _choose(key: str, value: Any, accepted: Sequence[_Choice]) -> _Choice:
    field = f"output_format.{key}"
    if value is None:
        listed = ", ".join(str(item) for item in accepted)
        raise InvalidRequest(f"{field}: is required; accepted values: {listed}", field=field)
    if value not in accepted:
        raise InvalidRequest.choice(field, value, accepted)
    return accepted[accepted.index(value)]


def _clamp(field: str, value: float, bounds: tuple[float, float]) -> float:
    clamped = min(max(value, bounds[0]), bounds[1])
    if clamped != value:
        _log.info("%s: %g is out of range, %g is used", field, value, clamped)
    return clamped

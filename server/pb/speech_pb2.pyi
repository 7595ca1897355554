from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_PCM_S16LE: _ClassVar[Encoding]
    ENCODING_PCM_F32LE: _ClassVar[Encoding]
    ENCODING_PCM_MULAW: _ClassVar[Encoding]
    ENCODING_PCM_ALAW: _ClassVar[Encoding]
    ENCODING_PCM_S32LE: _ClassVar[Encoding]
    ENCODING_PCM_F16LE: _ClassVar[Encoding]

class Container(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTAINER_UNSPECIFIED: _ClassVar[Container]
    CONTAINER_RAW: _ClassVar[Container]
    CONTAINER_WAV: _ClassVar[Container]
    CONTAINER_MP3: _ClassVar[Container]

class TurnPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TURN_PHASE_UNSPECIFIED: _ClassVar[TurnPhase]
    TURN_PHASE_START: _ClassVar[TurnPhase]
    TURN_PHASE_UPDATE: _ClassVar[TurnPhase]
    TURN_PHASE_EAGER_END: _ClassVar[TurnPhase]
    TURN_PHASE_RESUME: _ClassVar[TurnPhase]
    TURN_PHASE_END: _ClassVar[TurnPhase]
ENCODING_UNSPECIFIED: Encoding
ENCODING_PCM_S16LE: Encoding
ENCODING_PCM_F32LE: Encoding
ENCODING_PCM_MULAW: Encoding
ENCODING_PCM_ALAW: Encoding
ENCODING_PCM_S32LE: Encoding
ENCODING_PCM_F16LE: Encoding
CONTAINER_UNSPECIFIED: Container
CONTAINER_RAW: Container
CONTAINER_WAV: Container
CONTAINER_MP3: Container
TURN_PHASE_UNSPECIFIED: TurnPhase
TURN_PHASE_START: TurnPhase
TURN_PHASE_UPDATE: TurnPhase
TURN_PHASE_EAGER_END: TurnPhase
TURN_PHASE_RESUME: TurnPhase
TURN_PHASE_END: TurnPhase

class AudioFormat(_message.Message):
    __slots__ = ("container", "encoding", "sample_rate", "bit_rate")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    BIT_RATE_FIELD_NUMBER: _ClassVar[int]
    container: Container
    encoding: Encoding
    sample_rate: int
    bit_rate: int
    def __init__(self, container: _Optional[_Union[Container, str]] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., sample_rate: _Optional[int] = ..., bit_rate: _Optional[int] = ...) -> None: ...

class SynthesizeRequest(_message.Message):
    __slots__ = ("config", "text", "flush", "cancel", "controls")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    config: SynthesisConfig
    text: str
    flush: Flush
    cancel: Cancel
    controls: Controls
    def __init__(self, config: _Optional[_Union[SynthesisConfig, _Mapping]] = ..., text: _Optional[str] = ..., flush: _Optional[_Union[Flush, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., controls: _Optional[_Union[Controls, _Mapping]] = ...) -> None: ...

class SynthesisConfig(_message.Message):
    __slots__ = ("model", "voices", "language", "audio", "controls", "times", "max_buffer_delay_ms", "normalization", "pronunciation_dict_id", "seed", "sampling", "instructions")
    class SamplingEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VOICES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    MAX_BUFFER_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    PRONUNCIATION_DICT_ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    voices: _containers.RepeatedCompositeFieldContainer[VoiceShare]
    language: str
    audio: AudioFormat
    controls: Controls
    times: WantedTimes
    max_buffer_delay_ms: int
    normalization: str
    pronunciation_dict_id: str
    seed: int
    sampling: _containers.ScalarMap[str, float]
    instructions: str
    def __init__(self, model: _Optional[str] = ..., voices: _Optional[_Iterable[_Union[VoiceShare, _Mapping]]] = ..., language: _Optional[str] = ..., audio: _Optional[_Union[AudioFormat, _Mapping]] = ..., controls: _Optional[_Union[Controls, _Mapping]] = ..., times: _Optional[_Union[WantedTimes, _Mapping]] = ..., max_buffer_delay_ms: _Optional[int] = ..., normalization: _Optional[str] = ..., pronunciation_dict_id: _Optional[str] = ..., seed: _Optional[int] = ..., sampling: _Optional[_Mapping[str, float]] = ..., instructions: _Optional[str] = ...) -> None: ...

class VoiceShare(_message.Message):
    __slots__ = ("voice", "weight")
    VOICE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    voice: str
    weight: float
    def __init__(self, voice: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class Controls(_message.Message):
    __slots__ = ("speed", "volume", "pitch_semitones", "emotion", "pitch_range")
    SPEED_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    PITCH_SEMITONES_FIELD_NUMBER: _ClassVar[int]
    EMOTION_FIELD_NUMBER: _ClassVar[int]
    PITCH_RANGE_FIELD_NUMBER: _ClassVar[int]
    speed: float
    volume: float
    pitch_semitones: float
    emotion: str
    pitch_range: float
    def __init__(self, speed: _Optional[float] = ..., volume: _Optional[float] = ..., pitch_semitones: _Optional[float] = ..., emotion: _Optional[str] = ..., pitch_range: _Optional[float] = ...) -> None: ...

class WantedTimes(_message.Message):
    __slots__ = ("words", "normalized_words", "phonemes")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_WORDS_FIELD_NUMBER: _ClassVar[int]
    PHONEMES_FIELD_NUMBER: _ClassVar[int]
    words: bool
    normalized_words: bool
    phonemes: bool
    def __init__(self, words: _Optional[bool] = ..., normalized_words: _Optional[bool] = ..., phonemes: _Optional[bool] = ...) -> None: ...

class Flush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Cancel(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SynthesizeResponse(_message.Message):
    __slots__ = ("audio", "words", "normalized_words", "phonemes", "flushed", "done")
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_WORDS_FIELD_NUMBER: _ClassVar[int]
    PHONEMES_FIELD_NUMBER: _ClassVar[int]
    FLUSHED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    audio: AudioChunk
    words: Times
    normalized_words: Times
    phonemes: Times
    flushed: Flushed
    done: SynthesisDone
    def __init__(self, audio: _Optional[_Union[AudioChunk, _Mapping]] = ..., words: _Optional[_Union[Times, _Mapping]] = ..., normalized_words: _Optional[_Union[Times, _Mapping]] = ..., phonemes: _Optional[_Union[Times, _Mapping]] = ..., flushed: _Optional[_Union[Flushed, _Mapping]] = ..., done: _Optional[_Union[SynthesisDone, _Mapping]] = ...) -> None: ...

class AudioChunk(_message.Message):
    __slots__ = ("data", "flush_index")
    DATA_FIELD_NUMBER: _ClassVar[int]
    FLUSH_INDEX_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    flush_index: int
    def __init__(self, data: _Optional[bytes] = ..., flush_index: _Optional[int] = ...) -> None: ...

class Times(_message.Message):
    __slots__ = ("items", "flush_index")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    FLUSH_INDEX_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[TimedText]
    flush_index: int
    def __init__(self, items: _Optional[_Iterable[_Union[TimedText, _Mapping]]] = ..., flush_index: _Optional[int] = ...) -> None: ...

class TimedText(_message.Message):
    __slots__ = ("text", "start_s", "end_s")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_s: float
    end_s: float
    def __init__(self, text: _Optional[str] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ...) -> None: ...

class Flushed(_message.Message):
    __slots__ = ("flush_index",)
    FLUSH_INDEX_FIELD_NUMBER: _ClassVar[int]
    flush_index: int
    def __init__(self, flush_index: _Optional[int] = ...) -> None: ...

class SynthesisDone(_message.Message):
    __slots__ = ("first_byte_ms", "stages", "cancelled")
    FIRST_BYTE_MS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    first_byte_ms: float
    stages: _containers.RepeatedCompositeFieldContainer[StageTime]
    cancelled: bool
    def __init__(self, first_byte_ms: _Optional[float] = ..., stages: _Optional[_Iterable[_Union[StageTime, _Mapping]]] = ..., cancelled: _Optional[bool] = ...) -> None: ...

class StageTime(_message.Message):
    __slots__ = ("stage", "duration_ms")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    duration_ms: float
    def __init__(self, stage: _Optional[str] = ..., duration_ms: _Optional[float] = ...) -> None: ...

class TranscribeRequest(_message.Message):
    __slots__ = ("config", "audio", "finalize", "turns", "cancel")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    config: TranscriptionConfig
    audio: bytes
    finalize: Finalize
    turns: TurnSettings
    cancel: Cancel
    def __init__(self, config: _Optional[_Union[TranscriptionConfig, _Mapping]] = ..., audio: _Optional[bytes] = ..., finalize: _Optional[_Union[Finalize, _Mapping]] = ..., turns: _Optional[_Union[TurnSettings, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ...) -> None: ...

class TranscriptionConfig(_message.Message):
    __slots__ = ("model", "encoding", "sample_rate", "language", "min_volume", "max_silence_s", "words", "partials", "turns", "keyterms")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_VOLUME_FIELD_NUMBER: _ClassVar[int]
    MAX_SILENCE_S_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    PARTIALS_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    KEYTERMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    encoding: Encoding
    sample_rate: int
    language: str
    min_volume: float
    max_silence_s: float
    words: bool
    partials: bool
    turns: TurnSettings
    keyterms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., sample_rate: _Optional[int] = ..., language: _Optional[str] = ..., min_volume: _Optional[float] = ..., max_silence_s: _Optional[float] = ..., words: _Optional[bool] = ..., partials: _Optional[bool] = ..., turns: _Optional[_Union[TurnSettings, _Mapping]] = ..., keyterms: _Optional[_Iterable[str]] = ...) -> None: ...

class TurnSettings(_message.Message):
    __slots__ = ("start_threshold", "eager_end_threshold", "end_threshold", "end_timeout_ms")
    START_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EAGER_END_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    END_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    END_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    start_threshold: float
    eager_end_threshold: float
    end_threshold: float
    end_timeout_ms: int
    def __init__(self, start_threshold: _Optional[float] = ..., eager_end_threshold: _Optional[float] = ..., end_threshold: _Optional[float] = ..., end_timeout_ms: _Optional[int] = ...) -> None: ...

class Finalize(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TranscribeResponse(_message.Message):
    __slots__ = ("transcript", "turn", "finalized", "done")
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    transcript: Transcript
    turn: Turn
    finalized: Finalized
    done: TranscriptionDone
    def __init__(self, transcript: _Optional[_Union[Transcript, _Mapping]] = ..., turn: _Optional[_Union[Turn, _Mapping]] = ..., finalized: _Optional[_Union[Finalized, _Mapping]] = ..., done: _Optional[_Union[TranscriptionDone, _Mapping]] = ...) -> None: ...

class Transcript(_message.Message):
    __slots__ = ("text", "is_final", "words", "duration_s", "language", "truncated")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    DURATION_S_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    text: str
    is_final: bool
    words: _containers.RepeatedCompositeFieldContainer[TimedText]
    duration_s: float
    language: str
    truncated: bool
    def __init__(self, text: _Optional[str] = ..., is_final: _Optional[bool] = ..., words: _Optional[_Iterable[_Union[TimedText, _Mapping]]] = ..., duration_s: _Optional[float] = ..., language: _Optional[str] = ..., truncated: _Optional[bool] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("phase", "transcript", "at_s")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    phase: TurnPhase
    transcript: str
    at_s: float
    def __init__(self, phase: _Optional[_Union[TurnPhase, str]] = ..., transcript: _Optional[str] = ..., at_s: _Optional[float] = ...) -> None: ...

class Finalized(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TranscriptionDone(_message.Message):
    __slots__ = ("cancelled",)
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    cancelled: bool
    def __init__(self, cancelled: _Optional[bool] = ...) -> None: ...

class ListVoicesRequest(_message.Message):
    __slots__ = ("language", "model")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    language: str
    model: str
    def __init__(self, language: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class ListVoicesResponse(_message.Message):
    __slots__ = ("voices",)
    VOICES_FIELD_NUMBER: _ClassVar[int]
    voices: _containers.RepeatedCompositeFieldContainer[Voice]
    def __init__(self, voices: _Optional[_Iterable[_Union[Voice, _Mapping]]] = ...) -> None: ...

class Voice(_message.Message):
    __slots__ = ("id", "name", "description", "language", "locale", "gender", "model")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    GENDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    language: str
    locale: str
    gender: str
    model: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., language: _Optional[str] = ..., locale: _Optional[str] = ..., gender: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

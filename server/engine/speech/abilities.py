"""What a request asks for that a model cannot do: refused, field by field, before anything is made."""

from models.speech import Control, SynthesizerInfo
from server.errors import InvalidRequest
from server.requests.speech import Controls, SpeechRequest

_CONTROLS: tuple[tuple[Control, str], ...] = (
    ("speed", "speed"),
    ("volume", "volume"),
    ("pitch", "pitch_semitones"),
    ("pitch_range", "pitch_range"),
    ("emotion", "emotion"),
)
_PLAIN = Controls(), Controls(emotion="neutral")


def check_request(request: SpeechRequest, info: SynthesizerInfo) -> None:
    """Raises InvalidRequest naming the field and what the model takes."""
    _check_voice(request, info)
    check_controls(request.controls, info)
    check_times(request.want_words, request.want_phonemes, info)
    generation = request.generation
    if generation.instructions and "instructions" not in info.controls:
        raise _unable("generation_config.instructions", info, "takes no instructions")
    for name, value in generation.sampling.items():
        field = "generation_config.sampling"
        if name not in info.sampling:
            raise InvalidRequest.choice(field, name, sorted(info.sampling) or ["none"])
        lowest, highest = info.sampling[name]
        if not lowest <= value <= highest:
            message = f"{field}: {name} {value:g} is out of range; accepted values: {lowest:g} to {highest:g}"
            raise InvalidRequest(message, field=field)
    if info.reads == "text":
        if request.pronunciations.entries:
            raise _unable("pronunciation_dict_id", info, "reads text by itself and takes no dictionary")
        if request.normalization != "auto":
            raise _unable("normalization", info, "reads numbers and signs by itself")


def check_controls(controls: Controls, info: SynthesizerInfo) -> None:
    """Raises InvalidRequest for a control that departs from what the model does by itself, and that it does not act on."""
    for control, name in _CONTROLS:
        if control not in info.controls and getattr(controls, name) not in {getattr(plain, name) for plain in _PLAIN}:
            able = ", ".join(sorted(info.controls)) or "none"
            raise _unable(f"generation_config.{control}", info, f"does not act on it; controls that it acts on: {able}")


def check_times(words: bool, phonemes: bool, info: SynthesizerInfo) -> None:
    """Raises InvalidRequest where times are wanted that the model does not give: nothing makes them up."""
    if words and info.times == "none":
        raise _unable("add_timestamps", info, "gives no times of words")
    if phonemes and info.times != "phones":
        raise _unable("add_phoneme_timestamps", info, "gives no times of phonemes")


def _check_voice(request: SpeechRequest, info: SynthesizerInfo) -> None:
    voice = request.voice
    if voice.family != info.family:
        own = ", ".join(f"{other.id} ({other.name})" for other in info.voices)
        message = f"voice: {voice.name!r} is a voice of the model {voice.family!r}, not of {info.family!r}; its voices: {own}"
        raise InvalidRequest(message, field="voice")
    if request.language != voice.language:
        able = ", ".join(f"{other.id} ({other.name})" for other in info.voices if other.language == request.language)
        raise InvalidRequest(
            f"language: voice {voice.name!r} speaks {voice.language!r}, not {request.language!r}; "
            f"voices that speak it: {able or 'none'}",
            field="language",
        )


def _unable(field: str, info: SynthesizerInfo, why: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: the model {info.family!r} {why}; leave it out", field=field)

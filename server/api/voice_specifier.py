"""The ``voice`` field in every form that clients of any version send."""

from collections.abc import Mapping
from typing import Any

from models.voices import Voice
from server.api.embeddings import voice_of
from server.errors import InvalidRequest
from server.requests.speech import SPEED_RANGE, Controls
from server.storage.voices import Voices

_NAMED_SPEEDS = {"slowest": -1.0, "slow": -0.5, "normal": 0.0, "fast": 0.5, "fastest": 1.0}
_EMOTIONS = {"anger": "angry", "positivity": "happy", "surprise": "surprised", "sadness": "sad", "curiosity": "curious"}


def is_embedding(value: Any) -> bool:
    """Whether this names a voice by numbers, as legacy terminators do."""
    return isinstance(value, Mapping) and not isinstance(value.get("id"), str) and "embedding" in value


def find_voice(value: Any, voices: Voices, language: str | None = None) -> Voice:
    """The voice meant by an id, ``{"id"}``, ``{"mode":"id","id"}`` or an embedding this server gave out.

    Raises InvalidRequest for any other form and VoiceNotFound for an unknown id.
    """
    if value is None:
        raise InvalidRequest("voice: is required", field="voice")
    if isinstance(value, str):
        return voices.get(value, language)
    if isinstance(value, Mapping):
        if isinstance(value.get("id"), str):
            return voices.get(value["id"], language)
        if isinstance(value.get("embedding"), list):
            return voice_by_embedding(value["embedding"], voices)
    raise InvalidRequest('voice: must be a voice id or {"mode": "id", "id": "<voice id>"}', field="voice")


def experimental_controls(value: Any) -> Controls:
    """The ``__experimental_controls`` of versions up to 2024-11-13, as today's controls.

    Raises InvalidRequest for a speed that is neither a number nor a known name.
    """
    given = value.get("__experimental_controls") if isinstance(value, Mapping) else None
    if not isinstance(given, Mapping):
        return Controls()
    return Controls(speed=_speed(given.get("speed")), emotion=_emotion(given.get("emotion")))


def voice_by_embedding(embedding: list[Any], voices: Voices, field: str = "voice.embedding") -> Voice:
    """Raises InvalidRequest for numbers that were not made here."""
    voice = voice_of(embedding, voices)
    if voice is None:
        raise InvalidRequest(
            f"{field}: only an embedding that this server gave out, or a weighted mean of such, is taken", field=field
        )
    return voice


def _speed(value: Any) -> float:
    """-1..1 as a factor: 0.6 at -1, 1 at 0, 1.5 at 1, even steps sounding even."""
    if value is None:
        return 1.0
    field = "voice.__experimental_controls.speed"
    if isinstance(value, str):
        if value not in _NAMED_SPEEDS:
            raise InvalidRequest.choice(field, value, _NAMED_SPEEDS)
        value = _NAMED_SPEEDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
        raise InvalidRequest(f"{field}: must be a number from -1 to 1 or one of {', '.join(_NAMED_SPEEDS)}", field=field)
    lowest, highest = SPEED_RANGE
    return float(highest**value if value >= 0 else lowest**-value)


def _emotion(value: Any) -> str | None:
    """The first known emotion of a list like ``["positivity:high", "curiosity"]``; a hint, so others are ignored."""
    for entry in value if isinstance(value, list) else ():
        name = str(entry).partition(":")[0].lower()
        if name in _EMOTIONS:
            return _EMOTIONS[name]
    return None

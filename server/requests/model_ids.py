"""Which model id is answered by which installed model family.

Every id that Cartesia has published is known, and those that OpenAI has for
transcription, so that a client changes nothing but its base URL; ids nobody
published are refused with the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import ModelNotFound

SPEECH_IDS = (
    "sonic", "sonic-latest", "sonic-turbo", "sonic-preview", "sonic-lite", "sonic-english", "sonic-multilingual",
    "sonic-2", "sonic-3", "sonic-3-latest", "sonic-3.5", "sonic-3.6",
    "sonic-2024-10-19", "sonic-2024-12-12", "sonic-turbo-2025-03-07", "sonic-turbo-2025-06-04",
    "sonic-2-2025-03-07", "sonic-2-2025-04-16", "sonic-2-2025-05-08", "sonic-2-2025-06-11",
    "sonic-3-2025-10-27", "sonic-3-2026-01-12", "sonic-3.5-2026-05-04",
)  # fmt: skip

RECOGNITION_IDS = (
    "ink-whisper", "ink-whisper-2025-06-04", "ink-2", "ink-preview",
    # OpenAI's, but for gpt-4o-transcribe-diarize: nothing here says who speaks.
    "whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Catalog:
    """Model ids of both directions, each with the family that answers."""

    speech: Mapping[str, str]
    recognition: Mapping[str, str]

    def speech_family(self, model_id: str) -> str:
        """Raises ModelNotFound with the accepted ids."""
        return _look_up(self.speech, model_id, "model_id")

    def recognition_family(self, model_id: str, field: str = "model") -> str:
        """Raises ModelNotFound with the accepted ids."""
        return _look_up(self.recognition, model_id, field)


def build_catalog(speech_family: str, recognition_family: str, extra: Mapping[str, str]) -> Catalog:
    """The published ids on the two given families; ``extra`` ids go to the family they name."""
    speech = dict.fromkeys((*SPEECH_IDS, speech_family), speech_family)
    recognition = dict.fromkeys((*RECOGNITION_IDS, recognition_family), recognition_family)
    for model_id, family in extra.items():
        (recognition if family == recognition_family else speech)[model_id] = family
    return Catalog(speech=speech, recognition=recognition)


def _look_up(table: Mapping[str, str], model_id: str, field: str) -> str:
    try:
        return table[model_id]
    except KeyError:
        listed = ", ".join(sorted(table))
        raise ModelNotFound(f"{field}: {model_id!r} is not served here; accepted values: {listed}", field=field) from None

"""Which model id is answered by which model.

A model answers to its own name. Every id that Cartesia has published is known too, and those that OpenAI has for
transcription, so that a client changes nothing but its base URL: they go to the first model of their kind, unless the
settings name another. Ids nobody published are refused with the list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from models.importing import ModelKind
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

FLAGS: Mapping[ModelKind, str] = {"speech": "--speech-model", "recognition": "--recognition-model"}
"""What makes `descant serve` load a model of this kind."""

_WHAT: Mapping[ModelKind, str] = {"speech": "speaks", "recognition": "recognizes speech"}
_OTHER: Mapping[ModelKind, ModelKind] = {"speech": "recognition", "recognition": "speech"}


@dataclass(frozen=True, slots=True)
class Catalog:
    """Model ids of both directions, each with the name of the model that answers."""

    speech: Mapping[str, str]
    recognition: Mapping[str, str]
    installed: Callable[[str], ModelKind | None]
    """What kind the model of this name is that lies on this machine, loaded or not; None where there is none."""

    def speech_model(self, model_id: str, field: str = "model_id") -> str:
        """Raises ModelNotFound with the accepted ids."""
        return self._look_up("speech", model_id, field)

    def recognition_model(self, model_id: str, field: str = "model") -> str:
        """Raises ModelNotFound with the accepted ids."""
        return self._look_up("recognition", model_id, field)

    def _look_up(self, kind: ModelKind, model_id: str, field: str) -> str:
        table = self._table(kind)
        found = table.get(model_id)
        if found is None:
            raise ModelNotFound(f"{field}: {self._why_not(kind, model_id)}", field=field)
        return found

    def _table(self, kind: ModelKind) -> Mapping[str, str]:
        return self.speech if kind == "speech" else self.recognition

    def _why_not(self, kind: ModelKind, model_id: str) -> str:
        table = self._table(kind)
        accepted = f"accepted values: {', '.join(sorted(table))}"
        other = _OTHER[kind]
        if model_id in self._table(other) or self.installed(model_id) == other:
            return f"{model_id!r} {_WHAT[other]}; {accepted}"
        if self.installed(model_id) == kind:
            loaded = [known for known, name in table.items() if known == name]  # in the order of the settings
            flags = " ".join(f"{FLAGS[kind]} {name}" for name in (*loaded, model_id))
            return (
                f"{model_id!r} is installed, but this server has not loaded it; loaded: {', '.join(loaded)}. "
                f"To load it, too: descant serve {flags}"
            )
        return f"{model_id!r} is not served here; {accepted}"


def build_catalog(
    speech_models: Sequence[str],
    recognition_models: Sequence[str],
    extra: Mapping[str, str],
    installed: Callable[[str], ModelKind | None] = lambda name: None,
) -> Catalog:
    """The published ids on the first model of each kind, every model's own name, and ``extra`` ids on the models they name.

    Raises ValueError for an extra id of a model that is not among them, or that is another one's name.
    """
    names = (*speech_models, *recognition_models)
    speech = _table(SPEECH_IDS, speech_models)
    recognition = _table(RECOGNITION_IDS, recognition_models)
    for model_id, name in extra.items():
        if name not in names:
            raise ValueError(f"{model_id!r} names the model {name!r}, which is not loaded; loaded: {', '.join(names)}")
        if model_id in names and model_id != name:
            raise ValueError(f"{model_id!r} is itself the name of a loaded model and cannot stand for {name!r}")
        (recognition if name in recognition_models else speech)[model_id] = name
    return Catalog(speech, recognition, installed)


def _table(general: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    return {**dict.fromkeys(general, names[0]), **{name: name for name in names}}

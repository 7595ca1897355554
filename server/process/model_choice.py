"""Which models the settings ask for. Names are checked here, before anything slow is imported."""

from dataclasses import dataclass
from pathlib import Path

from models.packaged import PACKAGED, ModelKind
from server.config import ConfigError, Settings
from server.requests.model_ids import FLAGS, Catalog, build_catalog

_SETTING: dict[ModelKind, str] = {"speech": "speech_models", "recognition": "recognition_models"}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model on this machine."""

    name: str
    kind: ModelKind
    family: str
    folder: Path | None
    """Where its files are; None: in the package."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The models to load, in order; the first of each kind answers the general ids."""

    speech: tuple[ModelSource, ...]
    recognition: tuple[ModelSource, ...]

    @property
    def all(self) -> tuple[ModelSource, ...]:
        return (*self.speech, *self.recognition)


def find_model(settings: Settings, name: str) -> ModelSource | None:
    """The model of this name, from the package or installed; None where there is none."""
    packaged = PACKAGED.get(name)
    return ModelSource(packaged.name, packaged.kind, packaged.family, None) if packaged is not None else None


def model_names(settings: Settings, kind: ModelKind) -> list[str]:
    """Every model of a kind on this machine, those of the package first."""
    return [model.name for model in PACKAGED.values() if model.kind == kind]


def choose_models(settings: Settings) -> ModelChoice:
    """Raises ConfigError for a name that is no model here, naming those that are and how to get one."""
    speech = _chosen(settings, "speech", settings.speech_models)
    recognition = _chosen(settings, "recognition", settings.recognition_models)
    names = [model.name for model in (*speech, *recognition)]
    for name in settings.model_devices:
        if name not in names:
            raise ConfigError(f"setting model_devices: {name!r} is not loaded; loaded: {', '.join(names)}")
    try:
        catalog_of(settings)
    except ValueError as error:
        raise ConfigError(f"setting model_ids: {error}") from None
    return ModelChoice(speech, recognition)


def catalog_of(settings: Settings) -> Catalog:
    """Which model answers which id, by the settings; the names are taken for checked. Raises ValueError for model_ids."""

    def installed(name: str) -> ModelKind | None:
        found = find_model(settings, name)
        return found.kind if found is not None else None

    return build_catalog(settings.speech_models, settings.recognition_models, settings.model_ids, installed)


def chosen_model(settings: Settings, kind: ModelKind, name: str) -> ModelSource:
    """One model by name. Raises ConfigError as `choose_models`."""
    found = find_model(settings, name)
    if found is not None and found.kind == kind:
        return found
    setting = f"setting {_SETTING[kind]} ({FLAGS[kind]})"
    if found is not None:
        does = "speaks" if found.kind == "speech" else "recognizes speech"
        raise ConfigError(f"{setting}: {name!r} {does}; it belongs to {_SETTING[found.kind]} ({FLAGS[found.kind]})")
    raise ConfigError(
        f"{setting}: no model {name!r} is installed; installed: {', '.join(model_names(settings, kind))}. "
        "`descant models list` shows what can be had; install it with `descant models pull NAME`, or from files with "
        "`descant models import PATH --name NAME`"
    )


def _chosen(settings: Settings, kind: ModelKind, names: tuple[str, ...]) -> tuple[ModelSource, ...]:
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"setting {_SETTING[kind]} ({FLAGS[kind]}): {doubled!r} is named twice")
    return tuple(chosen_model(settings, kind, name) for name in names)

"""Which models the settings ask for. Names are checked here, before anything slow is imported."""

from dataclasses import dataclass
from pathlib import Path

from models.importing import ModelKind
from models.packaged import PACKAGED
from server.config import ConfigError, Settings
from server.model_store.errors import ModelMissing, ModelStoreError
from server.model_store.store import ModelStore
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
    parameters: int = 0
    """0 where that is not known beforehand, as of what is in the package, which is small."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The models to load, in order; the first of each kind answers the general ids."""

    speech: tuple[ModelSource, ...]
    recognition: tuple[ModelSource, ...]

    @property
    def all(self) -> tuple[ModelSource, ...]:
        return (*self.speech, *self.recognition)


def choose_models(settings: Settings) -> ModelChoice:
    """Raises ConfigError for a name that is no model here, naming those that are and how to get one."""
    choice = ModelChoice(
        _chosen(settings, "speech", settings.speech_models), _chosen(settings, "recognition", settings.recognition_models)
    )
    names = [model.name for model in choice.all]
    for name in settings.model_devices:
        if name not in names:
            raise ConfigError(f"setting model_devices: {name!r} is not loaded; loaded: {', '.join(names)}")
    model_catalog(settings, choice)
    return choice


def chosen_model(settings: Settings, kind: ModelKind, name: str) -> ModelSource:
    """One model by its name, or NAME@VERSION. Raises ConfigError as `choose_models`."""
    setting = f"setting {_SETTING[kind]} ({FLAGS[kind]})"
    try:
        found = _find(settings, name)
    except ModelMissing:
        raise ConfigError(
            f"{setting}: no model {name!r} is installed; installed: {', '.join(_names(settings, kind))}. "
            "Install one with `descant models pull NAME`, or from files with `descant models import PATH --name NAME`; "
            "`descant models list` shows what is there"
        ) from None
    except ModelStoreError as error:
        raise ConfigError(f"{setting}: {error}") from None
    if found.kind != kind:
        does = "speaks" if found.kind == "speech" else "recognizes speech"
        raise ConfigError(f"{setting}: {name!r} {does}; it belongs to {_SETTING[found.kind]} ({FLAGS[found.kind]})")
    return found


def model_catalog(settings: Settings, choice: ModelChoice) -> Catalog:
    """Which model answers which id. Raises ConfigError for model_ids that name no loaded model."""

    def installed(name: str) -> ModelKind | None:
        try:
            return _find(settings, name).kind
        except ModelStoreError:
            return None

    speech, recognition = ([model.name for model in models] for models in (choice.speech, choice.recognition))
    try:
        return build_catalog(speech, recognition, settings.model_ids, installed)
    except ValueError as error:
        raise ConfigError(f"setting model_ids: {error}") from None


def ids_by_model(catalog: Catalog) -> dict[str, list[str]]:
    """Every id that is answered, by the name of the model that answers it."""
    names: dict[str, list[str]] = {}
    for table in (catalog.speech, catalog.recognition):
        for model_id, name in table.items():
            names.setdefault(name, []).append(model_id)
    return names


def few_ids(ids: list[str]) -> str:
    """For people: some of them, and how many more there are."""
    return f"{', '.join(ids[:4])} and {len(ids) - 4} more ids" if len(ids) > 5 else ", ".join(ids)


def _chosen(settings: Settings, kind: ModelKind, names: tuple[str, ...]) -> tuple[ModelSource, ...]:
    models = tuple(chosen_model(settings, kind, name) for name in names)
    chosen = [model.name for model in models]
    doubled = next((name for name in chosen if chosen.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"setting {_SETTING[kind]} ({FLAGS[kind]}): {doubled!r} is named twice")
    return models


def _find(settings: Settings, name: str) -> ModelSource:
    """Raises ModelMissing, or ModelCorrupt for files that are gone or cut off."""
    packaged = PACKAGED.get(name)
    if packaged is not None:
        return ModelSource(packaged.name, packaged.kind, packaged.family, None)
    installed = ModelStore(settings.models_dir).find(name)
    return ModelSource(installed.name, installed.kind, installed.family, installed.folder, installed.manifest.parameters)


def _names(settings: Settings, kind: ModelKind) -> list[str]:
    """Every model of a kind on this machine, those of the package first."""
    packaged = [model.name for model in PACKAGED.values() if model.kind == kind]
    installed = [model.name for model in ModelStore(settings.models_dir).list() if model.kind == kind]
    return list(dict.fromkeys((*packaged, *installed)))

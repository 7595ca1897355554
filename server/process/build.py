"""Composition root: settings in, the joined parts of a server out. Nothing listens and no thread runs yet.

Cheap checks come before expensive imports: a typing error in a setting or a
missing key stops the start in well under a second, without loading torch.
"""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from server.config import Settings
from server.process.data_folder import key_store, own_voices, pronunciation_store
from server.process.listen import check_exposure
from server.process.model_choice import ModelChoice, choose_models, model_catalog

if TYPE_CHECKING:
    from models.hearing import SpeechDetector
    from server.engine.engine import Engine
    from server.engine.interface import AnyEngine
    from server.metrics import Metrics
    from server.services import Services
    from server.storage.voices import VoiceStore


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine with its models, before any thread runs, and what it shares with others."""

    engine: "Engine"
    settings: Settings
    """With what was measured."""
    detector: "SpeechDetector"


def build(settings: Settings) -> "Services":
    """Load the models and join all parts. Raises ConfigError for what the settings ask in vain."""
    keys = key_store(settings)
    check_exposure(settings, keys)
    choice = choose_models(settings)
    from models.registry import load_cloner
    from server.engine.speech.cloning import Cloning
    from server.metrics import Metrics
    from server.services import Services

    metrics = Metrics()
    loaded = load_engine(settings, choice, metrics)
    voices = voice_store(settings, loaded.engine)
    makers = voices.of("").makers
    family = next((family for family, maker in makers.items() if maker.locales), choice.speech[0].family)
    cloning = Cloning(partial(load_cloner, family), loaded.detector)
    catalog, pronunciations = model_catalog(settings, choice), pronunciation_store(settings)
    return Services(loaded.engine, voices, catalog, keys, loaded.settings, metrics, pronunciations, cloning)


async def build_gateway(settings: Settings) -> "Services":
    """Wait for the engine at the other end of the socket, and join all parts that are not in it."""
    keys = key_store(settings)
    check_exposure(settings, keys)
    choice = choose_models(settings)
    from server.gateways.remote import RemoteEngine
    from server.metrics import Metrics
    from server.services import Services

    assert settings.engine_socket is not None
    metrics = Metrics()
    engine = RemoteEngine(settings.engine_socket, metrics)
    await engine.start()
    voices = voice_store(settings, engine)
    catalog, pronunciations = model_catalog(settings, choice), pronunciation_store(settings)
    return Services(engine, voices, catalog, keys, settings, metrics, pronunciations, engine)


def voice_store(settings: Settings, engine: "AnyEngine") -> "VoiceStore":
    """The voices of the engine's models, and those that users made for them."""
    from models.registry import load_voice_makers
    from server.storage.voices import VoiceStore

    models = {model.name: model.voices for model in engine.models if model.kind == "speech"}
    return VoiceStore(models, own_voices(settings), load_voice_makers(tuple(chain.from_iterable(models.values()))))


def load_engine(settings: Settings, choice: ModelChoice, metrics: "Metrics") -> LoadedEngine:
    """Load the chosen models, of either kind any number. Raises ConfigError for a model or a device that cannot be used."""
    from models.silero_vad import SileroDetector
    from server.engine.engine import Engine
    from server.process.loading import load_models
    from server.text.frontend import TextFrontEnd

    settings, synthesizers, recognizers = load_models(settings, choice, metrics)
    infos = [model.info for model in synthesizers.values()]
    front_end = TextFrontEnd({voice.tongue for info in infos if info.reads == "phones" for voice in info.voices})
    detector = SileroDetector()
    engine = Engine(
        synthesizers=synthesizers, recognizers=recognizers, detector=detector, front_end=front_end,
        limits=settings.limits, metrics=metrics,
    )  # fmt: skip
    return LoadedEngine(engine, settings, detector)

"""The joined parts of the server, as both APIs are given them."""

from dataclasses import dataclass

from server.config import Settings
from server.engine.interface import AnyCloning, AnyEngine
from server.metrics import Metrics
from server.requests.model_ids import Catalog
from server.storage.keys import KeyStore
from server.storage.pronunciations import PronunciationStore
from server.storage.voices import VoiceStore


@dataclass(frozen=True, slots=True)
class Services:
    engine: AnyEngine
    voices: VoiceStore
    catalog: Catalog
    keys: KeyStore
    settings: Settings
    metrics: Metrics
    pronunciations: PronunciationStore
    cloning: AnyCloning

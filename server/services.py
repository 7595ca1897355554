"""The joined parts of the server, as both APIs are given them, and what both know of a client's call."""

from dataclasses import dataclass

from server.config import Settings
from server.engine.interface import AnyCloning, AnyEngine
from server.metrics import Metrics
from server.requests.model_ids import Catalog
from server.storage.keys import KeyStore
from server.storage.pronunciations import PronunciationStore
from server.storage.voices import Voices, VoiceStore


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


@dataclass(frozen=True, slots=True)
class ClientCall:
    """One request or one connection of a client, by either API."""

    services: Services
    request_id: str
    received_s: float
    """time.perf_counter() when it reached the server."""
    key_id: str = ""

    @property
    def voices(self) -> Voices:
        """The voices that this caller sees."""
        return self.services.voices.of(self.key_id)

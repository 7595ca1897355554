"""What lies where in the data directory."""

from pathlib import Path

from server.config import Settings
from server.storage.keys import KeyStore
from server.storage.own_voices import OwnVoices
from server.storage.pronunciations import PronunciationStore


def key_store(settings: Settings) -> KeyStore:
    return KeyStore(settings.data_dir / "keys.json")


def own_voices(settings: Settings) -> OwnVoices:
    return OwnVoices(settings.data_dir / "voices")


def pronunciation_store(settings: Settings) -> PronunciationStore:
    return PronunciationStore(settings.data_dir / "pronunciations")


def trained_voices(settings: Settings) -> list[Path]:
    """Files of voices that were made from recordings (`training.voice.adapt`), in a stable order."""
    return sorted((settings.data_dir / "trained-voices").glob("*.safetensors"))

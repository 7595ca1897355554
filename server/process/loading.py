"""From chosen models to loaded ones, each on its device."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from models.hearing import Recognizer
from models.packaged import VOICE
from models.registry import load_recognizer, load_synthesizer
from models.speech import Synthesizer
from server.config import ConfigError, Settings
from server.process.data_folder import trained_voices
from server.process.model_choice import ModelChoice, ModelSource

M = TypeVar("M")
log = logging.getLogger("descant")

MAX_BATCH_WINDOWS = 16
MAX_BATCH_WINDOWS_ON_A_CARD = 64
"""A card has room for them; not measured yet. What a step takes bounds the batch sooner (`choose_jobs`)."""


def choose_device(wanted: str) -> str:
    """Turn ``auto`` into a device; raises ConfigError when a named one is not there."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            raise ConfigError(
                f"device: {wanted} is not available (torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices). "
                "Use --device cpu, or run `descant doctor` to see what is missing."
            )
    return wanted


def device_of(settings: Settings, model: ModelSource) -> str:
    """The device of one model. Raises ConfigError as `choose_device`."""
    return choose_device(settings.model_devices.get(model.name, settings.device))


def load_speech(settings: Settings, model: ModelSource, device: str, max_slots: int) -> Synthesizer:
    """A model that speaks; the packaged one with the voices made from recordings. Raises ConfigError if it cannot be used."""
    voice_files = trained_voices(settings) if model.family == VOICE.family else ()
    return _usable(model, lambda: load_synthesizer(model.family, device, max_slots, voice_files, settings.cuda_graphs))


def load_hearing(settings: Settings, model: ModelSource, device: str) -> Recognizer:
    """A model that recognizes speech. Raises ConfigError if it cannot be used."""
    windows = MAX_BATCH_WINDOWS if device == "cpu" else MAX_BATCH_WINDOWS_ON_A_CARD
    return _usable(model, lambda: load_recognizer(model.family, device, windows, model.folder, settings.recognition_engine))


def load_models(settings: Settings, choice: ModelChoice) -> tuple[Settings, dict[str, Synthesizer], dict[str, Recognizer]]:
    """Load the models one after the other, and log how long each took; the settings come back with the threads measured.

    Raises ConfigError for a model or a device that cannot be used.
    """
    import torch

    from server.process.cpu_threads import measured_threads

    devices = {model.name: device_of(settings, model) for model in choice.all}
    torch.set_num_threads(settings.threads or 1)
    synthesizers, recognizers = {}, {}
    for model in choice.speech:
        with _timed(model, devices[model.name]):
            slots = settings.limits.max_speech_sessions
            synthesizers[model.name] = load_speech(settings, model, devices[model.name], slots)
    on_cpu = next((synthesizer for synthesizer in synthesizers.values() if synthesizer.info.device == "cpu"), None)
    if settings.threads == 0 and on_cpu is not None:
        settings = settings.model_copy(update={"threads": measured_threads(on_cpu, torch.set_num_threads)})
    for model in choice.recognition:
        with _timed(model, devices[model.name]):
            recognizers[model.name] = load_hearing(settings, model, devices[model.name])
    return settings, synthesizers, recognizers


@contextlib.contextmanager
def _timed(model: ModelSource, device: str) -> Iterator[None]:
    begin_s = time.perf_counter()
    yield
    log.info("model %s loaded on %s in %.1f s", model.name, device, time.perf_counter() - begin_s)


def _usable(model: ModelSource, load: Callable[[], M]) -> M:
    try:
        return load()
    except (ValueError, OSError) as error:
        raise ConfigError(f"model {model.name}: {error}") from None

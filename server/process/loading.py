"""From chosen models to loaded ones, each on its device."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch

from models.hearing import Recognizer
from models.packaged import VOICE
from models.registry import load_recognizer, load_synthesizer
from models.speech import Synthesizer
from server.config import ConfigError, Settings
from server.engine.on_demand import OnDemandRecognizer, OnDemandSynthesizer
from server.metrics import Metrics
from server.model_store.errors import gigabytes
from server.process.cpu_threads import measured_threads
from server.process.data_folder import trained_voices
from server.process.memory import check_fits, give_back, in_use_bytes, too_big, trim
from server.process.model_choice import ModelChoice, ModelSource

M = TypeVar("M", bound=Synthesizer | Recognizer)

MAX_BATCH_WINDOWS = 16
MAX_BATCH_WINDOWS_ON_A_CARD = 64
"""A card has room for them; not measured yet. What a step takes bounds the batch sooner (`choose_jobs`)."""

log = logging.getLogger("descant")


def choose_device(wanted: str) -> str:
    """Turn ``auto`` into a device; raises ConfigError when a named one is not there."""
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


def load_models(
    settings: Settings, choice: ModelChoice, metrics: Metrics
) -> tuple[Settings, dict[str, Synthesizer], dict[str, Recognizer]]:
    """Load the models one after the other, and log how long each took; the settings come back with the threads measured.

    Raises ConfigError for a model or a device that cannot be used.
    """
    devices = {model.name: choose_device(settings.model_devices.get(model.name, settings.device)) for model in choice.all}
    torch.set_num_threads(settings.threads or 1)
    synthesizers: dict[str, Synthesizer] = {}
    recognizers: dict[str, Recognizer] = {}
    for source in choice.speech:
        device = devices[source.name]
        speech = _Loader(source, device, partial(load_speech, settings, source, device), metrics)
        synthesizers[source.name] = speech.resident(OnDemandSynthesizer, settings)
    on_cpu = next((synthesizer for synthesizer in synthesizers.values() if synthesizer.info.device == "cpu"), None)
    if settings.threads == 0 and on_cpu is not None:
        settings = settings.model_copy(update={"threads": measured_threads(on_cpu, torch.set_num_threads)})
    for source in choice.recognition:
        device = devices[source.name]
        hearing = _Loader(source, device, _HearingLoad(settings, source, device), metrics)
        recognizers[source.name] = hearing.resident(OnDemandRecognizer, settings)
    return settings, synthesizers, recognizers


def load_speech(settings: Settings, source: ModelSource, device: str) -> Synthesizer:
    """A model that speaks; the packaged one with the voices made from recordings. Raises ConfigError if it cannot be used."""
    voice_files = trained_voices(settings) if source.family == VOICE.family else ()
    slots = settings.limits.max_speech_sessions
    with _refusing(source):
        return load_synthesizer(source.family, device, slots, voice_files, settings.cuda_graphs, source.folder)


def load_hearing(settings: Settings, source: ModelSource, device: str) -> Recognizer:
    """A model that recognizes speech. Raises ConfigError if it cannot be used."""
    windows = MAX_BATCH_WINDOWS if device == "cpu" else MAX_BATCH_WINDOWS_ON_A_CARD
    with _refusing(source):
        return load_recognizer(source.family, device, windows, source.folder, settings.recognition_engine)


@contextlib.contextmanager
def _refusing(source: ModelSource) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise ConfigError(f"model {source.name}: {error}") from None


class _HearingLoad:
    """Loads a recognizer, and again with the engine that was faster the first time."""

    def __init__(self, settings: Settings, source: ModelSource, device: str) -> None:
        self._settings, self._source, self._device = settings, source, device

    def __call__(self) -> Recognizer:
        recognizer = load_hearing(self._settings, self._source, self._device)
        engine = recognizer.info.engine.partition(" ")[0]
        self._settings = self._settings.model_copy(update={"recognition_engine": engine})
        return recognizer


@dataclass(frozen=True, slots=True)
class _Loader(Generic[M]):
    """Loads one model, again whenever it comes back to memory, and measures it."""

    source: ModelSource
    device: str
    family_load: Callable[[], M]
    metrics: Metrics

    def resident(self, on_demand: Callable[..., M], settings: Settings) -> M:
        """The loaded model; where the settings say so, one that leaves memory when it is idle. Raises ConfigError."""
        begin_s = time.perf_counter()
        model = self.load()
        if settings.model_idle_s == 0.0:
            return model
        return on_demand(
            self.source.name, model, self.load, self.leave,
            idle_s=settings.model_idle_s, load_s=time.perf_counter() - begin_s, max_load_s=settings.limits.max_model_load_s,
        )  # fmt: skip

    def load(self) -> M:
        """Raises ConfigError for a model that cannot be used, or does not fit on its card."""
        source, device = self.source, self.device
        check_fits(source, device)
        begin_s, before_bytes = time.perf_counter(), in_use_bytes(device)
        try:
            model = self.family_load()
        except torch.OutOfMemoryError as error:
            raise ConfigError(too_big(source, device, f"more than is free ({error})")) from None
        trim()
        took_s, grown_bytes = time.perf_counter() - begin_s, max(0, in_use_bytes(device) - before_bytes)
        weight_bytes = model.info.weight_bytes
        self.metrics.set_model(source.name, weight_bytes=weight_bytes, grown_bytes=grown_bytes, load_s=took_s)
        log.info(
            "model %s loaded on %s in %.1f s: %s of weights, memory grew by %s",
            source.name, device, took_s, gigabytes(weight_bytes), gigabytes(grown_bytes),
        )  # fmt: skip
        return model

    def leave(self, drop: Callable[[], bool]) -> None:
        """Drop the model, and give back what it took."""
        before_bytes = in_use_bytes(self.device)
        give_back(self.device, is_freed=drop())
        self.metrics.set_model(self.source.name, weight_bytes=0, grown_bytes=0)
        log.info(
            "model %s was idle and left memory (%s), which shrank by %s",
            self.source.name, self.device, gigabytes(max(0, before_bytes - in_use_bytes(self.device))),
        )  # fmt: skip

"""Engines that read speech: ours, a file at once or as a stream of small pieces, and faster-whisper with the same weights."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from benchmarks.real.material import cache_folder, locked
from benchmarks.real.speech_sets import Clip
from benchmarks.simulated_stream import Run, live, whole_file
from models.hearing import Recognizer
from models.silero_vad import SileroDetector

PEER_BEAMS = 5
"""faster-whisper's own default, and what its figures are published with."""
PEER_WEIGHTS = "int8"
PEER_SEED = 0
"""Of the temperatures that it falls back to."""


class Reader(Protocol):
    """Reads clips one after another."""

    def __call__(self, clip: Clip) -> str: ...


def final_text(run: Run) -> str:
    """All final transcripts of a stream as a client joins them."""
    return "".join(item.transcript.text for item in run.shown if item.transcript.is_final).strip()


@dataclass(slots=True)
class Whole:
    """Ours as ``POST /stt`` does it: the file goes to the engine at once, no partial texts are wanted."""

    recognizer: Recognizer
    detector: SileroDetector
    detect: bool = False
    """No language is given."""

    def __call__(self, clip: Clip) -> str:
        return final_text(whole_file(self.recognizer, self.detector, clip.pcm, None if self.detect else clip.language))


@dataclass(slots=True)
class Streamed:
    """Ours as a socket does it: pieces of ``piece_s`` on a simulated clock, with partial texts; the finals are joined."""

    recognizer: Recognizer
    detector: SileroDetector
    piece_s: float
    detect: bool = False
    """No language is given."""

    def __call__(self, clip: Clip) -> str:
        language = None if self.detect else clip.language
        run = live(self.recognizer, self.detector, clip.pcm, interim=True, language=language, piece_s=self.piece_s)
        return final_text(run)


class FasterWhisper:
    """faster-whisper as its users call it, with the language or, to ``detect``, without."""

    def __init__(self, folder: Path, threads: int, beams: int = PEER_BEAMS, detect: bool = False) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel

        ctranslate2.set_random_seed(PEER_SEED)
        self._model = WhisperModel(str(folder), device="cpu", compute_type=PEER_WEIGHTS, cpu_threads=threads)
        self._beams = beams
        self._detect = detect

    def __call__(self, clip: Clip) -> str:
        language = None if self._detect else clip.language
        segments, _ = self._model.transcribe(clip.pcm, beam_size=self._beams, language=language)
        return "".join(segment.text for segment in segments).strip()


class Remembered:
    """A reader whose texts are kept in the cache: what decides them, weights, versions, options and audio, is in the key."""

    def __init__(self, make: Callable[[], Reader], key: dict[str, Any], fresh: bool = False) -> None:
        """``make`` is called when a text is not known yet; ``fresh``: none is taken for known."""
        self._make = make
        self._reader: Reader | None = None
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        self._path = cache_folder() / "texts" / f"{digest}.json"
        self._texts = {} if fresh else self._known()
        self._key = key

    def __call__(self, clip: Clip) -> str:
        name = hashlib.sha256(clip.language.encode() + clip.pcm.tobytes()).hexdigest()[:16]
        if name not in self._texts:
            self._reader = self._reader or self._make()
            self._texts[name] = self._reader(clip)
            self._keep()
        return self._texts[name]

    def _known(self) -> dict[str, str]:
        texts: dict[str, str] = json.loads(self._path.read_text("utf-8"))["texts"] if self._path.is_file() else {}
        return texts

    def _keep(self) -> None:
        with locked(self._path.name):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = {"key": self._key, "texts": {**self._known(), **self._texts}}
            unfinished = self._path.with_suffix(".part")
            unfinished.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
            unfinished.replace(self._path)


def remembered_peer(folder: Path, model_sha256: str, beams: int, threads: int, *, detect: bool, fresh: bool) -> Remembered:
    """faster-whisper's texts of weights with this hash."""
    key = {
        "engine": "faster-whisper",
        "versions": {package: version(package) for package in ("faster-whisper", "ctranslate2")},
        "model": model_sha256,
        "weights": PEER_WEIGHTS,
        "beams": beams,
        "threads": threads,
        **({"detect": True} if detect else {}),
    }
    return Remembered(lambda: FasterWhisper(folder, threads, beams, detect), key, fresh)

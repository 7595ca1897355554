"""Our recognizer's checkpoint in other people's engines: faster-whisper (CTranslate2) and transformers."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.listening_conditions import RATE_HZ, Floats
from benchmarks.side_by_side import in_turns, middle_ms, ratios, total_s
from benchmarks.word_error_rate import word_errors
from models.hearing import RecognitionWindow
from models.whisper.checkpoint import read_checkpoint
from models.whisper.features import log_mel
from models.whisper.model import EMBEDDED, load, padded_frames, token_budget
from models.whisper.tokenizer import WhisperTokenizer

Engine = Callable[[Floats], str]
OURS = "descant"
POLICY = read_checkpoint(EMBEDDED, WhisperTokenizer(EMBEDDED / "tokenizer.json")).policy
MAX_TOKENS = 224
FIRST_PARTIAL_S = 1.0
"""The first partial text is that of so much of the beginning."""


def token_limit(pcm: Floats) -> int:
    """The same for everybody: a text that will not end costs no engine more than another."""
    return token_budget(POLICY, len(pcm) / RATE_HZ, MAX_TOKENS)


def descant(beams: int) -> Engine:
    recognizer = load("cpu", 1, beams=beams)
    return lambda pcm: recognizer.step([RecognitionWindow(pcm)])[0].text.strip()


def converted(folder: Path) -> Path:
    """The checkpoint for CTranslate2, by its own converter."""
    from ctranslate2.converters import TransformersConverter

    copied = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(EMBEDDED), copy_files=copied).convert(str(folder / "model"))
    return folder / "model"


def faster_whisper(folder: Path, weights: str, beams: int) -> Engine:
    """As its users call it, without falling back to other temperatures."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type=weights, cpu_threads=1)

    def read(pcm: Floats) -> str:
        segments, _ = model.transcribe(
            pcm,
            beam_size=beams,
            temperature=0.0,
            without_timestamps=True,
            length_penalty=POLICY.length_power,
            max_new_tokens=token_limit(pcm),
        )
        return " ".join(segment.text.strip() for segment in segments)

    return read


def short_ctranslate2(folder: Path, weights: str, beams: int) -> Engine:
    """What faster-whisper does not offer: its engine on windows as long as the audio, as ours are."""
    import ctranslate2

    model = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type=weights, intra_threads=1)
    tokenizer = WhisperTokenizer(EMBEDDED / "tokenizer.json")
    start = [tokenizer.start, tokenizer.no_timestamps]

    def read(pcm: Floats) -> str:
        mel = log_mel(pcm)
        mel = np.pad(mel, ((0, padded_frames(len(mel), 50, POLICY.rest_s) - len(mel)), (0, 0)))
        result = model.generate(
            model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.T[None]))),
            [start],
            beam_size=beams,
            length_penalty=POLICY.length_power,
            max_length=len(start) + token_limit(pcm),
            suppress_blank=False,
        )[0]
        return tokenizer.decode([token for token in result.sequences_ids[0] if token != tokenizer.end]).strip()

    return read


def transformers(beams: int) -> Engine:
    """Its own features and its own generate()."""
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers.utils import logging

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    extract: Any = WhisperFeatureExtractor.from_pretrained(EMBEDDED)
    model: Any = WhisperForConditionalGeneration.from_pretrained(EMBEDDED, dtype=torch.float32)
    model.eval()
    tokenizer = WhisperTokenizer(EMBEDDED / "tokenizer.json")
    searching = {"num_beams": beams, "length_penalty": POLICY.length_power} if beams > 1 else {"num_beams": 1}

    @torch.inference_mode()
    def read(pcm: Floats) -> str:
        features = extract(pcm, sampling_rate=RATE_HZ, return_tensors="pt").input_features
        tokens = model.generate(features, do_sample=False, max_new_tokens=token_limit(pcm), **searching)[0].tolist()
        return tokenizer.decode([token for token in tokens if token < tokenizer.end]).strip()

    return read


def engines(folder: Path, beams: int) -> dict[str, Engine]:
    return {
        OURS: descant(beams),
        "faster-whisper, float32": faster_whisper(folder, "float32", beams),
        "faster-whisper, int8": faster_whisper(folder, "int8", beams),
        "transformers": transformers(beams),
        "CTranslate2, short windows": short_ctranslate2(folder, "float32", beams),
        "CTranslate2, short, int8": short_ctranslate2(folder, "int8", beams),
    }


def word_error_percent(said: Sequence[str], heard: Sequence[str]) -> float:
    pairs = [word_errors(one, other) for one, other in zip(said, heard, strict=True)]
    return round(100 * sum(errors for errors, _ in pairs) / max(1, sum(words for _, words in pairs)), 1)


def _read(read: Engine, windows: Sequence[Floats], piece: int) -> Iterator[str]:
    return iter([read(windows[piece])])


def compare(sentences: Sequence[str], spoken: Sequence[Floats], beams: int, rounds: int) -> dict[str, dict[str, object]]:
    """A row of figures per engine; ``spoken`` is what the sentences sound like, at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        readers = engines(converted(Path(folder)), beams)
        beginnings = [pcm[: round(FIRST_PARTIAL_S * RATE_HZ)] for pcm in spoken]

        def works(windows: Sequence[Floats]) -> Mapping[str, Callable[[int], Iterator[str]]]:
            return {name: partial(_read, read, windows) for name, read in readers.items()}

        texts, times = in_turns(works(spoken), len(spoken), rounds)
        _, first_times = in_turns(works(beginnings), len(beginnings), rounds)
    audio_s = sum(len(pcm) for pcm in spoken) / RATE_HZ
    heard = {name: [str(text) for (text,) in given] for name, given in texts.items()}
    rows: dict[str, dict[str, object]] = {}
    for name in readers:
        rows[name] = {
            "s per s": round(total_s(times, name, "wall_s") / audio_s, 4),
            "processor s per s": round(total_s(times, name, "processor_s") / audio_s, 4),
            "first partial, ms": round(middle_ms(first_times, name, "wall_s"), 1),
            "word errors, %": word_error_percent(sentences, heard[name]),
        }
        if name != OURS:
            rows[name] |= {
                "other words than ours, %": word_error_percent(heard[OURS], heard[name]),
                "seconds / ours": ratios(times, name, OURS, "wall_s"),
                "processor s / ours": ratios(times, name, OURS, "processor_s"),
                "first partial / ours": ratios(first_times, name, OURS, "wall_s"),
            }
    return rows

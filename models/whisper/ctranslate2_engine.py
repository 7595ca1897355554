"""Whisper by CTranslate2: int8 on a CPU takes a quarter of torch's time for the same text.

There is no mask: rows of a batch have one length, so windows are grouped by it. Its model is made in memory from the
checkpoint at rest.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import ctranslate2
import numpy as np
import torch

from models.cpu_cores import usable_cores
from models.weights import tensor_shapes
from models.whisper.checkpoint import Checkpoint
from models.whisper.conversion.ctranslate2 import engine_files
from models.whisper.decoding import DecodingTask
from models.whisper.engine import Alignment, Decoded, Floats

_BYTES = {"int8": 1, "float16": 2, "float32": 4}
MEDIAN_WIDTH = 7
"""As OpenAI's and faster-whisper's word times."""
MAX_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class EncodedWindows:
    groups: list[tuple[list[int], ctranslate2.StorageView]]
    """Rows of one length and their states [rows, T, C]."""


class CTranslate2Engine:
    """Implements `models.whisper.engine.Engine`."""

    def __init__(self, folder: Path, checkpoint: Checkpoint, device: str, compute_type: str) -> None:
        """``device`` as torch names it; ``compute_type`` as CTranslate2: "int8", "float32", "float16", "int8_float16"."""
        self._checkpoint = checkpoint
        kind, _, index = device.partition(":")
        threads = torch.get_num_threads() if kind == "cpu" else 1
        # A core each: two threads for one window take longer than one, 38 ms instead of 16 a token with five beams.
        self.parallel = max(1, min(MAX_PARALLEL, usable_cores() // threads)) if kind == "cpu" else 1
        with _files_in_a_folder(engine_files(folder, checkpoint.alignment_heads)) as made:
            self._model = ctranslate2.models.Whisper(
                made,
                device=kind,
                device_index=int(index or 0),
                compute_type=compute_type,
                intra_threads=threads,
                inter_threads=self.parallel,
            )
        self.description = f"ctranslate2 {compute_type}"
        self.weight_bytes = _weight_bytes(folder, compute_type)
        self._names = {f"<|{name}|>": name for name in checkpoint.language_tokens}
        rules, vocabulary = checkpoint.rules, checkpoint.config.vocab_size
        never = () if rules.timestamps is not None else range(rules.end + 1, vocabulary)
        self._suppressed = sorted({*rules.suppressed, *never})

    def encode(self, mels: Sequence[Floats]) -> EncodedWindows:
        groups: dict[int, list[int]] = {}
        for row, mel in enumerate(mels):
            groups.setdefault(len(mel), []).append(row)
        return EncodedWindows([(rows, self._encode([mels[row] for row in rows])) for rows in groups.values()])

    def _encode(self, mels: Sequence[Floats]) -> ctranslate2.StorageView:
        batch = np.stack([mel.T for mel in mels])
        if batch.shape[2] == 2 * batch.shape[1]:
            # States with as many positions as there are bands would be taken for features, and encoded again.
            batch = np.pad(batch, ((0, 0), (0, 0), (0, 2)))
        return self._model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(batch)))

    def detect_languages(self, encoded: EncodedWindows, rows: Sequence[int]) -> list[str]:
        found = {}
        for own, view in _parts(encoded, rows):
            for row, chances in zip(own, self._model.detect_language(view), strict=True):
                found[row] = self._names[chances[0][0]]
        return [found[row] for row in rows]

    def states(self, encoded: EncodedWindows, rows: Sequence[int]) -> list[Floats]:
        found: dict[int, Floats] = {}
        for own, view in _parts(encoded, rows):
            found |= zip(own, _on_cpu(view), strict=True)
        return [found[row] for row in rows]

    def generate(
        self, encoded: EncodedWindows, rows: Sequence[int], tasks: Sequence[DecodingTask], beams: int
    ) -> list[Decoded]:
        task_of = dict(zip(rows, tasks, strict=True))
        alike: dict[tuple[int, int], list[int]] = {}
        for row, task in task_of.items():
            alike.setdefault((task.start_of_transcript, _longest(task)), []).append(row)
        found: dict[int, Decoded] = {}
        for (_, longest), same in alike.items():
            for own, view in _parts(encoded, same):
                found |= zip(own, self._generate(view, [task_of[row] for row in own], longest, beams), strict=True)
        return [found[row] for row in rows]

    def _generate(
        self, view: ctranslate2.StorageView, tasks: Sequence[DecodingTask], longest: int, beams: int
    ) -> list[Decoded]:
        policy, rules = self._checkpoint.policy, self._checkpoint.rules
        results = self._model.generate(
            view,
            [list(task.start) for task in tasks],
            beam_size=beams,
            length_penalty=policy.length_power,
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=rules.latest_start,
            suppress_blank=bool(rules.suppressed_first),
            suppress_tokens=self._suppressed,
        )
        found = []
        for task, result in zip(tasks, results, strict=True):
            tokens, chosen = list(result.sequences_ids[0]), len(result.sequences_ids[0]) - task.prefix_tokens
            # The score is a sum over the chosen tokens and the end, divided by the length of the whole.
            total = result.scores[0] * max(1, len(tokens)) ** policy.length_power
            found.append(Decoded(tokens, total / (chosen + 1), result.no_speech_prob, chosen >= task.max_tokens))
        return found

    def align(
        self, encoded: EncodedWindows, rows: Sequence[int], starts: Sequence[tuple[int, ...]], texts: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Alignment]:  # fmt: skip
        places = {row: place for place, row in enumerate(rows)}
        alike: dict[tuple[int, ...], list[int]] = {}
        for row in rows:
            alike.setdefault(starts[places[row]], []).append(row)
        found: dict[int, Alignment] = {}
        for start, same in alike.items():
            for own, view in _parts(encoded, same):
                theirs = [list(texts[places[row]]) for row in own]
                frames = [2 * positions[places[row]] for row in own]
                results = self._model.align(view, list(start), theirs, frames, median_filter_width=MEDIAN_WIDTH)
                for row, text, result in zip(own, theirs, results, strict=True):
                    first = np.zeros(len(text) + 1, np.int64)
                    for token, position in reversed(result.alignments):
                        first[token] = position
                    found[row] = Alignment(first, list(result.text_token_probs))
        return [found[row] for row in rows]


def _longest(task: DecodingTask) -> int:
    """CTranslate2's ``max_length`` for a task: it allows half of it, and no more than the prompt leaves."""
    whole = task.max_tokens + task.prefix_tokens
    return max(2 * whole, whole + len(task.start) - task.prefix_tokens)


def _on_cpu(view: ctranslate2.StorageView) -> Floats:
    on_cpu = view if view.device == "cpu" else view.to_device(ctranslate2.Device.cpu)
    return np.asarray(on_cpu if on_cpu.dtype == ctranslate2.DataType.float32 else on_cpu.to(ctranslate2.DataType.float32))


@contextmanager
def _files_in_a_folder(files: dict[str, bytes]) -> Iterator[str]:
    """The path of a folder with these files, in memory where the system has such files.

    Given as bytes CTranslate2 keeps a copy of them for as long as the model: whisper-base took 240 MB instead of 92.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="descant-model-"))
        while files:
            name, content = files.popitem()
            path = os.path.join(folder, name)
            if hasattr(os, "memfd_create"):
                in_memory = stack.enter_context(os.fdopen(os.memfd_create(name), "wb"))
                in_memory.write(content)
                in_memory.flush()
                os.symlink(f"/proc/self/fd/{in_memory.fileno()}", path)
            else:
                Path(path).write_bytes(content)
            del content
        yield folder


def _weight_bytes(folder: Path, compute_type: str) -> int:
    """CTranslate2 does not say: matrices in the numbers of the compute type, the rest in those of its activations."""
    matrix, _, rest = compute_type.partition("_")
    matrix_bytes, rest_bytes = _BYTES[matrix], _BYTES[rest or matrix.replace("int8", "float32")]
    shapes = tensor_shapes(folder / "model.safetensors").values()
    return sum(prod(shape) * (matrix_bytes if len(shape) == 2 else rest_bytes) for shape in shapes)


def _parts(encoded: EncodedWindows, rows: Sequence[int]) -> list[tuple[list[int], ctranslate2.StorageView]]:
    """The states of some rows, in as many parts as there are lengths."""
    wanted, parts = set(rows), []
    for own, view in encoded.groups:
        places = [place for place, row in enumerate(own) if row in wanted]
        if len(places) == len(own):
            parts.append((own, view))
        elif places:
            chosen = ctranslate2.StorageView.from_array(np.ascontiguousarray(_on_cpu(view)[places]))
            parts.append(([own[place] for place in places], chosen))
    return parts

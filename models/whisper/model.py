"""Any Whisper checkpoint at rest behind `models.hearing.Recognizer`: what is decoded, how, and what of it is believed."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, log
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.audio import Pcm
from models.hearing import Effort, Hypothesis, RecognitionWindow, RecognizedWord, RecognizerInfo
from models.scripts import LATIN_LANGUAGES
from models.whisper.checkpoint import read_checkpoint
from models.whisper.decoding import DecodingTask
from models.whisper.decoding_policy import DecodingPolicy
from models.whisper.doubt import REPETITIONS, UNCOVERED, Reading, doubts, loud_until
from models.whisper.engine import Alignment, Decoded, Engine, Floats
from models.whisper.engines import open_engine
from models.whisper.features import log_mel
from models.whisper.keyterms import TermTrie, spellings
from models.whisper.timestamps import said_within
from models.whisper.tokenizer import WhisperTokenizer
from models.whisper.torch_engine import TorchEngine

EMBEDDED = Path(__file__).parent / "weights"
PADDING_STEP_S = 1
"""Windows are padded to whole seconds, so that those of a batch are of few lengths."""
SHORTEST_WORD_S = 0.1
"""Nothing shorter is decoded: the network never heard so little."""
MAX_PROMPT_TOKENS = 100
REMEMBERED_TERM_LISTS = 128
"""Lists of terms: building one takes milliseconds, and each stream asks for its own with every window."""


@dataclass(slots=True)
class _Heard:
    """A window with what one decoding made of it."""

    reading: Reading
    doubts: list[str]
    language: str
    words: tuple[RecognizedWord, ...]

    @property
    def repeats(self) -> bool:
        return not REPETITIONS.isdisjoint(self.doubts)

    def followed_by(self, rest: "_Heard", at_s: float, tokenizer: WhisperTokenizer) -> "_Heard":
        """With what was heard from ``at_s`` on."""
        tokens = [*self.reading.text_tokens, *rest.reading.text_tokens]
        moved = (replace(word, start_s=word.start_s + at_s, end_s=word.end_s + at_s) for word in rest.words)
        reading = replace(self.reading, text=tokenizer.decode(tokens).strip(), text_tokens=tokens)
        return _Heard(reading, self.doubts, self.language, (*self.words, *moved))


class WhisperRecognizer:
    """Implements `models.hearing.Recognizer`; stateless between steps."""

    def __init__(self, folder: Path, device: str, max_batch: int, beams: int | None, engine: str) -> None:
        self.tokenizer = WhisperTokenizer(folder / "tokenizer.json")
        self.checkpoint = read_checkpoint(folder, self.tokenizer)
        if beams is not None:
            self.checkpoint = replace(self.checkpoint, policy=replace(self.checkpoint.policy, beams=beams))
        self._folder, self._device = folder, device
        self._starts_outside_words = self.tokenizer.starts_outside_words(self.checkpoint.rules.choosable)
        self._tries: OrderedDict[tuple[str, ...], TermTrie] = OrderedDict()
        self.engine: Engine[Any] = open_engine(engine, folder, self.checkpoint, device)
        self._torch_decoder: TorchEngine | None = None
        self._lock = threading.Lock()
        """Of the tries and the torch decoder, which steps that run at the same time share."""
        self._info = RecognizerInfo(
            family="whisper",
            sample_rate_hz=self.checkpoint.features.sample_rate_hz,
            languages=tuple(sorted(self.checkpoint.language_tokens)) or ("en",),
            max_window_s=self.checkpoint.max_window_s,
            max_batch=max_batch,
            device=device,
            detects_language=bool(self.checkpoint.language_tokens),
            windows=self.checkpoint.windows,
            engine=self.engine.description,
            weight_bytes=self.engine.weight_bytes,
            has_drafts=not self.checkpoint.policy.trained_on_short_windows,
            parallel_steps=self.engine.parallel,
        )

    @property
    def info(self) -> RecognizerInfo:
        return self._info

    def reference(self) -> TorchEngine:
        """The torch engine. Raises TypeError where another one runs the checkpoint."""
        if not isinstance(self.engine, TorchEngine):
            raise TypeError(f"the recognizer runs on {self.engine.description}, not on torch")
        return self.engine

    @torch.inference_mode()
    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        """See `models.hearing.Recognizer.step`. Raises ValueError for a batch or window that is too large."""
        if len(windows) > self._info.max_batch:
            raise ValueError(f"{len(windows)} windows in a batch of at most {self._info.max_batch}")
        if not windows:
            return []
        mels = [self._features(window.pcm) for window in windows]
        heard = self._hear(windows, mels, full_length=False)
        again = [row for row, first in enumerate(heard) if first.doubts and windows[row].effort is not Effort.DRAFT]
        retried = set(again)
        if again:
            second = self._hear([windows[row] for row in again], [mels[row] for row in again], full_length=True)
            for row, other in zip(again, second, strict=True):
                if not other.reading.decoded.truncated and len(other.doubts) <= len(heard[row].doubts):
                    heard[row] = other
            heard = self._with_rest(windows, heard, again)
        return [
            Hypothesis(
                text=one.reading.text,
                words=one.words,
                mean_log_probability=one.reading.decoded.mean_log_probability,
                truncated=one.reading.decoded.truncated or (windows[row].effort is Effort.DRAFT and one.repeats),
                retried=row in retried,
                language=one.language,
                no_speech_probability=one.reading.decoded.no_speech_probability,
            )
            for row, one in enumerate(heard)
        ]

    def _with_rest(self, windows: Sequence[RecognitionWindow], heard: Sequence[_Heard], rows: Sequence[int]) -> list[_Heard]:
        """Where a text ends well before the speech does, what follows its last timestamp is read as a window of its own."""
        result, rate_hz = list(heard), self._info.sample_rate_hz
        ended = {row: heard[row].reading.end_s for row in rows if UNCOVERED in heard[row].doubts}
        cuts = {row: round(end_s * rate_hz) for row, end_s in ended.items() if end_s}
        if not cuts:
            return result
        rests = [
            replace(
                windows[row],
                pcm=windows[row].pcm[cut:],
                language=heard[row].language,
                prompt=heard[row].reading.text,
                prefix="",
            )
            for row, cut in cuts.items()
        ]
        read = self._hear(rests, [self._features(rest.pcm) for rest in rests], full_length=True)
        for (row, cut), rest in zip(cuts.items(), read, strict=True):
            if not rest.doubts:
                result[row] = heard[row].followed_by(rest, cut / rate_hz, self.tokenizer)
        return result

    # --- one decoding -----------------------------------------------------------

    def _hear(self, windows: Sequence[RecognitionWindow], mels: Sequence[Floats], full_length: bool) -> list[_Heard]:
        """Decode windows whose features are given, in windows as short as their speech or as long as they can be."""
        padded = [self._padded(mel, full_length) for mel in mels]
        encoded = self.engine.encode(padded)
        languages = self._languages(windows, encoded)
        tasks = [
            self._task(window, language, is_short=not full_length) for window, language in zip(windows, languages, strict=True)
        ]
        results = self._generate(encoded, windows, tasks)
        readings = [
            self._reading(window, mel, len(whole), self._silenced(window, task, result))
            for window, mel, whole, task, result in zip(windows, mels, padded, tasks, results, strict=True)
        ]
        timed = [row for row, window in enumerate(windows) if self._times(window) and readings[row].text_tokens]
        words = self._words(encoded, timed, languages, readings) if timed else {}
        return [
            _Heard(reading, doubts(reading, self.checkpoint.policy, windows[row].effort), languages[row], words.get(row, ()))
            for row, reading in enumerate(readings)
        ]

    def _features(self, pcm: Pcm) -> Floats:
        """Log-mel [T, M] of the audio alone."""
        settings = self.checkpoint.features
        if len(pcm) > self._info.max_window_s * settings.sample_rate_hz:
            seconds = len(pcm) / settings.sample_rate_hz
            raise ValueError(f"a window of {seconds:.1f} s is longer than {self._info.max_window_s:.1f} s")
        return log_mel(pcm, settings)

    def _times(self, window: RecognitionWindow) -> bool:
        """Whether the words of a window get times: in a draft only where they tell that a phrase is missing."""
        return window.want_words and (window.effort is not Effort.DRAFT or self.checkpoint.windows.loses_phrases)

    def _padded(self, mel: Floats, full_length: bool) -> Floats:
        """With 0.0 behind: to `padded_frames`, or to the longest window."""
        rate, limit = self.checkpoint.features.frames_per_second, self.checkpoint.config.max_mel_frames
        longest = round(self._info.max_window_s * rate) if full_length else 0
        frames = min(max(padded_frames(len(mel), rate, self.checkpoint.policy.rest_s), longest), limit)
        return np.pad(mel[:frames], ((0, max(0, frames - len(mel))), (0, 0)))

    def _languages(self, windows: Sequence[RecognitionWindow], encoded: Any) -> list[str]:
        """What each window is decoded as: its own language, or the one that is spoken in it."""
        known = [window.language or ("" if self._info.detects_language else self._info.languages[0]) for window in windows]
        for language in known:
            if language and language not in self._info.languages:
                raise ValueError(f"language {language!r} is not one of {', '.join(self._info.languages)}")
        unknown = [row for row, language in enumerate(known) if not language]
        if unknown:
            for row, language in zip(unknown, self.engine.detect_languages(encoded, unknown), strict=True):
                known[row] = language
        return known

    def _task(self, window: RecognitionWindow, language: str, is_short: bool) -> DecodingTask:
        checkpoint, policy = self.checkpoint, self.checkpoint.policy
        prompt: list[int] = []
        if window.prompt.strip() and checkpoint.previous is not None:
            prompt = [checkpoint.previous, *self.tokenizer.encode(window.prompt)[-MAX_PROMPT_TOKENS:]]
        start = [*prompt, *self._start(language)]
        if not policy.timestamps:
            start.append(checkpoint.no_timestamps)
        limit = checkpoint.config.max_target_positions
        # A prefix as long as the network's memory leaves no room; its end is what matters.
        prefix = self.tokenizer.encode(window.prefix)[: limit - len(start) - 2]
        if prefix and checkpoint.rules.timestamps is not None:
            prefix = [checkpoint.rules.timestamps.start, *prefix]
        seconds = len(window.pcm) / checkpoint.features.sample_rate_hz
        budget = token_budget(policy, seconds, min(limit // 2, limit - len(start)), is_short and language in LATIN_LANGUAGES)
        known = (*start, *prefix)
        return DecodingTask(known, len(prompt), len(prefix), max(1, budget - len(prefix)), self._terms(window.keyterms))

    def _start(self, language: str) -> tuple[int, ...]:
        checkpoint = self.checkpoint
        if not checkpoint.language_tokens:
            return (checkpoint.start,)
        task = () if checkpoint.transcribe is None else (checkpoint.transcribe,)
        return (checkpoint.start, checkpoint.language_tokens[language], *task)

    def _terms(self, keyterms: tuple[str, ...]) -> TermTrie | None:
        """Built once for all windows of a stream, and kept for the newest streams."""
        if not keyterms:
            return None
        with self._lock:
            if keyterms not in self._tries:
                sequences = [self.tokenizer.encode(text) for term in keyterms for text in spellings(term)]
                self._tries[keyterms] = TermTrie(sequences, self._starts_outside_words)
            self._tries.move_to_end(keyterms)
            if len(self._tries) > REMEMBERED_TERM_LISTS:
                self._tries.popitem(last=False)
            return self._tries[keyterms]

    def _generate(self, encoded: Any, windows: Sequence[RecognitionWindow], tasks: Sequence[DecodingTask]) -> list[Decoded]:
        """Windows with keyterms are decoded by torch, the only engine that can look for them."""
        policy = self.checkpoint.policy
        ways: dict[tuple[bool, int], list[int]] = {}
        for row, (window, task) in enumerate(zip(windows, tasks, strict=True)):
            by_torch = task.terms is not None and not isinstance(self.engine, TorchEngine)
            ways.setdefault((by_torch, policy.draft_beams if window.effort is Effort.DRAFT else policy.beams), []).append(row)
        found: dict[int, Decoded] = {}
        for (by_torch, beams), rows in ways.items():
            chosen = [tasks[row] for row in rows]
            if by_torch:
                results = self._generate_with_terms(self.engine.states(encoded, rows), chosen, beams)
            else:
                results = self.engine.generate(encoded, rows, chosen, beams)
            found |= zip(rows, results, strict=True)
        return [found[row] for row in range(len(tasks))]

    def _generate_with_terms(self, states: Sequence[Floats], tasks: Sequence[DecodingTask], beams: int) -> list[Decoded]:
        """By the decoder in torch, which is loaded with the first terms that are asked for."""
        with self._lock:
            if self._torch_decoder is None:
                self._torch_decoder = TorchEngine(self._folder, self.checkpoint, self._device, encodes=False)
            decoder = self._torch_decoder
            return decoder.generate(decoder.of_states(states), range(len(tasks)), tasks, beams)

    def _silenced(self, window: RecognitionWindow, task: DecodingTask, result: Decoded) -> Decoded:
        """Empty a result that the model itself takes for silence; committed text stays."""
        policy = self.checkpoint.policy
        doubtful = result.mean_log_probability < policy.no_speech_log_probability
        too_short = len(window.pcm) < SHORTEST_WORD_S * self._info.sample_rate_hz
        if too_short or (result.no_speech_probability > policy.no_speech_probability and doubtful):
            return replace(result, tokens=result.tokens[: task.prefix_tokens], truncated=False)
        return result

    def _reading(self, window: RecognitionWindow, mel: Floats, frames: int, decoded: Decoded) -> Reading:
        """``frames``: how long the window was with its padding."""
        rules, features = self.checkpoint.rules, self.checkpoint.features
        length_s = len(window.pcm) / features.sample_rate_hz
        loud_s = loud_until(mel, features.frames_per_second)
        if rules.timestamps is not None:
            bounds = round(loud_s / features.position_s), round(length_s / features.position_s)
            said = said_within(decoded.tokens, rules.timestamps, *bounds)
            if len(said) < len(decoded.tokens):
                decoded = replace(decoded, tokens=said, truncated=False)
        text_tokens = [token for token in decoded.tokens if token < rules.end]
        end_s = None
        if rules.timestamps is not None and decoded.tokens and decoded.tokens[-1] in rules.timestamps:
            end_s = (decoded.tokens[-1] - rules.timestamps.start) * features.position_s
        return Reading(
            decoded=decoded,
            text=self.tokenizer.decode(text_tokens).strip(),
            text_tokens=text_tokens,
            end_s=end_s,
            loud_until_s=loud_s,
            length_s=length_s,
            window_s=frames / features.frames_per_second,
        )

    # --- words ------------------------------------------------------------------

    def _words(
        self, encoded: Any, rows: Sequence[int], languages: Sequence[str], readings: Sequence[Reading]
    ) -> dict[int, tuple[RecognizedWord, ...]]:
        starts = [self._start(languages[row]) for row in rows]
        texts = [readings[row].text_tokens for row in rows]
        positions = [max(1, ceil(readings[row].length_s / self.checkpoint.features.position_s)) for row in rows]
        aligned = self.engine.align(encoded, rows, starts, texts, positions)
        return {row: self._timed(readings[row], alignment) for row, alignment in zip(rows, aligned, strict=True)}

    def _timed(self, reading: Reading, alignment: Alignment) -> tuple[RecognizedWord, ...]:
        starts = alignment.starts * self.checkpoint.features.position_s
        words, first = [], 0
        for text, count in self.tokenizer.split_words(reading.text_tokens):
            start_s = min(float(starts[first]), reading.length_s)
            end_s = min(max(float(starts[first + count]), start_s), reading.length_s)
            chances = alignment.probabilities[first : first + count]
            words.append(RecognizedWord(text, start_s, end_s, exp(sum(log(max(c, 1e-10)) for c in chances) / count)))
            first += count
        return tuple(words)


def token_budget(policy: DecodingPolicy, seconds: float, room: int, is_short: bool = False) -> int:
    """How many tokens a window of this length can hold at most; ``room`` is what the network has left, ``is_short`` says
    that a text which is cut off will be read again, or replaced."""
    per_second, at_least = policy.tokens_per_second, policy.tokens_at_least
    if is_short:
        per_second, at_least = policy.short_tokens_per_second, policy.short_tokens_at_least
    return max(1, min(room, int(at_least + per_second * seconds)))


def padded_frames(frames: int, frames_per_second: int, rest_s: float) -> int:
    """How long a window of so many frames is made: whole seconds, at least ``rest_s`` of them behind it."""
    step = frames_per_second * PADDING_STEP_S
    return -(-(frames + round(rest_s * frames_per_second)) // step) * step


def load(
    device: str = "cpu", max_batch: int = 16, folder: Path = EMBEDDED, beams: int | None = None, engine: str = "auto"
) -> WhisperRecognizer:
    """Load a checkpoint from a folder, the embedded one by default.

    ``beams``: other than the checkpoint's own, one is greedy decoding. ``engine`` is one of `models.whisper.engines.ENGINES`.

    Raises ValueError or `models.weights.WeightsError` naming what is missing or does not fit.
    """
    return WhisperRecognizer(folder, device, max_batch, beams, engine)

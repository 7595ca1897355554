"""The recognizer: any Whisper checkpoint in Hugging Face layout behind `models.hearing.Recognizer`."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.hearing import Hypothesis, RecognitionWindow, RecognizedWord, RecognizerInfo, WindowPolicy
from models.weights import load_weights
from models.whisper.config import WhisperConfig, read_config
from models.whisper.decoding import DecodedWindow, DecodingRules, DecodingTask, decode, token_budget
from models.whisper.features import FeatureSettings, log_mel
from models.whisper.incremental import IncrementalDecoder
from models.whisper.keyterms import TermTrie, spellings
from models.whisper.network import Whisper
from models.whisper.tokenizer import WhisperTokenizer
from models.whisper.window_policy import window_policy
from models.whisper.word_times import attention_weights, token_starts

EMBEDDED = Path(__file__).parent / "weights"
DEFAULT_MAX_WINDOW_S = 30.0
PADDING_STEP_S = 1
"""Windows are padded to whole seconds, so that those of a batch are of few lengths."""
REST_S = 0.2
"""At least so much padding: the network never saw speech end without a rest. Of 600 windows cut off at random 12.4 % of the
words were wrong without it, 0.8 % were decoded twice, and one took 26 ms; with 0.1 to 0.5 s 11.5 %, none, and 20 ms."""
NO_SPEECH_PROBABILITY = 0.6
NO_SPEECH_LOG_PROBABILITY = -0.5
"""A window is empty if the model thinks that it holds no speech and is not sure of the text either."""
START_OVER_S = 0.6
"""A text that reads again what lies this far behind is cut off."""
SHORTEST_WORD_S = 0.1
"""Nothing shorter is decoded: the network never heard so little."""
MAX_PROMPT_TOKENS = 100
REMEMBERED_KEYTERMS = 128
"""Lists of terms: building one takes milliseconds, and each stream asks for its own with every window."""
BEAMS = 4
"""Texts that are followed at once. Five beams instead of one took the word error rate of the first weights from 34.5 to
28.6 % (espeak-ng) and from 41.7 to 32.4 % (flite) on 80 held-out sentences each, three to 29.8 and 32.7 %."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The small files beside the weights."""

    config: WhisperConfig
    features: FeatureSettings
    rules: DecodingRules
    language_tokens: dict[str, int]
    """Empty for an English-only model."""
    transcribe: int | None
    alignment_heads: tuple[tuple[int, int], ...]
    max_window_s: float
    windows: WindowPolicy


def _read_json(path: Path) -> dict[str, object]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not an object")
    return content


def _integers(value: object) -> tuple[int, ...]:
    return tuple(int(v) for v in value) if isinstance(value, list) else ()


def read_features(folder: Path) -> FeatureSettings:
    """preprocessor_config.json; raises ValueError if the features are not Whisper's."""
    content = _read_json(folder / "preprocessor_config.json")
    names = ("sampling_rate", "hop_length", "n_fft", "feature_size")
    missing = [name for name in names if not isinstance(content.get(name), int)]
    if missing:
        raise ValueError(f"{folder}/preprocessor_config.json: missing or not an integer: {', '.join(missing)}")
    rate, hop, fft, bands = (int(str(content[name])) for name in names)
    return FeatureSettings(rate, hop, fft, bands)


def read_checkpoint(folder: Path, tokenizer: WhisperTokenizer) -> Checkpoint:
    """Raises ValueError naming the file and field that is wrong."""
    config, features = read_config(folder), read_features(folder)
    if features.mel_bands != config.num_mel_bins:
        raise ValueError(f"{folder}: feature_size {features.mel_bands} is not num_mel_bins {config.num_mel_bins}")
    generation = _read_json(folder / "generation_config.json")
    heads = generation.get("alignment_heads")
    if isinstance(heads, list) and heads:
        pairs = tuple((int(layer), int(head)) for layer, head in heads)
    else:  # like other implementations: every head of the upper half
        layers = range(config.decoder_layers // 2, config.decoder_layers)
        pairs = tuple((layer, head) for layer in layers for head in range(config.decoder_attention_heads))
    languages = generation.get("lang_to_id")
    rules = DecodingRules(
        end=tokenizer.end,
        no_speech=tokenizer.no_speech,
        suppressed=tuple(sorted({*_integers(generation.get("suppress_tokens"))} - {tokenizer.end})),
        suppressed_first=_integers(generation.get("begin_suppress_tokens")),
        back_positions=round(START_OVER_S * features.frames_per_second / 2),
    )
    content = _read_json(folder / "config.json")
    window = content.get("descant_max_window_s", DEFAULT_MAX_WINDOW_S)
    longest_s = config.max_mel_frames / features.frames_per_second
    return Checkpoint(
        config=config,
        features=features,
        rules=rules,
        language_tokens={k.strip("<|>"): v for k, v in languages.items()} if isinstance(languages, dict) else {},
        transcribe=tokenizer.special("<|transcribe|>"),
        alignment_heads=pairs,
        max_window_s=min(float(str(window)), longest_s),
        windows=window_policy(content, folder / "config.json"),
    )


def padded_frames(frames: int, frames_per_second: int) -> int:
    """How long a window of so many frames is made: whole seconds, at least `REST_S` of them behind it."""
    step = frames_per_second * PADDING_STEP_S
    return -(-(frames + round(REST_S * frames_per_second)) // step) * step


class WhisperRecognizer:
    """Implements `models.hearing.Recognizer`; stateless between steps."""

    def __init__(self, folder: Path, device: str, max_batch: int, beams: int = BEAMS, dtype: torch.dtype | None = None) -> None:
        self.tokenizer = WhisperTokenizer(folder / "tokenizer.json")
        self.checkpoint = read_checkpoint(folder, self.tokenizer)
        self._device = torch.device(device)
        self._starts_outside_words = self.tokenizer.starts_outside_words()
        self._tries: OrderedDict[tuple[str, ...], TermTrie] = OrderedDict()
        self._beams = beams
        self._dtype = dtype or (torch.float32 if device == "cpu" else torch.float16)
        self.network = Whisper(self.checkpoint.config)
        load_weights(folder / "model.safetensors", self.network)
        self.network.eval().requires_grad_(False).to(self._device, self._dtype)
        self._decoder = IncrementalDecoder(self.network.decoder, self.checkpoint.alignment_heads)
        self._info = RecognizerInfo(
            family="whisper",
            sample_rate_hz=self.checkpoint.features.sample_rate_hz,
            languages=tuple(sorted(self.checkpoint.language_tokens)) or ("en",),
            max_window_s=self.checkpoint.max_window_s,
            max_batch=max_batch,
            device=device,
            windows=self.checkpoint.windows,
            engine=f"torch {str(self._dtype).removeprefix('torch.')}",
        )

    @property
    def info(self) -> RecognizerInfo:
        return self._info

    @torch.inference_mode()
    def step(self, windows: Sequence[RecognitionWindow]) -> list[Hypothesis]:
        """See `models.hearing.Recognizer.step`. Raises ValueError for a batch or window that is too large."""
        if len(windows) > self._info.max_batch:
            raise ValueError(f"{len(windows)} windows in a batch of at most {self._info.max_batch}")
        if not windows:
            return []
        hypotheses = self._read(windows, self._features(windows))
        # A checkpoint that was never trained on short windows loops in them: padded to full length it may not.
        cut_off = [row for row, hypothesis in enumerate(hypotheses) if hypothesis.truncated]
        if cut_off:
            again = [windows[row] for row in cut_off]
            for row, second in zip(cut_off, self._read(again, self._features(again, full_length=True)), strict=True):
                hypotheses[row] = replace(hypotheses[row] if second.truncated else second, retried=True)
        return hypotheses

    def _read(self, windows: Sequence[RecognitionWindow], features: tuple[Tensor, Tensor]) -> list[Hypothesis]:
        """Decode windows whose features are given."""
        tasks = [self._task(window) for window in windows]
        mel, frames = features
        states = self.network.encoder(mel, frames)
        positions = frames // 2
        decoded = decode(self._decoder, states, positions, tasks, self.checkpoint.rules, self._beams)
        for window, task, result in zip(windows, tasks, decoded, strict=True):
            self._silence(window, task, result)
        timed = [row for row, window in enumerate(windows) if window.want_words and decoded[row].tokens]
        words: dict[int, tuple[RecognizedWord, ...]] = {}
        if timed:
            weights = self._alignment(states[timed], positions[timed], [tasks[r] for r in timed], [decoded[r] for r in timed])
            words = {row: self._words(windows[row], decoded[row], w) for row, w in zip(timed, weights, strict=True)}
        return [
            Hypothesis(
                text=self.tokenizer.decode(result.tokens).strip(),
                words=words.get(row, ()),
                mean_log_probability=result.mean_log_probability(tasks[row].prefix_tokens),
                truncated=result.truncated,
                language=self._language(windows[row]),
                no_speech_probability=result.no_speech_probability,
            )
            for row, result in enumerate(decoded)
        ]

    def _features(self, windows: Sequence[RecognitionWindow], full_length: bool = False) -> tuple[Tensor, Tensor]:
        """Log-mel [B, T, M] and the frames that count in each row: `padded_frames`, or the longest window. Padded with 0.0."""
        settings = self.checkpoint.features
        rows = []
        for window in windows:
            if len(window.pcm) > self._info.max_window_s * settings.sample_rate_hz:
                seconds = len(window.pcm) / settings.sample_rate_hz
                raise ValueError(f"a window of {seconds:.1f} s is longer than {self._info.max_window_s:.1f} s")
            rows.append(log_mel(window.pcm, settings))
        limit = self.checkpoint.config.max_mel_frames
        longest = round(self._info.max_window_s * settings.frames_per_second) if full_length else 0
        frames = [min(max(padded_frames(len(row), settings.frames_per_second), longest), limit) for row in rows]
        mel = np.zeros((len(rows), max(frames), settings.mel_bands), np.float32)
        for index, row in enumerate(rows):
            mel[index, : len(row)] = row[:limit]
        return torch.from_numpy(mel).to(self._device, self._dtype), torch.tensor(frames, device=self._device)

    def _task(self, window: RecognitionWindow) -> DecodingTask:
        tokenizer, checkpoint = self.tokenizer, self.checkpoint
        prompt: list[int] = []
        if window.prompt.strip() and tokenizer.previous is not None:
            prompt = [tokenizer.previous, *tokenizer.encode(window.prompt)[-MAX_PROMPT_TOKENS:]]
        start = [tokenizer.start]
        language = self._language(window)
        if checkpoint.language_tokens:
            start.append(checkpoint.language_tokens[language])
            if checkpoint.transcribe is not None:
                start.append(checkpoint.transcribe)
        start.append(tokenizer.no_timestamps)
        limit = checkpoint.config.max_target_positions
        # A prefix as long as the network's memory leaves no room; its end is what matters.
        prefix = tokenizer.encode(window.prefix)[: limit - len(prompt) - len(start) - 1]
        known = (*prompt, *start, *prefix)
        seconds = len(window.pcm) / checkpoint.features.sample_rate_hz
        budget = token_budget(seconds, limit - len(known))
        return DecodingTask(known, len(prompt), len(prefix), budget, self._terms(window.keyterms))

    def _language(self, window: RecognitionWindow) -> str:
        language = window.language or "en"
        if language not in self._info.languages:
            raise ValueError(f"language {language!r} is not one of {', '.join(self._info.languages)}")
        return language

    def _terms(self, keyterms: tuple[str, ...]) -> TermTrie | None:
        """Built once for all windows of a stream, and kept for the newest streams."""
        if not keyterms:
            return None
        if keyterms not in self._tries:
            sequences = [self.tokenizer.encode(text) for term in keyterms for text in spellings(term)]
            self._tries[keyterms] = TermTrie(sequences, self._starts_outside_words)
        self._tries.move_to_end(keyterms)
        if len(self._tries) > REMEMBERED_KEYTERMS:
            self._tries.popitem(last=False)
        return self._tries[keyterms]

    def _silence(self, window: RecognitionWindow, task: DecodingTask, result: DecodedWindow) -> None:
        """Empty a result that the model itself takes for silence; committed text stays."""
        doubtful = result.mean_log_probability(task.prefix_tokens) < NO_SPEECH_LOG_PROBABILITY
        too_short = len(window.pcm) < SHORTEST_WORD_S * self._info.sample_rate_hz
        if too_short or (result.no_speech_probability > NO_SPEECH_PROBABILITY and doubtful):
            del result.tokens[task.prefix_tokens :], result.log_probabilities[task.prefix_tokens :]
            result.truncated = False

    def _alignment(
        self, states: Tensor, positions: Tensor, tasks: Sequence[DecodingTask], decoded: Sequence[DecodedWindow]
    ) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        """Per row, attention of the text tokens and the end, [heads, tokens + 1, positions]."""
        starts = [task.start[: len(task.start) - task.prefix_tokens] for task in tasks]
        rows = [[*start, *result.tokens] for start, result in zip(starts, decoded, strict=True)]
        longest = max(len(row) for row in rows)
        tokens = torch.tensor([[*row, *[self.tokenizer.end] * (longest - len(row))] for row in rows])
        weights = attention_weights(
            self.network.decoder, tokens.to(self._device), states, positions, self.checkpoint.alignment_heads
        )
        # The query that predicts a token is the one at the position before it.
        return [
            weights[index, :, len(start) - 1 : len(row), : int(positions[index])].float().cpu().numpy()
            for index, (start, row) in enumerate(zip(starts, rows, strict=True))
        ]

    def _words(
        self, window: RecognitionWindow, result: DecodedWindow, weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> tuple[RecognizedWord, ...]:
        settings = self.checkpoint.features
        position_s = 2 * settings.hop_samples / settings.sample_rate_hz
        length_s = len(window.pcm) / settings.sample_rate_hz
        audible = max(1, min(weights.shape[-1], int(np.ceil(length_s / position_s))))
        starts = token_starts(weights[..., :audible]) * position_s
        words, first = [], 0
        for text, count in self.tokenizer.split_words(result.tokens):
            start_s = min(float(starts[first]), length_s)
            end_s = min(max(float(starts[first + count]), start_s), length_s)
            mean = sum(result.log_probabilities[first : first + count]) / count
            words.append(RecognizedWord(text, start_s, end_s, exp(mean)))
            first += count
        return tuple(words)


ENGINES = ("auto", "torch")


def load(
    device: str = "cpu",
    max_batch: int = 16,
    folder: Path = EMBEDDED,
    beams: int = BEAMS,
    dtype: torch.dtype | None = None,
    engine: str = "auto",
) -> WhisperRecognizer:
    """Load a checkpoint from a folder, the embedded one by default; one beam is greedy decoding.

    ``dtype`` of the weights, None: float32 on a CPU, float16 on a card, as Whisper is published and meant to run.

    Raises ValueError or `models.weights.WeightsError` naming what is missing or does not fit.
    """
    if engine not in ENGINES:
        raise ValueError(f"recognition engine {engine!r} is not one of {', '.join(ENGINES)}")
    return WhisperRecognizer(folder, device, max_batch, beams, dtype)

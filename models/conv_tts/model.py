"""The conv_tts family behind `models.speech.Synthesizer`: slots, utterances, chunks."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.conv_tts.character import Shape
from models.conv_tts.config import HIGHEST_F0_HZ, HOP_SAMPLES, LOWEST_F0_HZ, SAMPLE_RATE_HZ, ConvTtsConfig
from models.conv_tts.network import ConvTts, pitch_at, position_features
from models.conv_tts.record import FAMILY, Timbre
from models.conv_tts.speech_step import SpeechStep
from models.conv_tts.timing import Timing, lay_out, shortened
from models.conv_tts.voices import read_file_voices, read_voices, speaker_weights
from models.cuda_graphs import CudaRecorder, Inputs, Recorder, StepGraphs, row_buckets
from models.phones import PHONES
from models.speaking import say
from models.speech import DEFAULT_GENERATION, Control, Generation, Phone, SampleSpan, SpeechFrames, SynthesizerInfo, Utterance
from models.voices import Voice
from models.weights import load_weights, read_metadata, weight_bytes

WEIGHTS = "voice-en.safetensors"
CONTROLS: frozenset[Control] = frozenset(("speed", "volume", "pitch", "pitch_range", "emotion"))
CHUNK_FRAMES = (10, 16, 24, 40, 60)
"""Frames of a slot's first, second, ... step; the last entry holds from then on. 50 ms at first, in the end 300 ms:
with 60 instead of 40 the real-time factor on one thread fell from 0.031 to 0.028."""

_PHONE_INDEX = {symbol: index for index, symbol in enumerate(PHONES)}
_QUIETEST = 1e-4
_LONGEST_SHOWN_FRAMES = 100
_MOST_BUCKET_ROWS = 256
"""A step of more rows is done in parts. With so many the card computes for milliseconds, and padding would cost more than
launching again saves."""


@dataclass(slots=True)
class _Speech:
    """An encoded utterance that is being spoken; F frames. Only the phones lie on the device."""

    phones: Tensor
    """[P, C]."""
    frame_phone: np.ndarray
    """[F]."""
    positions: np.ndarray
    """[F, features]."""
    controls: np.ndarray
    """[F, 2]: F0 in Hz, log of the volume."""
    kept_samples: np.ndarray
    """[F]."""
    times: tuple[SampleSpan, ...]
    given_frames: int = 0
    announced: bool = False

    @property
    def left_frames(self) -> int:
        return len(self.frame_phone) - self.given_frames


@dataclass(slots=True)
class _Slot:
    speakers: Tensor
    """[speakers]."""
    shape: Shape
    waiting: deque[Utterance] = field(default_factory=deque)
    encoded: deque[_Speech] = field(default_factory=deque)
    steps: int = 0
    planned_samples: int = 0
    """Where the next utterance to be encoded starts."""
    remainder_frames: float = 0.0

    @property
    def chunk_frames(self) -> int:
        return CHUNK_FRAMES[min(self.steps, len(CHUNK_FRAMES) - 1)]

    @property
    def hungry(self) -> bool:
        """Whether the next chunk could go on into an utterance that is not encoded yet."""
        left = sum(speech.left_frames for speech in self.encoded)
        return bool(self.waiting) and len(self.encoded) < 2 and left < self.chunk_frames


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some frames of one utterance."""

    speech: _Speech
    start_frame: int
    end_frame: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What one step gives one slot."""

    pieces: tuple[_Piece, ...]
    times: tuple[SampleSpan, ...] | None
    utterances_ended: int

    @property
    def frames(self) -> int:
        return sum(piece.end_frame - piece.start_frame for piece in self.pieces)

    @property
    def kept_samples(self) -> np.ndarray:
        """[F]."""
        return np.concatenate([piece.speech.kept_samples[piece.start_frame : piece.end_frame] for piece in self.pieces])


class ConvTtsSynthesizer:
    """Streams of speech, stepped together. Not thread-safe: one worker owns it."""

    def __init__(self, network: ConvTts, device: str, max_slots: int, voices: tuple[Voice, ...]) -> None:
        self._device = torch.device(device)
        # Frames are planned on the CPU.
        self._cepstrum_mean = network.cepstrum_mean.cpu()
        self._speaker_log_f0, self._pitch_spread = network.speaker_log_f0.cpu(), network.pitch_spread.cpu()
        self._network = network.to(self._device).eval()
        self._speech_step = SpeechStep(self._network, max_slots, self._device)
        self._graphs: StepGraphs | None = None
        self._slots: dict[int, _Slot] = {}
        languages = tuple(sorted({voice.language for voice in voices}))
        self._info = SynthesizerInfo(
            FAMILY,
            SAMPLE_RATE_HZ,
            languages,
            max_slots,
            device,
            voices,
            reads="phones",
            times="phones",
            controls=CONTROLS,
            weight_bytes=weight_bytes(self._network),
        )

    @torch.inference_mode()
    def use_buckets(self, recorder: Recorder | None) -> StepGraphs:
        """From now on steps have a few fixed shapes, with graphs if there is a recorder. No slot may be in use."""
        rows = row_buckets(min(self._info.max_slots, _MOST_BUCKET_ROWS))
        step = self._speech_step
        graphs = self._graphs = StepGraphs(step, step.layout, rows, CHUNK_FRAMES, self._device)
        graphs.prepare(recorder, step.states, step.randomise)
        return graphs

    @property
    def info(self) -> SynthesizerInfo:
        return self._info

    @property
    def speaker_f0_hz(self) -> dict[str, float]:
        """Mean F0 of each speaker of the network."""
        means = self._speaker_log_f0.exp().tolist()
        return dict(zip(self._network.config.speakers, means, strict=True))

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        """See `models.speech.Synthesizer`. ValueError: slot out of range or in use, unknown speakers, a misfit character."""
        if not 0 <= slot < self._info.max_slots:
            raise ValueError(f"slot {slot} is not in 0..{self._info.max_slots - 1}")
        if slot in self._slots:
            raise ValueError(f"slot {slot} is in use")
        timbre = Timbre.of(voice.record)
        speakers = torch.tensor(speaker_weights(voice.name, timbre, self._network.config.speakers))
        shape = Shape.of(timbre.character, self._cepstrum_mean)
        self._slots[slot] = _Slot(speakers, shape)
        with torch.inference_mode(), self._on_stream():
            self._speech_step.admit(slot, speakers, shape)

    def feed(self, slot: int, utterance: Utterance) -> None:
        """See `models.speech.Synthesizer`. ValueError: a phone or a control that cannot be spoken."""
        for phone in utterance.phones:
            _check(phone, self._network.config.phones)
        self._slots[slot].waiting.append(utterance)

    def release(self, slot: int) -> None:
        """See `models.speech.Synthesizer`."""
        del self._slots[slot]

    @torch.inference_mode()
    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        """See `models.speech.Synthesizer`."""
        with self._on_stream():
            streams = [self._slots[slot] for slot in slots]
            while hungry := [stream for stream in streams if stream.hungry]:
                self._encode(hungry)
            chunks = [_next_chunk(stream) for stream in streams]
            speaking = [row for row, chunk in enumerate(chunks) if chunk.frames]
            most = self._graphs.buckets[0][0] if self._graphs else len(slots)
            audio: dict[int, np.ndarray] = {}
            for first in range(0, len(speaking), most):
                rows = speaking[first : first + most]
                samples = self._speak([slots[row] for row in rows], [chunks[row] for row in rows])
                for row, pcm in zip(rows, samples, strict=True):
                    audio[row] = shortened(pcm[: chunks[row].frames * HOP_SAMPLES], chunks[row].kept_samples)
                    streams[row].steps += 1
        silence = np.zeros(0, dtype=np.float32)
        return [SpeechFrames(audio.get(row, silence), chunk.times, chunk.utterances_ended) for row, chunk in enumerate(chunks)]

    def _on_stream(self) -> AbstractContextManager[object]:
        return self._graphs.on_stream() if self._graphs else nullcontext()

    def _encode(self, streams: Sequence[_Slot]) -> None:
        """Encode the first waiting utterance of each stream, as one batch."""
        utterances = [stream.waiting.popleft() for stream in streams]
        longest = max(1, *(len(utterance.phones) for utterance in utterances)) if utterances else 1
        labels = np.zeros((len(utterances), longest, 3), dtype=np.int64)
        mask = np.zeros((len(utterances), longest, 1), dtype=np.float32)
        for row, utterance in enumerate(utterances):
            for place, phone in enumerate(utterance.phones):
                labels[row, place] = _PHONE_INDEX[phone.symbol], phone.stress, phone.starts_word
            mask[row, : len(utterance.phones)] = 1
        mask[:, 0] = 1  # an empty utterance still needs something to attend to
        phones, stress, word_start = torch.from_numpy(labels).to(self._device).unbind(-1)
        speakers = torch.stack([stream.speakers for stream in streams]).to(self._device)
        encoding = self._network.encode(phones, stress, word_start, speakers, torch.from_numpy(mask).to(self._device))
        log_durations, pitches = encoding.log_durations.double().cpu().numpy(), encoding.pitch.cpu()
        for row, (stream, utterance) in enumerate(zip(streams, utterances, strict=True)):
            count = len(utterance.phones)
            log_lengths = log_durations[row, :count] - stream.shape.log_rate
            timing = lay_out(utterance.phones, log_lengths, stream.remainder_frames)
            stream.remainder_frames = timing.remainder_frames
            stream.encoded.append(self._plan(utterance, encoding.phones[row, :count], pitches[row, :count], stream, timing))
            stream.planned_samples += int(timing.durations_samples.sum())

    def _plan(self, utterance: Utterance, phones: Tensor, pitch: Tensor, stream: _Slot, timing: Timing) -> _Speech:
        """Everything the frames of an utterance need, with the controls of its phones applied."""
        durations = timing.durations_frames
        ends = stream.planned_samples + np.cumsum(timing.durations_samples)
        lengths = zip(timing.durations_samples, ends, strict=True)
        times = tuple(SampleSpan(int(end - samples), int(end)) for samples, end in lengths)
        frame_phone = np.repeat(np.arange(len(durations)), durations)
        starts = np.cumsum(durations) - durations
        asked = np.array([phone.duration_ms is not None for phone in utterance.phones], dtype=bool)
        index_frames, duration_frames = _shown_places(
            np.arange(len(frame_phone)) - starts[frame_phone], durations[frame_phone], asked[frame_phone]
        )
        index, duration = torch.from_numpy(index_frames), torch.from_numpy(duration_frames)
        place = torch.from_numpy(frame_phone)
        controls = torch.zeros(len(frame_phone), 2)
        if len(frame_phone):
            per_phone = torch.tensor(
                [
                    (p.pitch_range, p.pitch_semitones * math.log(2) / 12, math.log(max(p.volume, _QUIETEST)))
                    for p in utterance.phones
                ]
            )
            spread = self._pitch_spread * stream.shape.pitch_spread
            knots = pitch * (spread * per_phone[:, :1]) + per_phone[:, 1:2]
            share = (index + 0.5) / duration
            contour = pitch_at(knots[None], place[None], share[None])[0]
            log_f0 = stream.speakers @ self._speaker_log_f0 + stream.shape.log_f0 + contour
            controls[:, 0] = log_f0.exp().clamp(LOWEST_F0_HZ, HIGHEST_F0_HZ)
            controls[:, 1] = per_phone[place, 2]
        positions = position_features(index, duration).numpy()
        return _Speech(phones, frame_phone, positions, controls.numpy(), timing.kept_samples, times)

    def _speak(self, slots: Sequence[int], chunks: Sequence[_Chunk]) -> np.ndarray:
        """Decode and synthesise one chunk per slot: [B, S], each row's samples at its start, until the next call."""
        graphs, step = self._graphs, self._speech_step
        frames = [chunk.frames for chunk in chunks]
        size = len(slots), max(frames)
        bucket = graphs.bucket(*size) if graphs else size
        host = graphs.host[bucket] if graphs else step.new_inputs(bucket)
        encodings = self._fill(host, slots, chunks)
        inputs = graphs.upload(bucket) if graphs else {name: tensor.to(self._device) for name, tensor in host.items()}
        torch.index_select(encodings, 0, inputs["places"].flatten(), out=inputs["phones"].flatten(0, 1))
        if graphs:
            return np.asarray(graphs.run(bucket)[: len(slots)].numpy())
        shaped = any(self._slots[slot].shape.changes_frames for slot in slots)
        samples = step(inputs, even=min(frames) == max(frames), shaped=shaped)
        return np.asarray(samples.cpu().numpy())

    def _fill(self, host: Inputs, slots: Sequence[int], chunks: Sequence[_Chunk]) -> Tensor:
        """Write down what the rows say; gives the encoded phones [P, C] of all, which ``places`` points into."""
        self._speech_step.clear(host)
        arrays = {name: tensor.numpy() for name, tensor in host.items()}
        encodings: list[Tensor] = []
        phones = 0
        for row, (slot, chunk) in enumerate(zip(slots, chunks, strict=True)):
            arrays["slots"][row], arrays["lengths"][row] = slot, chunk.frames
            at = 0
            for piece in chunk.pieces:
                span = slice(piece.start_frame, piece.end_frame)
                to = slice(at, at + piece.end_frame - piece.start_frame)
                arrays["places"][row, to] = piece.speech.frame_phone[span] + phones
                arrays["positions"][row, to] = piece.speech.positions[span]
                arrays["controls"][row, to] = piece.speech.controls[span]
                encodings.append(piece.speech.phones)
                phones += len(piece.speech.phones)
                at = to.stop
        return torch.cat(encodings)


def _check(phone: Phone, phones: int) -> None:
    """Raise ValueError for what would give no or endless sound."""
    if _PHONE_INDEX.get(phone.symbol, phones) >= phones:
        raise ValueError(f"{phone.symbol!r} is not a phone of models.phones.PHONES that this network has learnt")
    phone.check()


def _shown_places(index: np.ndarray, duration: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where in its phone each frame lies, as the decoder is told: [F] index and [F] duration, both in frames.

    A length that was asked for may be far longer than any in training. The decoder lets sound ring on for a share of
    its phone: 52 ms longer in a break of 1 s than in one of 0.5 s. Long ones therefore look like one of 150 ms whose
    middle lasts.
    """
    left = duration - 1 - index
    half = _LONGEST_SHOWN_FRAMES // 2
    folded = np.where(index < half, index, np.maximum(_LONGEST_SHOWN_FRAMES - 1 - left, half))
    long = asked & (duration > _LONGEST_SHOWN_FRAMES)
    return np.where(long, folded, index), np.where(long, _LONGEST_SHOWN_FRAMES, duration)


def _next_chunk(stream: _Slot) -> _Chunk:
    """Take the stream's next frames: to the end of one utterance and, at most, into the one after it."""
    room = stream.chunk_frames
    pieces: list[_Piece] = []
    announced: tuple[SampleSpan, ...] | None = None
    ended = 0
    while stream.encoded:
        speech = stream.encoded[0]
        if not speech.announced:
            if announced is not None:
                break  # a step reports the times of one utterance only
            announced, speech.announced = speech.times, True
        frames = min(room, speech.left_frames)
        if frames:
            pieces.append(_Piece(speech, speech.given_frames, speech.given_frames + frames))
        speech.given_frames += frames
        room -= frames
        if speech.left_frames:
            break
        stream.encoded.popleft()
        ended += 1
        if not room:
            break
    return _Chunk(tuple(pieces), announced, ended)


def load(device: str, max_slots: int, weights: Path | None = None, cuda_graphs: bool = True) -> ConvTtsSynthesizer:
    """The embedded voice on ``device`` ("cpu", "cuda", "cuda:1" ...), or the voices that another file holds.

    ``cuda_graphs`` False: steps on a card are padded all the same, but launch their kernels one by one.

    Raises:
        WeightsError: the weights do not fit this code.
        ValueError: the file does not say whose voice it is.
    """
    if weights is None:
        with as_file(files("models.conv_tts") / "weights" / WEIGHTS) as path:
            network = _read_network(path)
        voices = read_voices(network.config.speakers)
    else:
        network, voices = _read_network(weights), read_file_voices(weights)
    if device == "cpu" and _computes_bfloat16():
        for block in network.decoder:
            block.to_bfloat16()  # type: ignore[operator]
    synthesizer = ConvTtsSynthesizer(network, device, max_slots, voices)
    if device != "cpu":
        synthesizer.use_buckets(CudaRecorder() if cuda_graphs else None)
    _warm_up(synthesizer)
    return synthesizer


def _read_network(path: Path) -> ConvTts:
    network = ConvTts(ConvTtsConfig.from_metadata(read_metadata(path)))
    load_weights(path, network)
    return network


def _computes_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself; where it is emulated it is slower than float32."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch that we support
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _warm_up(synthesizer: ConvTtsSynthesizer) -> None:
    """Speak a little, so that the first request does not pay for tables and plans."""
    say(synthesizer, synthesizer.info.voices[0], [Utterance(phones=tuple(Phone(symbol) for symbol in ("_", "h", "ʌ", ".")))])

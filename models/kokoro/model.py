"""The kokoro family behind `models.speech.Synthesizer`: slots, utterances, whole clauses.

Nothing is streamed inside an utterance (`models.kokoro.network`), so first audio comes with the first clause. The rows
of a step are computed one after the other, a piece of the network's work in each step: no row is padded, none waits for the
end of another's clause, and alone or among others each gives the same bits.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.audio import Pcm
from models.kokoro.config import FAMILY, SAMPLE_RATE_HZ
from models.kokoro.convs import Pieces
from models.kokoro.letters import Letters, parts_of, write
from models.kokoro.network import Kokoro, Melody, noise_shape
from models.kokoro.record import Styles, voices_of
from models.kokoro.timing import Timing, assemble, curve_phones, lay_out
from models.kokoro.vocabulary import EDGE
from models.kokoro.vocoder import LOWEST_VOICED_HZ
from models.phones import PHONES
from models.speech import DEFAULT_GENERATION, Control, Generation, Phone, SampleSpan, SpeechFrames, SynthesizerInfo, Utterance
from models.voices import Voice
from models.weights import weight_bytes

CONTROLS: frozenset[Control] = frozenset(("speed", "volume", "pitch", "pitch_range", "emotion"))
_SILENCE = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance, or a part of one that is too long for the network, as samples."""

    pcm: Pcm
    spans: tuple[SampleSpan, ...]
    """Of its phones, counted from its own first sample."""


@dataclass(slots=True)
class _Slot:
    styles: Tensor
    """[lengths, 2 * style]: the mixture of packs."""
    tongue: str
    noise: torch.Generator
    waiting: deque[Utterance] = field(default_factory=deque)
    work: Pieces[Said] | None = None
    """The utterance that is being computed."""
    given_samples: int = 0


class KokoroSynthesizer:
    """Streams of speech, stepped together. Not thread-safe: one worker owns it."""

    def __init__(
        self, network: Kokoro, vocabulary: Mapping[str, int], packs: Mapping[str, Tensor], device: str, max_slots: int
    ) -> None:
        """``packs`` are the voice packs by name, each [lengths, 2 * style]."""
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        self._vocabulary = vocabulary
        self._packs = {name: pack.float() for name, pack in packs.items()}
        self._slots: dict[int, _Slot] = {}
        voices = voices_of(sorted(packs))
        self._info = SynthesizerInfo(
            FAMILY,
            SAMPLE_RATE_HZ,
            tuple(sorted({voice.language for voice in voices})),
            max_slots,
            device,
            voices,
            reads="phones",
            times="phones",
            controls=CONTROLS,
            weight_bytes=weight_bytes(self._network) + sum(pack.nbytes for pack in self._packs.values()),
        )

    @property
    def info(self) -> SynthesizerInfo:
        return self._info

    def admit(self, slot: int, voice: Voice, generation: Generation = DEFAULT_GENERATION) -> None:
        """See `models.speech.Synthesizer`. ValueError: slot out of range or in use, a voice of packs that are not installed."""
        if not 0 <= slot < self._info.max_slots:
            raise ValueError(f"slot {slot} is not in 0..{self._info.max_slots - 1}")
        if slot in self._slots:
            raise ValueError(f"slot {slot} is in use")
        packs = Styles.of(voice.record).packs
        unknown = [name for name, _ in packs if name not in self._packs]
        if unknown:
            raise ValueError(f"voice {voice.name!r} is made of {', '.join(unknown)}; installed are {', '.join(self._packs)}")
        styles = torch.stack([self._packs[name] * weight for name, weight in packs]).sum(0)
        noise = torch.Generator()
        if generation.seed is None:
            noise.seed()
        else:
            noise.manual_seed(generation.seed)
        self._slots[slot] = _Slot(styles, voice.tongue, noise)

    def feed(self, slot: int, utterance: Utterance) -> None:
        """See `models.speech.Synthesizer`. ValueError: a phone or a control that cannot be spoken."""
        stream = self._slots[slot]
        for phone in utterance.phones:
            _check(phone)
        unknown = sorted(set(write(utterance.phones, stream.tongue).text) - self._vocabulary.keys())
        if unknown:
            raise ValueError(f"this Kokoro has no symbols for {', '.join(map(repr, unknown))}")
        stream.waiting.append(utterance)

    def release(self, slot: int) -> None:
        """See `models.speech.Synthesizer`."""
        del self._slots[slot]

    @torch.inference_mode()
    def step(self, slots: Sequence[int]) -> list[SpeechFrames]:
        """See `models.speech.Synthesizer`. A step does a piece of each row's work and gives an utterance when it is whole."""
        streams = [self._slots[slot] for slot in slots]
        for stream in streams:
            if stream.work is None and stream.waiting:
                stream.work = self._saying(stream, stream.waiting.popleft())
        return [self._advance(stream) for stream in streams]

    def _advance(self, stream: _Slot) -> SpeechFrames:
        if stream.work is None:
            return SpeechFrames(_SILENCE, None, 0)
        try:
            next(stream.work)
        except StopIteration as stop:
            said: Said = stop.value
            stream.work = None
            times = _moved(said.spans, stream.given_samples)
            stream.given_samples += len(said.pcm)
            return SpeechFrames(said.pcm, times, 1)
        except Exception:
            stream.work = None
            raise
        return SpeechFrames(_SILENCE, None, 0)

    def _saying(self, stream: _Slot, utterance: Utterance) -> Pieces[Said]:
        """An utterance, part by part."""
        most = min(self._network.config.most_tokens - 2, len(stream.styles))
        pcm, spans = [_SILENCE], list[SampleSpan]()
        at = 0
        for phones in parts_of(utterance.phones, stream.tongue, most):
            letters = write(phones, stream.tongue)
            said = (yield from self._speaking(stream, phones, letters)) if letters.text else _pauses(phones)
            pcm.append(said.pcm)
            spans += _moved(said.spans, at)
            at += len(said.pcm)
        return Said(np.concatenate(pcm), tuple(spans))

    def _speaking(self, stream: _Slot, phones: tuple[Phone, ...], letters: Letters) -> Pieces[Said]:
        """One part through the network."""
        style = stream.styles[len(letters.text) - 1][None].to(self._device)
        tokens = [EDGE, *(self._vocabulary[letter] for letter in letters.text), EDGE]
        encoding = self._network.encode(torch.tensor([tokens], device=self._device), (len(tokens),), style)
        timing = lay_out(phones, letters, encoding.durations_frames[0].double().cpu().numpy())
        yield
        melody = self._network.melody(encoding, (timing.frames,), style)
        melody = replace(melody, pitch_hz=_sung(melody, phones, timing))
        noise = torch.randn(1, *noise_shape(sum(timing.frames)), generator=stream.noise).to(self._device)
        yield
        samples = yield from self._network.sounding(melody, style, noise)
        return Said(*assemble(samples[0].float().cpu().numpy(), phones, timing))


def _sung(melody: Melody, phones: Sequence[Phone], timing: Timing) -> Tensor:
    """The pitch [1, 2T] with the phones' own shifts and ranges, around the mean of what is voiced."""
    shifts, ranges = [phone.pitch_semitones for phone in phones], [phone.pitch_range for phone in phones]
    pitch_hz = melody.pitch_hz
    if not any(shifts) and set(ranges) == {1.0}:
        return pitch_hz
    of_phone = torch.from_numpy(curve_phones(timing))
    shift = torch.tensor(shifts, dtype=torch.float32)[of_phone].to(pitch_hz) * (math.log(2) / 12)
    spread = torch.tensor(ranges, dtype=torch.float32)[of_phone].to(pitch_hz)
    voiced = pitch_hz > LOWEST_VOICED_HZ
    logs = pitch_hz.clamp_min(LOWEST_VOICED_HZ).log()
    mean = (logs * voiced).sum() / voiced.sum().clamp_min(1)
    return torch.where(voiced, (mean + (logs - mean) * spread + shift).exp(), pitch_hz)


def _pauses(phones: Sequence[Phone]) -> Said:
    """Pauses without a word, which the network is not asked for: silence of the lengths they were given."""
    lengths = [round((phone.duration_ms or 0.0) * SAMPLE_RATE_HZ / 1000) for phone in phones]
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    spans = tuple(SampleSpan(end - length, end) for length, end in zip(lengths, ends, strict=True))
    return Said(np.zeros(sum(lengths), np.float32), spans)


def _moved(spans: Sequence[SampleSpan], samples: int) -> tuple[SampleSpan, ...]:
    return tuple(SampleSpan(span.start_samples + samples, span.end_samples + samples) for span in spans)


def _check(phone: Phone) -> None:
    """Raise ValueError for what would give no or endless sound."""
    if phone.symbol not in PHONES:
        raise ValueError(f"{phone.symbol!r} is not a phone of models.phones.PHONES")
    phone.check()

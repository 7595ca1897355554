"""The part of a step that is tensors alone: phones and controls by frame to samples, with the state of every slot.

It launches the same work whatever the values are, waits for nothing, and reads and writes state in place at the rows of its
slots, so it can be recorded (`models.cuda_graphs`). Rows that only fill a batch up have no frames and name the scratch slot,
the one after the last.
"""

import torch
from torch import Tensor

from models.conv_tts.character import Shape, Shapes, apply_shapes
from models.conv_tts.config import HIGHEST_F0_HZ, LOWEST_F0_HZ
from models.conv_tts.network import POSITION_FEATURES, ConvTts
from models.conv_tts.vocoder import Vocoder, VocoderState
from models.cuda_graphs import Bucket, Field, Inputs

_LIMITER_KNEE = 0.85
_FILLING_F0_HZ = 100.0
"""Of frames past a row's end, which are computed and dropped."""


class SpeechStep:
    """Frames of speech to samples, called with the inputs of `layout`."""

    def __init__(self, network: ConvTts, max_slots: int, device: torch.device) -> None:
        self._network = network
        self._vocoder = Vocoder(network.config.cepstrum_order).to(device)
        self._scratch_slot = max_slots
        rows = max_slots + 1
        self._decoder_states = network.init_state(rows, device)
        self._vocoder_states = self._vocoder.init_state(rows, device)
        self._speakers = torch.zeros(rows, len(network.config.speakers), device=device)
        self._shapes = Shapes.none(rows, network.config.cepstrum_order, device)
        self._fresh = (network.init_state(1), *self._vocoder.init_state(1))
        self._randomised = 0

    @property
    def states(self) -> tuple[Tensor, ...]:
        """Everything that outlives a step, each with the slots as its first dimension."""
        return self._decoder_states, *self._vocoder_states, self._speakers, *self._shapes

    def admit(self, slot: int, speakers: Tensor, shape: Shape) -> None:
        """Start a slot afresh; ``speakers`` [speakers] and the shape lie on the CPU."""
        for pool, fresh in zip(self.states, (*self._fresh, speakers[None], *Shapes.stacked([shape])), strict=True):
            pool[slot].copy_(fresh[0], non_blocking=True)

    def layout(self, bucket: Bucket) -> dict[str, Field]:
        """The inputs of a step of B rows and T frames.

        slots [B], lengths [B] in frames, positions [B, T, features], controls [B, T, 2] (F0 in Hz, log of the volume) and
        phones [B, T, C], the encoding of each frame's phone, which lies at ``places`` [B, T] of what the encoder gave.
        """
        rows, frames = bucket
        return {
            "slots": Field((rows,), torch.int64),
            "lengths": Field((rows,), torch.int64),
            "places": Field((rows, frames), torch.int64),
            "positions": Field((rows, frames, POSITION_FEATURES), torch.float32),
            "controls": Field((rows, frames, 2), torch.float32),
            "phones": Field((rows, frames, self._network.config.channels), torch.float32, from_host=False),
        }

    def new_inputs(self, bucket: Bucket) -> dict[str, Tensor]:
        """On the CPU, for a step that is not padded."""
        return {name: torch.empty(field.shape, dtype=field.dtype) for name, field in self.layout(bucket).items()}

    def clear(self, inputs: Inputs) -> None:
        """Make every row one that only fills the batch up."""
        for name, value in (("slots", self._scratch_slot), ("lengths", 0), ("places", 0), ("positions", 0), ("controls", 0)):
            inputs[name].fill_(value)
        inputs["controls"][..., 0] = _FILLING_F0_HZ

    def __call__(self, inputs: Inputs, even: bool = False, shaped: bool = True) -> Tensor:
        """Decode and synthesise: [B, T * hop], 0 past a row's own end.

        A caller who knows the values may spare work: ``even`` says that all rows have T frames, ``shaped`` False that no
        slot has a character that changes frames.
        """
        slots, controls = inputs["slots"], inputs["controls"]
        lengths = None if even else inputs["lengths"]
        cepstrum, voicing, decoder_state = self._network.decode(
            inputs["phones"], inputs["positions"], self._speakers[slots], self._decoder_states[slots], lengths
        )
        self._decoder_states[slots] = decoder_state
        if shaped:
            cepstrum, voicing = apply_shapes(cepstrum, voicing, Shapes(*(pool[slots] for pool in self._shapes)))
        cepstrum[..., 0] += controls[..., 1]
        state = VocoderState(*(pool[slots] for pool in self._vocoder_states))
        samples, stepped = self._vocoder(cepstrum, voicing, controls[..., 0], state, lengths)
        for pool, fresh in zip(self._vocoder_states, stepped, strict=True):
            pool[slots] = fresh
        return _limited(samples)

    def randomise(self, bucket: Bucket, inputs: Inputs) -> None:
        """Fill inputs and states with what speech has, and wilder, some rows being fillers.

        For the proof of a recording (`models.cuda_graphs.StepGraphs.prepare`).
        """
        (rows, frames), device = bucket, self._speakers.device
        self._randomised += 1
        generator = torch.Generator(device).manual_seed(self._randomised)
        real = min(int(torch.randint(rows // 2, rows, (), generator=generator, device=device)) + 1, self._scratch_slot)
        self.clear(inputs)
        inputs["slots"][:real] = torch.randperm(self._scratch_slot, generator=generator, device=device)[:real]
        inputs["lengths"][:real].random_(1, frames + 1, generator=generator)
        inputs["controls"][..., 0].uniform_(LOWEST_F0_HZ, HIGHEST_F0_HZ, generator=generator)
        for tensor in (inputs["positions"], inputs["phones"], *self.states):
            values = 0.3 * torch.randn(tensor.shape, generator=generator, device=device)
            tensor.copy_(values > 0 if tensor.dtype == torch.bool else values)
        states = self._vocoder_states
        states.voicing.abs_()
        states.phase.frac_().abs_()
        states.position_samples.random_(10**6, generator=generator)
        states.f0_hz.mul_(1000).clamp_(0, HIGHEST_F0_HZ)  # half of the slots are at their very start
        self._shapes.matrix.mul_(0.1)
        self._shapes.offset[:, 0] = -3.0  # full scale would hide differences


def _limited(samples: Tensor) -> Tensor:
    """Peaks bent instead of cut off: same shape, within -1..1, untouched up to the knee. At twice the volume this takes
    less than 1 % off the level and reaches full scale without a corner."""
    room = 1 - _LIMITER_KNEE
    magnitude = samples.abs()
    bent = _LIMITER_KNEE + room * ((magnitude - _LIMITER_KNEE) / room).clamp_min(0).tanh()
    return torch.where(magnitude > _LIMITER_KNEE, samples.sign() * bent, samples)

"""Steps in buckets: choice, padding, states, the proof of every recording. On the CPU a recording is calling again."""

import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from models.conv_tts import model as conv_tts
from models.conv_tts.config import HOP_SAMPLES, ConvTtsConfig
from models.conv_tts.model import ConvTtsSynthesizer
from models.conv_tts.network import ConvBlock, ConvTts
from models.conv_tts.record import Character, Timbre
from models.conv_tts.speech_step import SpeechStep
from models.cuda_graphs import Bucket, Field, Inputs, Recorder, StepGraphs, Work, row_buckets
from models.speech import Synthesizer, Utterance
from models.voices import Voice
from tests.models.test_conv_tts import HELLO, STORY, error_db, phones

SLOTS = 7
CHARACTER = Character(log_f0=0.2, log_formants=0.1, voicing_logit=-1.0, cepstrum=(0.2, -0.1))


def again(work: Work) -> Work:
    return work


class Sums:
    """A step that adds numbers to a total per slot and gives the new totals, times ``factor``."""

    def __init__(self) -> None:
        self.totals = torch.zeros(5)
        self.factor = 1.0
        self.calls = 0
        self.seed = 0

    def layout(self, bucket: Bucket) -> dict[str, Field]:
        return {"slots": Field(bucket[:1], torch.int64), "numbers": Field(bucket, torch.float32)}

    def __call__(self, inputs: Inputs) -> Tensor:
        self.calls += 1
        self.totals[inputs["slots"]] += inputs["numbers"].sum(1)
        return self.factor * self.totals[inputs["slots"]]

    def randomise(self, bucket: Bucket, inputs: Inputs) -> None:
        self.seed += 1
        generator = torch.Generator().manual_seed(self.seed)
        inputs["slots"].copy_(torch.randperm(5, generator=generator)[: bucket[0]])
        inputs["numbers"].normal_(generator=generator)
        self.totals.normal_(generator=generator)


def graphs_of(sums: Sums, recorder: Recorder | None) -> StepGraphs:
    graphs = StepGraphs(sums, sums.layout, (1, 2, 4), (3, 6), torch.device("cpu"))
    graphs.prepare(recorder, [sums.totals], sums.randomise)
    return graphs


def test_buckets_are_powers_of_two_up_to_what_there_is() -> None:
    assert row_buckets(1) == (1,)
    assert row_buckets(6) == (1, 2, 4, 6)
    assert row_buckets(8) == (1, 2, 4, 8)
    assert row_buckets(9) == (1, 2, 4, 8, 9)


def test_a_step_goes_to_the_smallest_bucket_that_holds_it() -> None:
    graphs = graphs_of(Sums(), None)
    assert graphs.buckets[0] == (4, 6)
    assert len(graphs.buckets) == 6
    held = {(1, 1): (1, 3), (1, 3): (1, 3), (2, 4): (2, 6), (3, 6): (4, 6), (4, 3): (4, 3)}
    assert {size: graphs.bucket(*size) for size in held} == held
    for size in ((5, 1), (1, 7)):
        with pytest.raises(IndexError):
            graphs.bucket(*size)


@pytest.mark.parametrize("recorder", [again, None])
def test_a_step_reads_its_buffers_and_changes_its_states(recorder: Recorder | None) -> None:
    sums = Sums()
    graphs = graphs_of(sums, recorder)
    assert not sums.totals.any()
    assert set(graphs.replays) == (set(graphs.buckets) if recorder else set())
    for total in (6.0, 12.0):
        host = graphs.host[2, 3]
        host["slots"].copy_(torch.tensor([4, 1]))
        host["numbers"].copy_(torch.tensor([[1.0, 2, 3], [0, 0, 1]]))
        inputs = graphs.upload((2, 3))
        assert {name: tensor.shape for name, tensor in inputs.items()} == {"slots": (2,), "numbers": (2, 3)}
        assert graphs.run((2, 3)).tolist() == [total, total / 6]
    assert sums.totals.tolist() == [0, 2, 0, 0, 12]


def test_a_recording_is_replayed_and_the_step_not_called() -> None:
    sums = Sums()
    replays: list[int] = []

    def counting(work: Work) -> Work:
        def replay() -> None:
            replays.append(1)
            work()

        return replay

    graphs = graphs_of(sums, counting)
    proofs, calls = len(replays), sums.calls
    graphs.upload((1, 6))
    graphs.run((1, 6))
    assert proofs == len(graphs.buckets)
    assert (len(replays), sums.calls) == (proofs + 1, calls + 1)


def wrong_output(sums: Sums) -> Recorder:
    """Gives totals that are too large by a hundredth."""

    def replay(work: Work) -> None:
        sums.factor = 1.01
        work()
        sums.factor = 1.0

    return lambda work: lambda: replay(work)


def spoilt_state(sums: Sums, spoil: Callable[[Tensor], object]) -> Recorder:
    def replay(work: Work) -> None:
        work()
        spoil(sums.totals)

    return lambda work: lambda: replay(work)


def constant_state(sums: Sums) -> Recorder:
    """Puts the states that it met when it was made back into place."""
    met = sums.totals.clone()
    return spoilt_state(sums, lambda totals: totals.copy_(met))


def not_a_number(sums: Sums) -> Recorder:
    return spoilt_state(sums, lambda totals: totals[0].fill_(torch.nan))


def nothing(_: Sums) -> Recorder:
    return lambda _: lambda: None


@pytest.mark.parametrize("wrong", [wrong_output, constant_state, nothing, not_a_number])
def test_a_wrong_replay_is_found_and_not_used(wrong: Callable[[Sums], Recorder], caplog: pytest.LogCaptureFixture) -> None:
    sums = Sums()
    made: list[int] = []

    def record(work: Work) -> Work:
        made.append(1)
        return wrong(sums)(work) if len(made) == 2 else work

    with caplog.at_level(logging.WARNING):
        graphs = graphs_of(sums, record)
    assert set(graphs.buckets) - set(graphs.replays) == {(4, 3)}
    assert [line.getMessage().partition(":")[0] for line in caplog.records] == [
        "bucket of 4 rows, 3 frames runs without a CUDA graph"
    ]
    assert not sums.totals.any()
    graphs.host[4, 3]["slots"].copy_(torch.arange(4))
    graphs.host[4, 3]["numbers"].fill_(2.0)
    graphs.upload((4, 3))
    assert graphs.run((4, 3)).tolist() == [6.0] * 4
    assert sums.totals.tolist() == [6.0] * 4 + [0.0]


def test_what_cannot_be_recorded_runs_without(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(work: Work) -> Work:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with caplog.at_level(logging.WARNING):
        graphs = graphs_of(Sums(), refuse)
    assert not graphs.replays
    assert len(caplog.records) == len(graphs.buckets)
    assert caplog.records[0].getMessage().endswith("graph: operation not permitted when stream is capturing")


def voice_of(network: ConvTts, character: Character) -> Voice:
    speakers = ((network.config.speakers[0], 0.5), (network.config.speakers[1], 0.5))
    return Timbre(speakers, character).to_voice(id="a", name="a")


def tiny() -> ConvTtsSynthesizer:
    """32 channels wide, with random weights that make loud, long, varied sound."""
    torch.manual_seed(3)
    network = ConvTts(ConvTtsConfig(channels=32, expansion=64, attention_heads=2, cepstrum_order=12))
    with torch.no_grad():
        for block in network.modules():
            if isinstance(block, ConvBlock):
                block.scale.fill_(1.0)
        network.cepstrum_mean[0] = -1.0
    return ConvTtsSynthesizer(network, "cpu", SLOTS, (voice_of(network, Character()), voice_of(network, CHARACTER)))


def speak(model: Synthesizer, order: list[int]) -> dict[int, np.ndarray]:
    """Streams of different lengths, two of them joining late."""
    got: dict[int, list[np.ndarray]] = {slot: [] for slot in order}

    def join(slot: int) -> None:
        model.admit(slot, model.info.voices[slot % 2])
        model.feed(slot, Utterance(phones=phones(HELLO)))
        if slot % 3:
            model.feed(slot, Utterance(phones=phones(STORY)))

    joined = order[:-2]
    for slot in joined:
        join(slot)
    for step in range(400):
        if step == 2:
            joined = order
            for slot in order[-2:]:
                join(slot)
        for slot, frames in zip(joined, model.step(joined), strict=True):
            got[slot].append(frames.pcm)
        if step > 2 and not any(pcm[-1].size for pcm in got.values()):
            break
    for slot in order:
        model.release(slot)
    return {slot: np.concatenate(pcm) for slot, pcm in got.items()}


@pytest.fixture(scope="module")
def unpadded() -> dict[int, np.ndarray]:
    torch.set_num_threads(1)
    return speak(tiny(), list(range(SLOTS)))


@pytest.mark.parametrize("recorder", [again, None])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 1, 4], [5, 0, 3, 2, 1]])
def test_padding_does_not_change_the_sound(
    order: list[int], recorder: Recorder | None, unpadded: dict[int, np.ndarray]
) -> None:
    model = tiny()
    model.use_buckets(recorder)
    for slot, pcm in speak(model, order).items():
        assert error_db(pcm, unpadded[slot]) < -60


def test_more_rows_than_a_bucket_holds_are_done_in_parts(
    monkeypatch: pytest.MonkeyPatch, unpadded: dict[int, np.ndarray]
) -> None:
    monkeypatch.setattr(conv_tts, "_MOST_BUCKET_ROWS", 3)
    model = tiny()
    assert model.use_buckets(again).buckets[0] == (3, 60)
    for slot, pcm in speak(model, list(range(SLOTS))).items():
        assert error_db(pcm, unpadded[slot]) < -60


def test_rows_that_fill_a_batch_up_touch_no_slot() -> None:
    model = tiny()
    graphs = model.use_buckets(again)
    step = model._speech_step
    spoken = [0, 2, 5]
    for slot in range(SLOTS):
        model.admit(slot, model.info.voices[0])
        model.feed(slot, Utterance(phones=phones(STORY)))
    model.step(list(range(SLOTS)))
    before = [state.clone() for state in step.states]
    assert graphs.bucket(len(spoken), 1)[0] == 4
    model.step(spoken)
    for state, old in zip(step.states, before, strict=True):
        for slot in set(range(SLOTS + 1)) - set(spoken):  # the scratch slot too: its rows have no frames
            assert torch.equal(state[slot], old[slot])
    decoder, tail = step.states[0], step.states[6]
    for slot in spoken:
        assert not torch.equal(decoder[slot], before[0][slot])
        assert not torch.equal(tail[slot], before[6][slot])


def test_a_replay_that_forgets_a_state_of_the_voice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state is looked at: one that a replay leaves as it was costs the bucket its graph."""
    monkeypatch.setattr(conv_tts, "CHUNK_FRAMES", (10,))
    model = tiny()
    states = model._speech_step.states
    for forgotten in range(7):

        def record(work: Work, state: Tensor = states[forgotten]) -> Work:
            def replay() -> None:
                kept = state.clone()
                work()
                state.copy_(kept)

            return replay

        assert not model.use_buckets(record).replays, forgotten


def test_the_proof_leaves_no_trace_in_the_voice() -> None:
    model = tiny()
    before = [state.clone() for state in model._speech_step.states]
    model.use_buckets(again)
    for state, old in zip(model._speech_step.states, before, strict=True):
        assert torch.equal(state, old)


def test_the_step_of_the_voice_asks_for_no_value() -> None:
    """Tensors without values refuse what a capture would: shapes that depend on values, reading them, other devices."""
    device = torch.device("meta")
    step = SpeechStep(tiny()._network.to(device), SLOTS, device)
    inputs = {name: torch.zeros(field.shape, dtype=field.dtype, device=device) for name, field in step.layout((4, 10)).items()}
    with torch.inference_mode():
        samples = step(inputs)
    assert samples.shape == (4, 10 * HOP_SAMPLES)
    assert samples.is_meta


@pytest.mark.gpu
def test_graphs_on_a_card_give_the_sound_of_the_steps() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    graphed, stepped = (conv_tts.load("cuda", SLOTS, cuda_graphs=on) for on in (True, False))
    graphs = graphed._graphs
    assert graphs is not None
    assert set(graphs.replays) == set(graphs.buckets)
    order = list(range(SLOTS))
    alone = speak(stepped, order)
    for slot, pcm in speak(graphed, order).items():
        assert np.abs(pcm).max() > 0.01
        assert error_db(pcm, alone[slot]) < -60

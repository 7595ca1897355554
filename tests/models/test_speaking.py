"""Utterances to their end, whatever the steps in between give."""

import numpy as np
import pytest

from models.speaking import audio_of, say, say_together, steps_of
from models.speech import Generation, Utterance
from tests.fakes import ANNA, CLEO, LETTERS, PREFILL_STEPS, FakeReader, FakeSynthesizer, ModelFault, read_aloud, render
from tests.server.engine.speech.speech_harness import utterances_of

SEEDED = Generation(seed=5)


def test_steps_without_audio_end_nothing() -> None:
    model, texts = FakeReader(), [Utterance("Hello."), Utterance("Good bye.", pause_ms=50), Utterance(pause_ms=10)]
    steps = say(model, CLEO, texts, SEEDED)
    assert [step.pcm.size for step in steps[: PREFILL_STEPS + 1]] == [0] * (PREFILL_STEPS + 1)
    np.testing.assert_array_equal(audio_of(steps), np.concatenate([read_aloud(text, CLEO, SEEDED) for text in texts]))
    assert sum(step.utterances_ended for step in steps) == 3
    assert model.slots_in_use == 0


def test_those_that_are_done_step_no_more() -> None:
    model = FakeSynthesizer()
    texts = ("Hi.", "A longer sentence. And one more.", "")
    spoken = say_together(model, [(ANNA, utterances_of(text)) for text in texts])
    for pcm, text in zip(spoken, texts, strict=True):
        whole = [render(utterance, ANNA, 0)[0] for utterance in utterances_of(text)]
        np.testing.assert_array_equal(pcm, np.concatenate([np.zeros(0, np.float32), *whole]))
    assert model.steps[0] == (0, 1)
    assert model.steps[-1] == (1,)


def test_slots_are_free_again_whatever_happens() -> None:
    model = FakeSynthesizer(fault_symbol=LETTERS["z"])
    with pytest.raises(ModelFault):
        say_together(model, [(ANNA, utterances_of("One.")), (ANNA, utterances_of("Zulu."))])
    assert model.slots_in_use == 0
    reader = FakeReader(max_slots=1)
    with pytest.raises(AssertionError):
        say_together(reader, [(CLEO, [Utterance("One.")]), (ANNA, [Utterance("Of another family.")])])
    assert reader.slots_in_use == 0
    steps = steps_of(model, [(ANNA, utterances_of("One two three."))])
    next(steps)
    steps.close()  # whoever has heard enough
    assert model.slots_in_use == 0

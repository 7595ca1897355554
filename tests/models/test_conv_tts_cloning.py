"""A clone of one of our own voices, whose every number is known, and of sounds that are no voice."""

import math

import numpy as np
import pytest
import torch

from models.audio import Pcm
from models.conv_tts.cloning import ConvTtsCloner, speak_together
from models.conv_tts.model import ConvTtsSynthesizer
from models.conv_tts.model import load as load_voice
from models.conv_tts.profile import measure
from models.conv_tts.record import Character, Timbre
from models.registry import load_cloner
from models.speech import Utterance
from models.voices import Voice
from server.engine.speech.text_feed import read_whole
from server.text.frontend import TextFrontEnd

CLIP = "My brother keeps the old boat behind the house, and nobody asks how long it will take."
SPOKEN = "Four of us were there when the ship came in. I thought she should choose a new job."
STRANGER = Character(0.18, -0.3, 0.1, -0.6, 0.12, (0.0, 0.3, -0.2, 0.1, -0.1))


@pytest.fixture(scope="module")
def synthesizer() -> ConvTtsSynthesizer:
    torch.set_num_threads(1)
    return load_voice("cpu", 2)


@pytest.fixture(scope="module")
def cloner() -> ConvTtsCloner:
    made = load_cloner("conv_tts")
    assert isinstance(made, ConvTtsCloner)
    return made


def segments(text: str) -> list[Utterance]:
    return [piece.utterance for piece in read_whole(TextFrontEnd(), text)]


def say(synthesizer: ConvTtsSynthesizer, voice: Voice, text: str) -> Pcm:
    return speak_together(synthesizer, [(voice, segments(text))])[0]


def test_an_own_voice_is_found_again(synthesizer: ConvTtsSynthesizer, cloner: ConvTtsCloner) -> None:
    stranger = Timbre((("awb", 1.0),), STRANGER).to_voice()
    clip = say(synthesizer, stranger, CLIP)
    cloned = cloner.clone(clip)
    timbre = Timbre.of(cloned.record)
    assert sum(weight for _, weight in timbre.speakers) == pytest.approx(1)
    assert cloned.similarity > 0.75
    clone = timbre.to_voice()
    target, own = measure(clip), measure(say(synthesizer, clone, SPOKEN))
    assert own.f0_hz == pytest.approx(target.f0_hz, rel=0.03)
    assert math.log(own.log_f0_spread / target.log_f0_spread) == pytest.approx(0, abs=0.35)
    assert own.voicing_logit == pytest.approx(target.voicing_logit, abs=0.5)
    certain = target.certainty > 0.9
    both = own.voiced_spectrum[certain] - target.voiced_spectrum[certain]
    assert np.abs(both - both.mean()).mean() < 0.25  # neper: 2 dB
    assert own.active_level_db == pytest.approx(-22, abs=1.5) or own.peak > 0.85


def test_the_level_of_the_clip_does_not_count(synthesizer: ConvTtsSynthesizer, cloner: ConvTtsCloner) -> None:
    clip = say(synthesizer, synthesizer.info.voices[1], CLIP)
    loud, quiet = (Timbre.of(cloner.clone(clip * np.float32(gain)).record) for gain in (1.0, 0.05))
    assert loud.speakers == quiet.speakers
    assert loud.character.log_f0 == pytest.approx(quiet.character.log_f0, abs=0.01)
    assert loud.character.cepstrum == pytest.approx(quiet.character.cepstrum, abs=0.05)


def test_noise_is_no_voice(cloner: ConvTtsCloner) -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(48_000)
    with pytest.raises(ValueError, match="voiced"):
        cloner.clone(noise.astype(np.float32))

"""Voices of conv_tts as records: kept, mixed, and as the numbers that clients of 2024 keep."""

import json
import subprocess
import sys

import numpy as np
import pytest

from models.conv_tts.record import Character, Timbre
from models.conv_tts.voice_maker import ConvTtsVoiceMaker
from models.voices import EMBEDDING_SIZE, Voice

RMS, SLT = (
    Timbre(((name, 1.0),)).to_voice(id=name, name=name, locale=locale) for name, locale in (("rms", "en-US"), ("slt", "en-GB"))
)
APART = Timbre((("ada", 1.0),), network="ada").to_voice(id="ada", name="Ada", language="de", locale="de-DE")
LOW = Timbre((("rms", 0.25), ("slt", 0.75)), Character(-0.3, 0.1, -0.05, -1.0, 0.1, (0.2, -0.7), (0.1, 0.2, -0.3))).to_voice(
    id="low", name="Low"
)
MAKER = ConvTtsVoiceMaker((RMS, SLT, APART))


def numbers_of(voice: Voice) -> list[float]:
    numbers = MAKER.embed(voice)
    assert numbers is not None
    return numbers


def test_a_record_is_json_and_reads_back() -> None:
    kept = json.loads(json.dumps(LOW.record))
    assert kept == LOW.record
    assert Timbre.of(kept).to_record() == LOW.record


def test_mixtures_weigh_speakers_and_characters() -> None:
    mixed = Timbre.of(MAKER.mix([(RMS, 0.5), (LOW, 0.5)]))
    assert mixed.speakers == (("rms", 0.625), ("slt", 0.375))
    assert (mixed.character.log_f0, mixed.network) == (-0.15, "")
    with pytest.raises(ValueError, match="a network of its own"):
        MAKER.mix([(RMS, 0.5), (APART, 0.5)])
    assert Timbre.of(MAKER.mix([(APART, 0.5), (APART, 0.5)])).network == "ada"


def test_only_voices_of_installed_networks_and_speakers_are_known() -> None:
    assert all(MAKER.knows(voice) for voice in (RMS, SLT, APART, LOW))
    assert not MAKER.knows(Timbre((("carla", 1.0),)).to_voice())
    assert not MAKER.knows(Timbre((("rms", 1.0),), network="not-installed").to_voice())


def test_voices_are_made_in_the_languages_of_the_packages_own_network() -> None:
    assert MAKER.locales == {"en": "en-US"}


@pytest.mark.parametrize("voice", [RMS, LOW])
def test_the_numbers_are_the_voice(voice: Voice) -> None:
    embedding = numbers_of(voice)
    assert len(embedding) == EMBEDDING_SIZE
    for kept in (embedding, [float(np.float32(number)) for number in embedding]):
        found = MAKER.from_embedding(kept)
        assert found is not None
        timbre, wanted = Timbre.of(found.record), Timbre.of(voice.record)
        assert dict(timbre.speakers) == pytest.approx(dict(wanted.speakers))
        assert timbre.character.cepstrum == pytest.approx(wanted.character.cepstrum)
        assert timbre.character.cepstrum_movement == pytest.approx(wanted.character.cepstrum_movement)
        assert timbre.character.log_f0 == pytest.approx(wanted.character.log_f0)


def test_the_numbers_are_those_that_earlier_versions_gave_out() -> None:
    embedding = numbers_of(LOW)
    assert embedding[:6] == [-0.40625, 0.71875, 5 / 32, 14 / 32, 0.25, 0.75]
    assert embedding[28:35] == [-0.3, 0.1, -0.05, -1.0, 0.1, 0.2, -0.7]
    assert embedding[57:60] == [0.1, 0.2, -0.3]
    assert not any(embedding[6:28] + embedding[35:57] + embedding[60:])


def test_the_mean_of_two_is_the_voice_between() -> None:
    mean = [(one + other) / 2 for one, other in zip(numbers_of(RMS), numbers_of(LOW), strict=True)]
    between = MAKER.from_embedding(mean)
    assert between is not None
    assert dict(Timbre.of(between.record).speakers) == pytest.approx({"rms": 0.625, "slt": 0.375})


def test_other_numbers_are_refused_and_a_network_of_its_own_has_none() -> None:
    assert MAKER.embed(APART) is None
    good = numbers_of(LOW)
    changed = {0: 0.0, 2: 0.9, 4: -0.5, 5: 0.9, 30: 9.0, 31: float("nan")}
    for wrong in ([*good[:at], number, *good[at + 1 :]] for at, number in changed.items()):
        assert MAKER.from_embedding(wrong) is None


def test_a_gateway_needs_no_torch_for_it() -> None:
    program = "import sys, models.conv_tts.voice_maker, models.registry; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"

"""The measures of the languages: agreement of the front end, the judge of phones, a voice beside its source."""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from benchmarks.language_quality import Errors, VoiceMeasure, equally_loud, expected_phones, front_end_agreement
from benchmarks.phone_recogniser import BLANK, PhoneRecogniser, make_examples, train
from models.conv_tts.model import ConvTtsSynthesizer
from models.conv_tts.network import ConvTts
from models.phones import PHONES
from training.espeak_phones import VOICE_OF, EspeakPhones
from training.sentences import held_out
from training.voice.espeak import MULTILINGUAL, VOICES

SENTENCES = ("Der Mann kam nach Hause.", "Die Frau las ein Buch.", "Das Kind spielte im Garten.", "Der Hund schlief lange.")


@pytest.fixture(scope="module")
def espeak() -> EspeakPhones:
    return EspeakPhones()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    lines = [f"{start[:-1]} und {end[:1].lower()}{end[1:]}" for start in SENTENCES for end in SENTENCES]
    lines += [f"{line[:-1]} am {day}." for line in lines for day in ("Montag", "Dienstag", "Freitag", "Samstag", "Sonntag")]
    for language in ("de", "en", "es", "fr", "it"):
        (tmp_path / f"sentences.{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    assert any(held_out(line) for line in lines)
    return tmp_path


def test_errors_are_counted_over_all_phones_and_pauses_do_not_count() -> None:
    errors = Errors()
    errors.add(["a", "b", "c"], ["_", "a", ",", "b", "c", "."])
    errors.add(["a"], ["b"])
    assert (errors.sentences, errors.phone_percent, errors.right_sentences_percent) == (2, 25.0, 50.0)


def test_front_end_agrees_with_its_teacher_on_plain_german(espeak: EspeakPhones, texts: Path) -> None:
    figures = front_end_agreement(espeak, texts, "de", 3)
    assert figures["sentences"] != 0
    assert float(str(figures["phone_error_percent"])) < 8


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_judge_learns_and_tells_our_noise_from_speech(espeak: EspeakPhones, texts: Path) -> None:
    examples = make_examples(texts, 20)
    untrained, judge = PhoneRecogniser(), train(examples, 80)
    speech = espeak.speak(SENTENCES[0], VOICE_OF["de"])
    pcm = soxr.resample(speech.pcm / 32768, speech.sample_rate_hz, 16_000)
    expected = expected_phones(espeak, SENTENCES[0], "de")
    by_judge, by_chance = Errors(), Errors()
    by_judge.add(expected, judge.hear(pcm, "de"))
    by_chance.add(expected, untrained.hear(pcm, "de"))
    assert by_judge.phone_percent < 60 < by_chance.phone_percent


def test_what_is_heard_is_collapsed_and_without_blanks() -> None:
    torch.manual_seed(0)
    judge = PhoneRecogniser().eval()
    pcm = np.random.default_rng(0).standard_normal(16_000) * 0.1
    bias = judge.get_parameter("last.bias")
    with torch.no_grad():
        bias[BLANK] = 100.0
    assert judge.hear(pcm, "fr") == []
    with torch.no_grad():
        bias[BLANK] = 0.0
        bias[PHONES.index("a")] = 100.0
    assert judge.hear(pcm, "fr") == ["a"]


def test_a_voice_is_measured_against_its_source(espeak: EspeakPhones, texts: Path) -> None:
    torch.manual_seed(0)
    network = ConvTts(MULTILINGUAL)
    model = ConvTtsSynthesizer(network, "cpu", 1, VOICES)
    measure = VoiceMeasure(espeak, model, next(voice for voice in VOICES if voice.name == "Felix"), PhoneRecogniser().eval())
    measure.add(SENTENCES[0])
    figures = measure.figures()
    assert figures["sentences"] == 1
    assert float(str(figures["distortion_db"])) > 5, "a network without training is far away"
    assert float(str(figures["given_phones_phone_error_percent"])) > 50
    assert len(np.atleast_1d(figures["octave_levels_db"])) == 6


def test_levels_are_made_equal_before_they_are_compared() -> None:
    source = np.sin(np.arange(1600) / 5.0)
    ours, theirs = equally_loud(source[:1500] * 0.1, source)
    assert len(ours) == len(theirs) == 1500
    assert np.allclose(ours, theirs, atol=5e-3)

"""espeak-ng as a teacher of voices: what an utterance holds, which sentences are taken, what the file will offer."""

from pathlib import Path

import numpy as np
import pytest

from models.conv_tts.config import EDGE_PAUSE_FRAMES
from models.conv_tts.record import Timbre
from models.phones import PAUSES, PHONES
from server.text.tongues import TONGUES
from training.espeak_phones import EspeakPhones
from training.sentences import held_out
from training.voice.data import Utterance
from training.voice.espeak import LANGUAGES, MULTILINGUAL, VOICES, make_data, make_shard, make_utterance, sentences_of

SENTENCES = {
    "de": "Der alte Mann ging langsam, aber sicher nach Hause.",
    "en-GB": "The old man walked home slowly, but surely.",
    "es": "El viejo caminaba despacio, pero seguro, hacia casa.",
    "fr": "Le vieil homme rentrait lentement, mais sûrement.",
    "it": "Il vecchio tornava a casa piano, ma sicuro.",
}
F0_OF_ORDER = -1


@pytest.fixture(scope="module")
def espeak() -> EspeakPhones:
    return EspeakPhones()


def symbols(utterance: Utterance) -> list[str]:
    return [PHONES[index] for index in utterance.phones[:, 0]]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for language in ("de", "en", "es", "fr", "it"):
        sentence = SENTENCES["en-GB" if language == "en" else language]
        lines = [f"{word} {sentence}" for word in sentence.replace(",", "").rstrip(".").split()] + [f"{sentence} 12."]
        (tmp_path / f"sentences.{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_utterance_holds_the_phones_that_espeak_says_frame_by_frame(espeak: EspeakPhones, language: str) -> None:
    clauses = espeak.pronounce(SENTENCES[language], language)
    utterance = make_utterance(espeak, SENTENCES[language], f"{language}-m", MULTILINGUAL)
    assert clauses is not None
    assert utterance is not None
    spoken = [phone.symbol for clause in clauses for word in clause.words for phone in word]
    assert [symbol for symbol in symbols(utterance) if symbol not in PAUSES] == spoken
    assert symbols(utterance)[0] == "_"
    assert symbols(utterance)[-1] == "."
    assert "," in symbols(utterance)
    assert utterance.durations_frames[0] == EDGE_PAUSE_FRAMES
    assert utterance.durations_frames.min() >= 1
    assert int(utterance.durations_frames.sum()) == len(utterance.frames)


def test_vowels_are_voiced_and_fricatives_are_not(espeak: EspeakPhones) -> None:
    utterance = make_utterance(espeak, SENTENCES["it"], "it-m", MULTILINGUAL)
    assert utterance is not None
    phone_of_frame = np.repeat(np.array(symbols(utterance)), utterance.durations_frames)
    lowest_band = utterance.frames[:, MULTILINGUAL.cepstrum_order].astype(np.float32)
    assert np.median(lowest_band[phone_of_frame == "a"]) > 0.8
    assert np.median(lowest_band[phone_of_frame == "s"]) < 0.3


def test_the_second_speaker_of_a_language_is_higher(espeak: EspeakPhones) -> None:
    means = []
    for variant in "mf":
        utterance = make_utterance(espeak, SENTENCES["it"], f"it-{variant}", MULTILINGUAL)
        assert utterance is not None
        means.append(float(utterance.frames[:, F0_OF_ORDER].astype(np.float64).mean()))
    assert means[1] > means[0] + 0.2


def test_a_sentence_with_a_sound_that_is_not_ours_is_refused(espeak: EspeakPhones) -> None:
    assert espeak.pronounce("Здравствуйте.", "de") is None
    assert make_utterance(espeak, "Здравствуйте.", "de-m", MULTILINGUAL) is None


def test_sentences_for_training_and_for_testing_never_meet(texts: Path) -> None:
    training, testing = (set(sentences_of(texts, "fr", 1, testing)) for testing in (False, True))
    assert not training & testing
    assert not any(held_out(sentence) for sentence in training)
    assert not any("12" in sentence for sentence in training | testing)


def test_a_shard_has_all_speakers_and_stays_as_it_is(texts: Path, espeak: EspeakPhones, tmp_path: Path) -> None:
    shard = make_shard(espeak, texts, 0, minutes=0.7)
    assert {MULTILINGUAL.speakers[utterance.speaker] for utterance in shard} == set(MULTILINGUAL.speakers)
    assert sum(len(utterance.frames) for utterance in shard[:-1]) / 200 < 42
    kept = tmp_path / "out" / "voice-000.npz"
    kept.parent.mkdir()
    kept.write_bytes(b"made before")
    make_data(texts, kept.parent, hours=0.1 / 60, shard_minutes=0.25)
    assert kept.read_bytes() == b"made before"
    assert sorted(path.name for path in kept.parent.iterdir()) == ["voice-000.npz", "voice-001.npz"]


def test_every_speaker_is_offered_as_a_voice_that_a_front_end_can_write_for() -> None:
    speakers = sorted(Timbre.of(voice.record).speakers for voice in VOICES)
    assert speakers == sorted(((speaker, 1.0),) for speaker in MULTILINGUAL.speakers)
    assert len({voice.id for voice in VOICES}) == len({voice.name for voice in VOICES}) == len(VOICES)
    for voice in VOICES:
        assert voice.tongue in TONGUES
        assert Timbre.of(voice.record).speakers[0][0].startswith(voice.tongue)
        assert voice.locale.startswith(voice.language)

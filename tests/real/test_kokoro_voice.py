"""Kokoro with its real int8 weights in our engine, imported by `descant models import`, beside the published graph itself."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.real.installed import installed_model
from benchmarks.real.kokoro import RATE_HZ, STYLES, KokoroVoice
from benchmarks.real.material import material
from benchmarks.real.packages import KOKORO, WHISPER_BASE
from benchmarks.real.readers import FasterWhisper, Reader
from benchmarks.real.scoring import errors, total
from benchmarks.real.speech_sets import OWN_SENTENCES, Clip
from benchmarks.real_voices import OURS, THEIRS, OurVoice, compare
from models.kokoro.config import FRAME_SAMPLES
from models.kokoro.vocabulary import VOCABULARY
from models.speaking import say
from models.weights import read_tensors

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

MARGIN_POINTS = 1.5
"""Of 24 clips: whisper-base spells "suitcase" and the like as two words now and then, and one such word is 0.7 points. What
half a point is worth needs the six voices and fifty sentences of `benchmarks.real_voices`."""
SENTENCES = 12
VOICES = ("af_heart", "am_michael")
MOST_PERCENT = 8.0
SPANISH = (
    "El tren sale de la estación por la mañana.",
    "Mi hermana trabaja en una pequeña librería del centro.",
    "Mañana vamos a comprar pan, queso y un poco de vino.",
    "Los niños juegan en el jardín mientras llueve.",
    "La farmacia más cercana está detrás de la iglesia.",
)
"""Of the other languages whisper-base itself hears too little: it writes down other words that sound the same."""


@pytest.fixture(scope="module")
def ours() -> OurVoice:
    return OurVoice(installed_model(KOKORO.name))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return FasterWhisper(material(WHISPER_BASE), threads=1)


def test_the_imported_voices_are_the_published_ones() -> None:
    packs = read_tensors(installed_model(KOKORO.name) / "voices.safetensors")
    published = sorted((material(KOKORO) / "voices").glob("*.bin"))
    assert len(packs) == len(published) == 54
    for path in published:
        numbers = np.fromfile(path, np.float32).reshape(STYLES, -1)
        assert np.array_equal(packs[path.stem].numpy(), numbers)


def test_the_vocabulary_is_the_published_one() -> None:
    published = json.loads((material(KOKORO) / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    assert published == dict(VOCABULARY)


def test_it_is_understood_as_well_as_the_published_graph(ours: OurVoice, reader: Reader) -> None:
    texts = OWN_SENTENCES.read_text(encoding="utf-8").splitlines()[:SENTENCES]
    tallies = compare(ours, KokoroVoice(material(KOKORO)), texts, VOICES, reader)
    percent = {name: total(tally.errors).percent for name, tally in tallies.items()}
    assert percent[OURS] <= percent[THEIRS] + MARGIN_POINTS, percent
    seconds = {name: tally.seconds for name, tally in tallies.items()}
    assert seconds[OURS] == pytest.approx(seconds[THEIRS], rel=0.1)


@pytest.mark.parametrize("voice", ["ef_dora", "em_alex"])
def test_spanish_is_understood(ours: OurVoice, reader: Reader, voice: str) -> None:
    found = []
    for number, text in enumerate(SPANISH):
        heard = reader(Clip(str(number), "es", text, ours.say(text, voice)))
        found.append(errors(text, heard, "es"))
    assert total(found).percent <= MOST_PERCENT


def test_every_offered_voice_speaks(ours: OurVoice) -> None:
    said = {"en": "Good evening.", "es": "Buenas noches.", "fr": "Bonsoir.", "it": "Buona sera."}
    for voice in ours.voices.values():
        pcm = ours.say(said[voice.language], voice.id)
        loud = np.abs(pcm) > 0.02
        assert 0.4 * RATE_HZ < len(pcm) < 4 * RATE_HZ, voice.id
        assert loud.any(), voice.id
        assert np.flatnonzero(loud)[0] < 0.4 * RATE_HZ, f"{voice.id} begins late"


def test_word_times_are_where_the_words_sound(ours: OurVoice) -> None:
    voice = ours.voices["af_heart"]
    text = 'Stop. <break time="600ms"/> Please come back.'
    steps = [step for step in say(ours.model, voice, ours.utterances(text, voice)) if step.utterances_ended]
    pcm = np.concatenate([step.pcm for step in steps])
    spans = [span for step in steps for span in step.times or ()]
    phones = [phone for utterance in ours.utterances(text, voice) for phone in utterance.phones]
    (pause,) = [span for span, phone in zip(spans, phones, strict=True) if phone.duration_ms == 600.0]
    assert pause.end_samples - pause.start_samples == round(0.6 * ours.model.info.sample_rate_hz)
    middle = pcm[pause.start_samples + FRAME_SAMPLES * 4 : pause.end_samples - FRAME_SAMPLES * 4]
    spoken = pcm[pause.end_samples : pause.end_samples + 12 * FRAME_SAMPLES]
    assert np.abs(middle).max() < 0.01 < np.abs(spoken).max()


def test_a_join_is_no_click(ours: OurVoice) -> None:
    voice = ours.voices["bf_emma"]
    text = "The kettle had boiled, and nobody had noticed it. Somebody laughed."
    steps = [step.pcm for step in say(ours.model, voice, ours.utterances(text, voice)) if len(step.pcm)]
    assert len(steps) >= 2
    for before, after in pairwise(steps):
        assert abs(float(after[0]) - float(before[-1])) < 1e-3


def test_the_store_holds_nothing_but_safetensors_and_json() -> None:
    folder = installed_model(KOKORO.name)
    assert {Path(path.name).suffix for path in folder.iterdir()} <= {".safetensors", ".json"}

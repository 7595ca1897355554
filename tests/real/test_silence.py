"""Nothing is invented where nobody speaks. `python -m benchmarks.real_silence` does an hour and 200 clips of it."""

import pytest

from benchmarks.listening_conditions import NON_SPEECH
from benchmarks.real.speech_sets import kokoro
from benchmarks.real_silence import invented_in, with_silence
from benchmarks.spoken_streams import non_speech_streams
from models.hearing import Recognizer
from models.silero_vad import SileroDetector

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

MINUTES = 12.0
CLIPS = 24


@pytest.mark.parametrize("kind", NON_SPEECH)
def test_no_word_without_speech(whisper_base: Recognizer, kind: str) -> None:
    found = invented_in(non_speech_streams([kind], MINUTES / len(NON_SPEECH)), whisper_base, SileroDetector())
    assert found.minutes >= 1
    assert not found.texts


def test_no_word_in_the_silence_behind_speech(whisper_base: Recognizer) -> None:
    found = invented_in(with_silence(kokoro("kokoro", None), CLIPS), whisper_base, SileroDetector())
    assert found.streams == CLIPS
    assert not found.texts

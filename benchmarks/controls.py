"""How exactly the embedded voice does what it is told: speed, volume, pitch, pauses, emotions, mixtures of voices.

    python -m benchmarks.controls [--voices 3]

Everything is measured on audio that went through the server's text front end and the packaged model. Pauses that
punctuation makes become shorter with speed, as words do; breaks do not. Prints a table with a bar in each row, then the
emotions, and leaves with status 1 if a bar is missed.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.speech_measures import mel_cepstra
from benchmarks.spoken_sentences import Spoken, say, utterances_of
from models.conv_tts.record import Timbre
from models.conv_tts.voice_maker import ConvTtsVoiceMaker
from models.pitch import track_pitch
from models.registry import load_synthesizer
from models.speech import Synthesizer
from models.voices import Voice
from server.requests.speech import Controls
from server.text.delivery import EMOTIONS
from server.text.frontend import TextFrontEnd

CLAUSE = "Anna will mail a lemon and a melon to my mother early in May"
SENTENCES = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background! Is it easy to tell?"
SPEEDS = (0.6, 0.75, 0.9, 1.1, 1.25, 1.5)
VOLUMES = (0.5, 0.7, 1.4, 2.0)
SHIFTS_SEMITONES = (-6.0, -3.0, -1.0, 1.0, 3.0, 6.0)
MOVEMENTS = (0.5, 1.5)
BREAKS_MS = (150.0, 333.0, 1000.0, 3500.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_REFERENCE_BREAK_MS = 500.0
_AUDIBLE_DB = -30.0
_CLEARLY_VOICED = 0.8
_BREAKS = 6
_HEARD_BREAK_MS = 6.0
"""Where the sound ends and begins again is known to half a period of the voice, 6 ms for the lowest of them."""
_EMOTION_STEPS = (3.0, 0.5, 0.3, 10.0)
"""What is heard as a difference: percent of tempo, dB, semitones, percent of pitch movement."""


@dataclass(frozen=True, slots=True)
class Row:
    control: str
    setting: str
    error: float
    """The worst over the voices, in the bar's unit."""
    bar: float
    unit: str

    @property
    def passed(self) -> bool:
        return self.error <= self.bar


class Mouth:
    """The model and its front end; says texts one after the other."""

    def __init__(self, model: Synthesizer, front_end: TextFrontEnd) -> None:
        self._model = model
        self._front_end = front_end
        self.rate_hz = model.info.sample_rate_hz
        self.voices = model.info.voices

    def say(self, voice: Voice, text: str, controls: Controls | None = None) -> Spoken:
        return say(self._model, voice, utterances_of(self._front_end, text, controls))

    def envelope_db(self, spoken: Spoken) -> NDArray[np.float64]:
        """Level at each millisecond over 12 ms, longer than a period of the voice, under the loudest one."""
        size = self.rate_hz // 1000
        power = np.square(spoken.pcm[: len(spoken.pcm) // size * size].astype(np.float64)).reshape(-1, size).mean(1)
        smooth = np.convolve(power, np.ones(12) / 12, "same")
        return np.asarray(10 * np.log10(smooth / smooth.max() + 1e-10))

    def audible_s(self, spoken: Spoken) -> float:
        """From the first to the last millisecond that is heard."""
        heard = np.flatnonzero(self.envelope_db(spoken) > _AUDIBLE_DB)
        return float(heard[-1] - heard[0] + 1) / 1000

    def gap_ms(self, spoken: Spoken, count: int) -> float:
        """Mean of the longest stretches without sound between sounds. One alone is known to half a period of the voice."""
        heard = np.flatnonzero(self.envelope_db(spoken) > _AUDIBLE_DB)
        return float(np.sort(np.diff(heard))[-count:].mean() - 1)

    def pitch_semitones(self, spoken: Spoken) -> NDArray[np.float64]:
        """Pitch of the clearly voiced frames, in semitones over 1 Hz."""
        track = track_pitch(spoken.pcm, self.rate_hz, self.rate_hz // 200)
        return np.asarray(12 * np.log2(track.f0_hz[(track.f0_hz > 0) & (track.strength > _CLEARLY_VOICED)]))


def level_db(spoken: Spoken) -> float:
    return float(10 * np.log10(np.square(spoken.pcm.astype(np.float64)).mean()))


def speed_rows(mouth: Mouth, voices: list[Voice]) -> Iterator[Row]:
    plain_s = [mouth.audible_s(mouth.say(voice, CLAUSE)) for voice in voices]
    for speed in SPEEDS:
        spoken_s = [mouth.audible_s(mouth.say(voice, CLAUSE, Controls(speed=speed))) for voice in voices]
        error = max(abs(s * speed / plain - 1) for s, plain in zip(spoken_s, plain_s, strict=True))
        yield Row("speed", f"{speed:g}", 100 * error, 3.0, "% of the words' length")


def volume_rows(mouth: Mouth, voices: list[Voice]) -> Iterator[Row]:
    plain_db = [level_db(mouth.say(voice, SENTENCES)) for voice in voices]
    for volume in VOLUMES:
        spoken = [mouth.say(voice, SENTENCES, Controls(volume=volume)) for voice in voices]
        gains = [10 ** ((level_db(one) - plain) / 20) for one, plain in zip(spoken, plain_db, strict=True)]
        yield Row("volume", f"{volume:g}", 100 * max(abs(gain / volume - 1) for gain in gains), 3.0, "% of the RMS")
        yield Row("peak", f"volume {volume:g}", max(float(np.abs(one.pcm).max()) for one in spoken), 1.0, "of full scale")


def pitch_rows(mouth: Mouth, voices: list[Voice]) -> Iterator[Row]:
    plain = [mouth.pitch_semitones(mouth.say(voice, CLAUSE)) for voice in voices]
    for shift in SHIFTS_SEMITONES:
        moved = [mouth.pitch_semitones(mouth.say(voice, CLAUSE, Controls(pitch_semitones=shift))) for voice in voices]
        errors = [np.median(one) - np.median(before) - shift for one, before in zip(moved, plain, strict=True)]
        worst = max(abs(2 ** (float(error) / 12) - 1) for error in errors)
        yield Row("pitch", f"{shift:+g} semitones", 100 * worst, 3.0, "% of the median F0")
    for movement in MOVEMENTS:
        moved = [mouth.pitch_semitones(mouth.say(voice, CLAUSE, Controls(pitch_range=movement))) for voice in voices]
        worst = max(abs(_spread(one) / _spread(before) / movement - 1) for one, before in zip(moved, plain, strict=True))
        yield Row("pitch range", f"{movement:g}", 100 * worst, 10.0, "% of the spread of F0")


def _spread(semitones: NDArray[np.float64]) -> float:
    low, high = np.percentile(semitones, [10, 90])
    return float(high - low)


def pause_rows(mouth: Mouth, voices: list[Voice]) -> Iterator[Row]:
    """Breaks against one of 500 ms, so that the sounds at both sides of the pause cancel out."""

    def gap_ms(voice: Voice, break_ms: float, between: str) -> float:
        pause = f'{between}<break time="{break_ms:g}ms"/> '
        return mouth.gap_ms(mouth.say(voice, pause.join(["Anna is my mother"] * (_BREAKS + 1))), _BREAKS)

    for between in ("", ",", "."):
        references_ms = [gap_ms(voice, _REFERENCE_BREAK_MS, between) for voice in voices]
        for break_ms in BREAKS_MS:
            gaps_ms = [gap_ms(voice, break_ms, between) for voice in voices]
            pairs = zip(gaps_ms, references_ms, strict=True)
            worst = max(abs(gap - reference - break_ms + _REFERENCE_BREAK_MS) for gap, reference in pairs)
            yield Row("break", f"{break_ms:g} ms after {between or 'a word'!r}", worst, _HEARD_BREAK_MS, "ms, heard")
    many = mouth.say(voices[0], 'no <break time="33.3ms"/>' * 300 + "no")
    breaks = [time for phone, time in zip(many.phones, many.times, strict=True) if phone.duration_ms == 33.3]
    samples = [time.end_samples - time.start_samples for time in breaks]
    yield Row("break", "300 of 33.3 ms", abs(sum(samples) / mouth.rate_hz * 1000 - 300 * 33.3), 5.0, "ms in all, timed")
    yield Row("break", "each of them", max(abs(s / mouth.rate_hz * 1000 - 33.3) for s in samples), 0.1, "ms, timed")


def mixture_rows(mouth: Mouth, voices: list[Voice]) -> Iterator[Row]:
    """Pitch and spectrum between two voices move one way with the weight."""
    pure = [voice for voice in voices if len(Timbre.of(voice.record).speakers) == 1]
    for one, other in combinations(pure, 2):
        maker = ConvTtsVoiceMaker(voices)
        mixed = [replace(one, record=maker.mix([(one, 1 - share), (other, share)])) for share in SHARES]
        spoken = [mouth.say(voice, CLAUSE) for voice in mixed]
        pitch = [float(np.median(mouth.pitch_semitones(each))) for each in spoken]
        spectra = [mel_cepstra(each.pcm.astype(np.float64)).mean(0) for each in spoken]
        distances = [float(np.linalg.norm(spectrum - spectra[0])) for spectrum in spectra]
        pair = f"{one.name} to {other.name}"
        yield Row("mixture", f"{pair}: pitch", float(_turns(pitch)), 0, "steps back")
        yield Row("mixture", f"{pair}: spectrum", float(_turns(distances)), 0, "steps back")


def _turns(values: list[float]) -> int:
    """How often the values move against their direction from first to last."""
    direction = np.sign(values[-1] - values[0])
    return sum((after - before) * direction < 0 for before, after in pairwise(values))


def emotions(mouth: Mouth, voice: Voice) -> dict[str, NDArray[np.float64]]:
    """For each emotion against neutral: tempo in percent, level in dB, pitch in semitones, movement in percent."""
    neutral = mouth.say(voice, CLAUSE)
    pitch = mouth.pitch_semitones(neutral)
    found = {}
    for name in EMOTIONS:
        spoken = mouth.say(voice, CLAUSE, Controls(emotion=name))
        moved = mouth.pitch_semitones(spoken)
        found[name] = np.array([
            100 * (mouth.audible_s(neutral) / mouth.audible_s(spoken) - 1), level_db(spoken) - level_db(neutral),
            np.median(moved) - np.median(pitch), 100 * (_spread(moved) / _spread(pitch) - 1),
        ])  # fmt: skip
    return found


def emotion_rows(found: dict[str, NDArray[np.float64]]) -> Iterator[Row]:
    steps = {name: difference / _EMOTION_STEPS for name, difference in found.items()}
    quiet = [name for name, step in steps.items() if name != "neutral" and np.abs(step).max() < 1]
    yield Row("emotion", f"not heard: {', '.join(quiet) or 'none'}", len(quiet), 0, "emotions")
    names = [name for name in steps if name not in ("comedic", "joking/comedic")]
    apart = {pair: float(np.abs(steps[pair[0]] - steps[pair[1]]).max()) for pair in combinations(names, 2)}
    nearest = min(apart, key=lambda pair: apart[pair])
    alike = sum(distance < 0.5 for distance in apart.values())
    yield Row("emotion", f"pairs alike; nearest {' and '.join(nearest)}, {apart[nearest]:.2f} steps", alike, 0, "pairs")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--voices", type=int, default=3, help="How many of the package's voices are measured.")
    count: int = parser.parse_args().voices
    model = load_synthesizer("conv_tts", "cpu", 1)
    mouth = Mouth(model, TextFrontEnd())
    voices = list(mouth.voices[:count])
    print(f"{'control':12} {'setting':60} {'worst':>8} {'bar':>6}")
    failed = 0
    found = emotions(mouth, voices[0])
    for rows in (speed_rows, volume_rows, pitch_rows, pause_rows, mixture_rows):
        for row in rows(mouth, voices):
            failed += _print(row)
    for row in emotion_rows(found):
        failed += _print(row)
    print(f"\n{'emotion':16} {'tempo %':>8} {'dB':>6} {'semitones':>10} {'movement %':>11}")
    for name, (tempo, level, shift, movement) in found.items():
        print(f"{name:16} {tempo:8.1f} {level:6.1f} {shift:10.2f} {movement:11.0f}")
    if failed:
        sys.exit(1)


def _print(row: Row) -> bool:
    """Show a row; true if its bar is missed."""
    print(f"{row.control:12} {row.setting:60} {row.error:8.2f} {row.bar:6g} {row.unit}{'' if row.passed else '   MISSED'}")
    return not row.passed


if __name__ == "__main__":
    main()

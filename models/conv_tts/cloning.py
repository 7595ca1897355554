"""A recorded voice as a mixture of the model's speakers and a character: analysis by synthesis.

The model speaks a text with a few candidates (speakers x vocal-tract lengths) at the recording's pitch. Each candidate is
equalised to the recording's long-term spectrum, and the one that the speaker encoder finds nearest is kept. Then pitch,
spectrum, breathiness and level are corrected by what the result itself measures. Nothing is trained here.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import soxr
from numpy.typing import NDArray

from models.audio import Pcm
from models.conv_tts.config import SAMPLE_RATE_HZ
from models.conv_tts.model import ConvTtsSynthesizer, load
from models.conv_tts.profile import CLIP_RATE_HZ, Profile, equalise, measure, spectral_difference
from models.conv_tts.record import FAMILY, Character, Timbre
from models.phones import PAUSES
from models.speaking import say_together
from models.speech import Phone, Utterance
from models.voices import ClonedVoice, SpeakerEncoder, Voice

Floats = NDArray[np.float64]

_FORMANT_STEP = 0.09
_FORMANT_LIMIT = 0.25
_ROUNDS = 3
_ACTIVE_LEVEL_DB = -22.0
"""Of the stock voices while they speak; a clone is brought to it, whatever the level of its clip."""
_HIGHEST_PEAK = 0.9
_SPREAD_LIMIT, _VOICING_LIMIT, _RATE_LIMIT = 0.7, 2.5, 0.3
_MOVEMENT_SHARE = 0.75
"""How much of the difference in movement is taken over: some of it is that of the two texts."""
_MOVEMENT_RANGE = (0.5, 2.0)
_SPOKEN = (
    "_ f ɔ1 ɹ | ʌ v | ʌ2 s | w ɚ | ð ɛ ɹ | w ɛ2 n | ð ə | ʃ ɪ1 p | k eɪ1 m | ɪ n .",
    "aɪ2 | θ ɔ1 t | ʃ i | ʃ ʊ2 d | tʃ u1 z | ə | n u1 | dʒ ɑ1 b , b ʌ2 t | m eɪ1 b i | j u | n oʊ1 | b ɛ1 t ɚ .",
)
"""What candidates say: every vowel and most consonants of American English in 6 s."""


class ConvTtsCloner:
    """See `models.voices.VoiceCloner`. It owns a synthesizer of its own on the CPU; one call at a time."""

    def __init__(self, synthesizer: ConvTtsSynthesizer, encoder: SpeakerEncoder) -> None:
        self._synthesizer = synthesizer
        self._encoder = encoder
        self._utterances = [_utterance(text) for text in _SPOKEN]

    def clone(self, pcm: Pcm) -> ClonedVoice:
        """See `models.voices.VoiceCloner`. ValueError: nothing in the clip is voiced."""
        target, heard = measure(pcm), self._encoder.hear(pcm)
        guess = float(np.clip(heard.log_formants, -_FORMANT_LIMIT, _FORMANT_LIMIT))
        pace = float(np.clip(heard.log_rate, -_RATE_LIMIT, _RATE_LIMIT))
        found = [
            Timbre(((name, 1.0),), Character(math.log(target.f0_hz / f0_hz), 0.0, formants, 0.0, pace))
            for name, f0_hz in self._synthesizer.speaker_f0_hz.items()
            for formants in (guess - _FORMANT_STEP, guess, guess + _FORMANT_STEP)
        ]
        scores = []
        for spoken in self._speak(found):
            matched = equalise(spoken, spectral_difference(target, measure(spoken)))
            scores.append(float(self._encoder.hear(matched).embedding @ heard.embedding))
        chosen = _between(found, scores)
        for turn in range(_ROUNDS):
            (spoken,) = self._speak([chosen])
            own = measure(spoken)
            character = _corrected(chosen.character, target, own)
            if turn == _ROUNDS - 2:
                character = replace(character, cepstrum_movement=_movement(target, own))
            chosen = replace(chosen, character=character)
        (spoken,) = self._speak([chosen])
        character = _levelled(chosen.character, measure(spoken))
        similarity = float(self._encoder.hear(spoken).embedding @ heard.embedding)
        return ClonedVoice(FAMILY, replace(chosen, character=character).to_record(), similarity)

    def _speak(self, candidates: Sequence[Timbre]) -> list[Pcm]:
        """Each at 16 kHz."""
        return speak_together(self._synthesizer, [(timbre.to_voice(), self._utterances) for timbre in candidates])


def speak_together(model: ConvTtsSynthesizer, requests: Sequence[tuple[Voice, Sequence[Utterance]]]) -> list[Pcm]:
    """The audio of each request at 16 kHz, stepped as one batch."""
    spoken = say_together(model, requests)
    return [soxr.resample(pcm, SAMPLE_RATE_HZ, CLIP_RATE_HZ, quality="MQ").astype(np.float32) for pcm in spoken]


def _utterance(text: str) -> Utterance:
    """Phones with the stress of vowels behind them, words cut by bars or pauses."""
    phones: list[Phone] = []
    starts_word = False
    for symbol in text.split():
        if symbol == "|":
            starts_word = True
        elif symbol in PAUSES:
            phones.append(Phone(symbol, duration_ms=20.0 if symbol == "_" else None))
            starts_word = True
        else:
            plain = symbol.rstrip("12")
            phones.append(Phone(plain, int(symbol[len(plain) :] or 0), 0, starts_word or not phones))
            starts_word = False
    return Utterance(phones=tuple(phones))


def _between(found: Sequence[Timbre], scores: Sequence[float]) -> Timbre:
    """The best candidate, with its vocal tract moved to the top of the parabola through its neighbours' scores."""
    best = int(np.argmax(scores))
    row = best - best % 3
    left, middle, right = scores[row : row + 3]
    bend = left - 2 * middle + right
    shift = float(np.clip(0.5 * (left - right) / bend, -1, 1)) if bend < -1e-4 else float(best % 3 - 1)
    chosen = found[row + 1]
    formants = float(np.clip(chosen.character.log_formants + shift * _FORMANT_STEP, -_FORMANT_LIMIT, _FORMANT_LIMIT))
    return replace(chosen, character=replace(chosen.character, log_formants=formants))


def _corrected(character: Character, target: Profile, own: Profile) -> Character:
    """The character changed by what its voice still lacks."""
    difference = spectral_difference(target, own)
    cepstrum = np.zeros(len(difference))
    cepstrum[: len(character.cepstrum)] = character.cepstrum
    spread = character.log_pitch_spread + math.log(target.log_f0_spread / own.log_f0_spread)
    voicing = character.voicing_logit + target.voicing_logit - own.voicing_logit
    return replace(
        character,
        log_f0=character.log_f0 + math.log(target.f0_hz / own.f0_hz),
        log_pitch_spread=float(np.clip(spread, -_SPREAD_LIMIT, _SPREAD_LIMIT)),
        voicing_logit=float(np.clip(voicing, -_VOICING_LIMIT, _VOICING_LIMIT / 2)),
        cepstrum=tuple(float(value) for value in cepstrum + difference),
    )


def _movement(target: Profile, own: Profile) -> tuple[float, ...]:
    """`Character.cepstrum_movement` that brings one covariance to the other: the optimal transport between two normal
    distributions (Olkin and Pukelsheim 1982), which moves vowels apart or together and needs no common text."""
    floor = 0.05 * np.diag(np.diag(own.movement))
    root, inverse = (_power(own.movement + floor, exponent) for exponent in (0.5, -0.5))
    transport = inverse @ _power(root @ (target.movement + floor) @ root, 0.5) @ inverse
    values, axes = np.linalg.eigh(transport)
    shared = 1 + _MOVEMENT_SHARE * (np.clip(values, *_MOVEMENT_RANGE) - 1)
    change = (axes * shared) @ axes.T - np.eye(len(transport))
    return tuple(float(value) for value in change[np.tril_indices(len(change))])


def _power(symmetric: Floats, exponent: float) -> Floats:
    values, axes = np.linalg.eigh(symmetric)
    return np.asarray((axes * np.maximum(values, 1e-9) ** exponent) @ axes.T)


def _levelled(character: Character, own: Profile) -> Character:
    """The character at the level of the stock voices, or as near to it as its peaks allow; rounded for storage."""
    gain_db = min(_ACTIVE_LEVEL_DB - own.active_level_db, 20 * math.log10(_HIGHEST_PEAK / own.peak))
    cepstrum = (character.cepstrum[0] + gain_db * math.log(10) / 20, *character.cepstrum[1:])
    return Character(
        round(character.log_f0, 4),
        round(character.log_pitch_spread, 4),
        round(character.log_formants, 4),
        round(character.voicing_logit, 4),
        round(character.log_rate, 4),
        tuple(round(value, 4) for value in cepstrum),
        tuple(round(value, 4) for value in character.cepstrum_movement),
    )


def load_cloner(encoder: SpeakerEncoder) -> ConvTtsCloner:
    """The embedded voice on the CPU, with room for all candidates at once. WeightsError as `models.conv_tts.model.load`."""
    synthesizer = load("cpu", 3 * 3)
    return ConvTtsCloner(synthesizer, encoder)

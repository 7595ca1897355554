"""Who the speaker encoder learns from: hundreds of synthetic speakers, and the ten it never hears."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from models.conv_tts.record import Character
from training.ears.voices import ACCENTS, CHARACTER_VARIANTS, PLAIN_VARIANTS, VoiceSettings

BASE_SPEAKERS = ("rms", "slt", "awb")
BASE_F0_HZ = {"rms": 95.0, "slt": 170.0, "awb": 130.0}

HELD_OUT_VARIANTS = ("m7", "f4", "linda", "Andrea", "travis", "belinda", "Michael", "quincy")
"""espeak-ng's variants that only the benchmark uses, in whatever accent."""

HELD_OUT_SPEAKERS: tuple[tuple[str, VoiceSettings], ...] = (
    ("kal", VoiceSettings("flite", "kal16")),
    ("ked", VoiceSettings("festival", "ked")),
    ("American m7", VoiceSettings("espeak", "gmw/en-US+m7", rate=165, pitch=45)),
    ("Scottish f4", VoiceSettings("espeak", "gmw/en-GB-scotland+f4", rate=160, pitch=55)),
    ("British linda", VoiceSettings("espeak", "gmw/en-GB-x-rp+linda", rate=155, pitch=50)),
    ("New York Andrea", VoiceSettings("espeak", "gmw/en-US-nyc+Andrea", rate=170, pitch=50)),
    ("Lancaster travis", VoiceSettings("espeak", "gmw/en-GB-x-gbclan+travis", rate=150, pitch=40)),
    ("American belinda", VoiceSettings("espeak", "gmw/en-US+belinda", rate=175, pitch=60)),
    ("child of slt", VoiceSettings("flite", "slt", stretch=1.05, f0_ratio=1.3, warp=1.22)),
    ("giant of awb", VoiceSettings("flite", "awb", stretch=0.9, f0_ratio=0.75, warp=0.84)),
)
"""The benchmark's, fixed. Two diphone voices and six formant voices of which training hears nothing, and two voices of
the base speakers far outside the settings that training draws."""


@dataclass(frozen=True, slots=True)
class SyntheticSpeaker:
    """Either a synthesiser's settings or one of our own voices: weights of BASE_SPEAKERS and a character."""

    settings: VoiceSettings | None
    weights: tuple[float, ...] = ()
    character: Character = field(default_factory=Character)

    @property
    def log_f0_hz(self) -> float:
        """Of our own voices only."""
        means = (math.log(BASE_F0_HZ[name]) for name in BASE_SPEAKERS)
        return self.character.log_f0 + sum(w * mean for w, mean in zip(self.weights, means, strict=True))


def draw_speakers(rng: np.random.Generator, own: int, espeak: int, flite: int) -> Iterator[SyntheticSpeaker]:
    """So many speakers of each kind."""
    for _ in range(own):
        yield _own_speaker(rng)
    for _ in range(espeak):
        yield SyntheticSpeaker(_espeak_settings(rng))
    for _ in range(flite):
        yield SyntheticSpeaker(
            VoiceSettings(
                "flite",
                str(rng.choice(BASE_SPEAKERS)),
                stretch=round(float(rng.uniform(0.85, 1.2)), 3),
                f0_ratio=round(float(rng.uniform(0.8, 1.25)), 3),
                warp=round(float(rng.uniform(0.87, 1.15)), 3),
            )
        )


def _own_speaker(rng: np.random.Generator) -> SyntheticSpeaker:
    weights = np.eye(3)[rng.integers(3)] if rng.random() < 0.5 else rng.dirichlet([0.6, 0.6, 0.6])
    mean_log_f0 = float(sum(w * math.log(BASE_F0_HZ[name]) for w, name in zip(weights, BASE_SPEAKERS, strict=True)))
    # Long tracts mostly go with low voices, but not always.
    log_f0 = float(rng.uniform(math.log(72), math.log(290)))
    formants = 0.14 * (log_f0 - math.log(140)) / math.log(2) + float(rng.normal(0, 0.07))
    order = np.arange(1, 16)
    cepstrum = rng.normal(0, 0.35, 15) / order**0.7
    character = Character(
        log_f0=log_f0 - mean_log_f0,
        log_pitch_spread=float(rng.uniform(-0.8, 0.6)),
        log_formants=float(np.clip(formants, -0.22, 0.25)),
        voicing_logit=float(rng.uniform(-2.0, 0.7)),
        log_rate=float(rng.uniform(-0.25, 0.25)),
        cepstrum=(0.0, *(round(float(value), 4) for value in cepstrum)),
    )
    return SyntheticSpeaker(None, tuple(float(weight) for weight in weights), character)


def _espeak_settings(rng: np.random.Generator) -> VoiceSettings:
    variants = [v for v in (*PLAIN_VARIANTS, *CHARACTER_VARIANTS) if v not in HELD_OUT_VARIANTS]
    accent, variant = str(rng.choice(ACCENTS)), str(rng.choice(variants))
    return VoiceSettings(
        "espeak",
        f"{accent}+{variant}" if variant else accent,
        rate=int(rng.integers(130, 200)),
        pitch=int(rng.integers(20, 80)),
        pitch_range=int(rng.integers(25, 75)),
        warp=round(float(rng.uniform(0.9, 1.12)), 3) if rng.random() < 0.4 else 1.0,
    )

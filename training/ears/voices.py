"""Which voices the ears learn from, and which are kept from them for testing."""

from dataclasses import dataclass

import numpy as np

ACCENTS = (
    "gmw/en-US", "gmw/en", "gmw/en-GB-scotland", "gmw/en-GB-x-rp",
    "gmw/en-029", "gmw/en-GB-x-gbclan", "gmw/en-GB-x-gbcwmd", "gmw/en-US-nyc",
)  # fmt: skip
ACCENT_WEIGHTS = (0.34, 0.18, 0.1, 0.1, 0.07, 0.07, 0.07, 0.07)

PLAIN_VARIANTS = (
    "", "m1", "m2", "m3", "m4", "m5", "m6", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2", "klatt3", "klatt4",
)  # fmt: skip
CHARACTER_VARIANTS = (
    "adam", "Alex", "Alicia", "Andrea", "Andy", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "Denis", "Diogo", "ed", "edward", "edward2", "Gene", "Gene2", "gustave", "announcer",
    "Henrique", "Hugo", "ian", "iven", "iven2", "iven3", "iven4", "Jacky", "john", "kaukovalta", "Lee", "linda",
    "marcelo", "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "mike2", "Nguyen", "pablo", "paul",
    "pedro", "quincy", "Reed", "rob", "robert", "sandro", "shelby", "steph", "steph2", "steph3", "Storm",
    "travis", "Tweaky", "victor", "zac", "anika", "AnxiousAndy", "grandpa", "grandma", "croak", "norbert",
    "klatt5", "klatt6", "RicishayMax", "RicishayMax2", "RicishayMax3",
)  # fmt: skip
HELD_OUT_VARIANTS = ("m7", "f4")
"""Never trained on, in any accent."""

FLITE_VOICES = ("rms", "slt", "awb")
HELD_OUT_FLITE_VOICE = "kal16"
"""A diphone voice; the only one of that kind that is trained on is Festival's ked, another man."""

FESTIVAL_VOICE = "ked"
HELD_OUT_FESTIVAL_VOICE = "slt_hts"
"""Hidden Markov models (HTS): another kind of synthesis than everything that is trained on."""


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """One way of speaking. ``warp`` plays the wave faster (pitch, formants and tempo together)."""

    engine: str
    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50
    stretch: float = 1.0
    f0_ratio: float = 1.0
    warp: float = 1.0


HELD_OUT_ESPEAK_SETTINGS = ((142, 34), (158, 62), (176, 44), (196, 56), (212, 38))
"""(rate in words per minute, pitch): training stays `HELD_OUT_RATE` and `HELD_OUT_PITCH` away from each."""
HELD_OUT_RATE = 6
HELD_OUT_PITCH = 4

HELD_OUT_FLITE_SETTINGS = ((0.9, 1.12, 1.05), (1.1, 0.9, 0.95), (1.15, 1.1, 1.0))
"""(duration stretch, F0 ratio, warp): training stays 0.04 away from each in at least one of the three."""
HELD_OUT_FLITE_MARGIN = 0.04


def is_held_out(settings: VoiceSettings) -> bool:
    """Whether only tests may use these settings."""
    if settings.engine == "festival":
        return settings.voice == HELD_OUT_FESTIVAL_VOICE
    if settings.engine == "flite":
        if settings.voice == HELD_OUT_FLITE_VOICE:
            return True
        drawn = (settings.stretch, settings.f0_ratio, settings.warp)
        return any(
            all(abs(a - b) < HELD_OUT_FLITE_MARGIN for a, b in zip(drawn, held, strict=True))
            for held in HELD_OUT_FLITE_SETTINGS
        )
    if settings.voice.partition("+")[2] in HELD_OUT_VARIANTS:
        return True
    return any(
        abs(settings.rate - rate) <= HELD_OUT_RATE and abs(settings.pitch - pitch) <= HELD_OUT_PITCH
        for rate, pitch in HELD_OUT_ESPEAK_SETTINGS
    )


def draw_settings(rng: np.random.Generator, flite_share: float, festival_share: float) -> VoiceSettings:
    """Random settings for training; never held-out ones."""
    while True:
        engine = rng.random()
        if engine < flite_share:
            settings = _draw_recorded(rng, "flite", str(rng.choice(FLITE_VOICES)))
        elif engine < flite_share + festival_share:
            settings = _draw_recorded(rng, "festival", FESTIVAL_VOICE)
        else:
            settings = _draw_espeak(rng)
        if not is_held_out(settings):
            return settings


def _draw_recorded(rng: np.random.Generator, engine: str, voice: str) -> VoiceSettings:
    """A voice made of recordings, at random pace and pitch and with another vocal tract."""
    plain = rng.random() < 0.2
    return VoiceSettings(
        engine=engine,
        voice=voice,
        stretch=1.0 if plain else round(float(rng.uniform(0.78, 1.28)), 3),
        f0_ratio=1.0 if plain else round(float(rng.uniform(0.78, 1.3)), 3),
        warp=1.0 if plain else round(float(rng.uniform(0.86, 1.16)), 3),
    )


def _draw_espeak(rng: np.random.Generator) -> VoiceSettings:
    accent = str(rng.choice(ACCENTS, p=ACCENT_WEIGHTS))
    variants = PLAIN_VARIANTS if rng.random() < 0.6 else CHARACTER_VARIANTS
    variant = str(rng.choice(variants))
    return VoiceSettings(
        engine="espeak",
        voice=f"{accent}+{variant}" if variant else accent,
        rate=int(np.clip(rng.normal(165, 28), 105, 240)),
        pitch=int(rng.integers(20, 80)),
        pitch_range=int(rng.integers(20, 90)),
        warp=round(float(rng.uniform(0.9, 1.12)), 3) if rng.random() < 0.5 else 1.0,
    )


def held_out_settings(kind: str) -> list[VoiceSettings]:
    """The voices of one row of the benchmark's table.

    Kinds: ``espeak variants``, ``espeak settings``, ``flite settings``, ``flite kal16``, ``festival hts``.
    """
    if kind == "espeak variants":
        return [VoiceSettings("espeak", f"{a}+{v}") for v in HELD_OUT_VARIANTS for a in ACCENTS[:4]]
    if kind == "espeak settings":
        voices = ("gmw/en-US", "gmw/en+m3", "gmw/en-US+f2", "gmw/en-GB-scotland+m1", "gmw/en-US+klatt2")
        pairs = zip(voices, HELD_OUT_ESPEAK_SETTINGS, strict=True)
        return [VoiceSettings("espeak", v, rate=rate, pitch=pitch) for v, (rate, pitch) in pairs]
    if kind == "flite settings":
        return [
            VoiceSettings("flite", voice, stretch=stretch, f0_ratio=f0, warp=warp)
            for voice in FLITE_VOICES
            for stretch, f0, warp in HELD_OUT_FLITE_SETTINGS
        ]
    if kind == "flite kal16":
        return [VoiceSettings("flite", HELD_OUT_FLITE_VOICE)]
    if kind == "festival hts":
        return [VoiceSettings("festival", HELD_OUT_FESTIVAL_VOICE)]
    raise ValueError(f"unknown kind of voice {kind!r}")

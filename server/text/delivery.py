"""How text is spoken: speed, volume, pitch, and what each emotion does to them."""

from dataclasses import dataclass, replace

from models.speech import Delivery
from server.errors import InvalidRequest
from server.requests.speech import SPEED_RANGE, VOLUME_RANGE, Controls

EMOTIONS: dict[str, Delivery] = {
    # name             speed  volume  pitch  range
    "neutral":       Delivery(1.00, 1.00, 0.0, 1.00),
    "happy":         Delivery(1.06, 1.09, 1.1, 1.27),
    "excited":       Delivery(1.14, 1.18, 1.9, 1.54),
    "enthusiastic":  Delivery(1.10, 1.15, 1.5, 1.45),
    "elated":        Delivery(1.10, 1.15, 1.9, 1.50),
    "euphoric":      Delivery(1.12, 1.20, 2.3, 1.55),
    "triumphant":    Delivery(0.98, 1.20, 1.2, 1.40),
    "amazed":        Delivery(0.98, 1.08, 1.8, 1.50),
    "surprised":     Delivery(1.05, 1.10, 2.0, 1.55),
    "flirtatious":   Delivery(0.94, 0.92, 0.5, 1.30),
    "joking":        Delivery(1.05, 1.05, 0.8, 1.43),
    "comedic":       Delivery(1.05, 1.05, 0.8, 1.43),
    "joking/comedic": Delivery(1.05, 1.05, 0.8, 1.43),
    "curious":       Delivery(1.00, 1.00, 1.0, 1.30),
    "content":       Delivery(0.96, 0.97, 0.2, 1.11),
    "peaceful":      Delivery(0.88, 0.88, -0.2, 0.83),
    "serene":        Delivery(0.85, 0.88, -0.2, 0.82),
    "calm":          Delivery(0.92, 0.90, -0.4, 0.80),
    "grateful":      Delivery(0.96, 0.98, 0.5, 1.11),
    "affectionate":  Delivery(0.93, 0.92, 0.4, 1.15),
    "trust":         Delivery(0.96, 0.98, 0.0, 0.99),
    "sympathetic":   Delivery(0.93, 0.92, -0.3, 1.02),
    "anticipation":  Delivery(1.05, 1.04, 0.7, 1.25),
    "mysterious":    Delivery(0.86, 0.82, -1.0, 0.92),
    "angry":         Delivery(1.06, 1.30, 0.7, 1.40),
    "mad":           Delivery(1.06, 1.28, 0.3, 1.38),
    "outraged":      Delivery(1.10, 1.35, 1.2, 1.50),
    "frustrated":    Delivery(1.02, 1.18, 0.3, 1.25),
    "agitated":      Delivery(1.12, 1.15, 0.9, 1.30),
    "threatened":    Delivery(1.08, 1.01, 1.0, 1.23),
    "disgusted":     Delivery(0.93, 1.05, -0.8, 1.10),
    "contempt":      Delivery(0.92, 1.02, -0.9, 0.95),
    "envious":       Delivery(0.96, 0.98, -0.4, 1.02),
    "sarcastic":     Delivery(0.92, 1.00, -0.3, 1.44),
    "ironic":        Delivery(0.94, 1.00, -0.2, 1.28),
    "sad":           Delivery(0.84, 0.80, -1.4, 0.70),
    "dejected":      Delivery(0.82, 0.76, -1.5, 0.62),
    "melancholic":   Delivery(0.83, 0.80, -1.0, 0.68),
    "disappointed":  Delivery(0.88, 0.87, -1.0, 0.78),
    "hurt":          Delivery(0.88, 0.82, -0.5, 0.85),
    "guilty":        Delivery(0.87, 0.81, -0.9, 0.77),
    "bored":         Delivery(0.87, 0.84, -1.0, 0.55),
    "tired":         Delivery(0.82, 0.78, -1.1, 0.60),
    "rejected":      Delivery(0.86, 0.79, -1.0, 0.68),
    "nostalgic":     Delivery(0.90, 0.90, -0.4, 0.95),
    "wistful":       Delivery(0.86, 0.88, -0.4, 0.94),
    "apologetic":    Delivery(0.93, 0.88, -0.2, 0.91),
    "hesitant":      Delivery(0.86, 0.86, 0.2, 0.92),
    "insecure":      Delivery(0.92, 0.84, 0.5, 0.92),
    "confused":      Delivery(0.93, 0.96, 0.8, 1.26),
    "resigned":      Delivery(0.86, 0.85, -1.0, 0.65),
    "anxious":       Delivery(1.10, 0.98, 1.0, 1.09),
    "panicked":      Delivery(1.22, 1.18, 2.4, 1.40),
    "alarmed":       Delivery(1.14, 1.20, 2.0, 1.37),
    "scared":        Delivery(1.10, 0.92, 1.8, 1.15),
    "proud":         Delivery(0.96, 1.10, 0.2, 1.20),
    "confident":     Delivery(1.00, 1.09, -0.2, 1.12),
    "distant":       Delivery(0.90, 0.80, -0.6, 0.68),
    "skeptical":     Delivery(0.94, 0.98, -0.2, 1.15),
    "contemplative": Delivery(0.87, 0.88, -0.6, 0.83),
    "determined":    Delivery(1.02, 1.17, -0.2, 1.10),
}  # fmt: skip
"""What an emotion multiplies (speed, volume, pitch movement) or adds (pitch, in semitones). Any two that are not two names
of one differ by at least a step that is heard: 3 % in speed, 0.5 dB, 0.3 semitones or 10 % of the movement."""


@dataclass(frozen=True, slots=True)
class SpeechState:
    """The settings in force at a point of the text."""

    speed: float = 1.0
    volume: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    emotion: str | None = None
    spelling: bool = False
    """Inside ``<spell>``."""

    @classmethod
    def from_controls(cls, controls: Controls) -> "SpeechState":
        return cls(
            clamp(controls.speed, SPEED_RANGE),
            clamp(controls.volume, VOLUME_RANGE),
            controls.pitch_semitones,
            controls.pitch_range,
            controls.emotion,
        )

    def named_delivery(self) -> Delivery:
        """The settings with the emotion by its name, for models that read text."""
        emotion = None if self.emotion == "neutral" else self.emotion
        return Delivery(self.speed, self.volume, self.pitch_semitones, self.pitch_range, emotion)

    def delivery(self) -> Delivery:
        """The settings with the emotion applied; an unknown emotion changes nothing."""
        emotion = EMOTIONS.get((self.emotion or "neutral").strip().lower(), EMOTIONS["neutral"])
        return replace(
            emotion,
            speed=self.speed * emotion.speed,
            volume=min(self.volume * emotion.volume, VOLUME_RANGE[1]),
            pitch_semitones=self.pitch_semitones + emotion.pitch_semitones,
            pitch_range=self.pitch_range * emotion.pitch_range,
        )


def checked_emotion(name: str | None, field: str) -> str | None:
    """The emotion as the table spells it, None where none is named. Raises InvalidRequest listing the known ones."""
    plain = (name or "").strip().lower()
    if plain and plain not in EMOTIONS:
        raise InvalidRequest.choice(field, name, EMOTIONS)
    return plain or None


def clamp(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])

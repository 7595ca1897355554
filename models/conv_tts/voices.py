"""The voices of the package, a table of names, ids and mixtures of the network's speakers, and those of users' files."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from models.conv_tts.record import Timbre
from models.voices import Voice
from models.weights import WeightsError, read_metadata


def read_voices(speakers: Sequence[str]) -> tuple[Voice, ...]:
    """The voices of ``voices.json``; ValueError if one names a speaker the network lacks."""
    rows = json.loads((files("models.conv_tts") / "voices.json").read_text(encoding="utf-8"))
    voices = []
    for row in rows:
        voice = _voice(row)
        speaker_weights(voice.name, Timbre.of(voice.record), speakers)
        voices.append(voice)
    return tuple(voices)


_SHOWN = ("id", "name", "description", "language", "locale", "gender", "pronunciation")


def voices_record(voices: Sequence[Voice]) -> dict[str, str]:
    """Metadata of a network's file; `read_file_voices` reads it back."""
    rows = []
    for voice in voices:
        shown = {name: getattr(voice, name) for name in _SHOWN}
        rows.append({**shown, "speakers": dict(Timbre.of(voice.record).speakers)})
    return {"voices": json.dumps(rows)}


def read_file_voices(path: Path) -> tuple[Voice, ...]:
    """The voices that `voices_record` wrote into a file, in a network named like the file. WeightsError: there are none."""
    records = json.loads(read_metadata(path).get("voices", "[]"))
    if not records:
        raise WeightsError(f"{path} names no voice: it was not made by training.voice.adapt or exported with voices")
    return tuple(_voice(record, path.stem) for record in records)


def _voice(row: dict[str, Any], network: str = "") -> Voice:
    return Timbre(tuple(row.pop("speakers").items()), network=network).to_voice(**row)


def speaker_weights(name: str, timbre: Timbre, speakers: Sequence[str]) -> list[float]:
    """One weight per speaker of the network.

    Raises:
        ValueError: the voice names an unknown speaker, or its weights do not add up to 1.
    """
    weights = dict(timbre.speakers)
    unknown = sorted(set(weights) - set(speakers))
    if unknown:
        raise ValueError(f"voice {name!r} names speakers {unknown}; this model has {list(speakers)}")
    if not 0.999 < sum(weights.values()) < 1.001:
        raise ValueError(f"the speaker weights of voice {name!r} add up to {sum(weights.values()):g}, not 1")
    return [weights.get(speaker, 0.0) for speaker in speakers]

"""Which windows a checkpoint was trained to read: ``descant_windows`` in its config.json; stock Whisper has none."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from models.hearing import WindowPolicy, WindowRules

FIELD = "descant_windows"


def window_policy(config: dict[str, Any], path: Path) -> WindowPolicy:
    """From the content of config.json. Raises ValueError naming the file and the field that is wrong."""
    if FIELD not in config:
        return WindowPolicy()
    where = f"{path}: {FIELD}"
    given = _fields(config[FIELD], WindowPolicy, where)
    live, whole = (WindowRules(**_seconds(given[kind], WindowRules, f"{where}.{kind}")) for kind in ("live", "whole"))
    loses_phrases = given["loses_phrases"]
    if not isinstance(loses_phrases, bool):
        raise ValueError(f"{where}.loses_phrases must be true or false")
    return WindowPolicy(live, whole, _positive(given["whole_gap_s"], f"{where}.whole_gap_s"), loses_phrases)


def _seconds(value: object, kind: type, where: str) -> dict[str, float]:
    return {name: _positive(number, f"{where}.{name}") for name, number in _fields(value, kind, where).items()}


def _fields(value: object, kind: type, where: str) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    if not isinstance(value, dict) or sorted(value) != sorted(names):
        raise ValueError(f"{where} must be an object with {', '.join(names)}")
    return value


def _positive(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"{where} must be a positive number of seconds, not {value!r}")
    return float(value)

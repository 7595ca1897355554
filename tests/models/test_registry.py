import importlib
import sys

import pytest

from models.registry import RECOGNIZERS, SYNTHESIZERS, UnknownFamily, load_recognizer, load_synthesizer


@pytest.mark.parametrize("target", [*SYNTHESIZERS.values(), *RECOGNIZERS.values()])
def test_every_family_has_what_its_line_says(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_unknown_families_are_told_the_known_ones() -> None:
    with pytest.raises(UnknownFamily, match="'other' is not known; known families: conv_tts"):
        load_synthesizer("other", "cpu", 1)
    with pytest.raises(UnknownFamily, match="known families: whisper"):
        load_recognizer("other", "cpu", 1)


def test_families_are_imported_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYNTHESIZERS, "missing", "models.missing.model:load")
    with pytest.raises(ModuleNotFoundError, match=r"models\.missing"):
        load_synthesizer("missing", "cpu", 1)
    assert "models.missing" not in sys.modules

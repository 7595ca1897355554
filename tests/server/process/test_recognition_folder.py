import json
from pathlib import Path

import pytest

from server.config import ConfigError, Settings
from server.process.main import load_ears
from tests.models.whisper_checkpoints import write_random_checkpoint


def test_a_checkpoint_in_a_folder_takes_the_place_of_the_embedded_ears(tmp_path: Path) -> None:
    path = write_random_checkpoint(tmp_path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "descant_max_window_s": 20}), encoding="utf-8")
    assert load_ears(Settings(recognition_folder=tmp_path), "cpu").info.max_window_s == 20.0
    assert load_ears(Settings(), "cpu").info.max_window_s == 15.0


def test_a_folder_that_holds_none_is_named_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^recognition_folder: .*absent"):
        load_ears(Settings(recognition_folder=tmp_path / "absent"), "cpu")
    path = write_random_checkpoint(tmp_path) / "config.json"
    path.write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^recognition_folder: .*model_type is 'bert'"):
        load_ears(Settings(recognition_folder=tmp_path), "cpu")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^recognition_folder: .*tokenizer\.json"):
        load_ears(Settings(recognition_folder=tmp_path), "cpu")

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from matplotlib.image import imread

from server.bench.picture import SPEECH_LINES, draw
from server.bench.stats import record, summary
from server.bench.table import Row


def row(streams: int, latency_ms: float | None) -> Row:
    figures = {name: None if latency_ms is None else summary([latency_ms]) for _, name, _ in SPEECH_LINES}
    config = {"loop": "closed", "streams": streams, "requests_per_s": None}
    return record("tts_latency", config, {"host": "127.0.0.1", "audio_s_per_s": 3.0 * streams, **figures})


@pytest.mark.parametrize("latencies_ms", [[10.0], [5.0, 50.0, 500.0], [5.0, -1.0], [5.0, None]])
def test_a_picture_is_drawn_of_any_run(latencies_ms: list[float | None], tmp_path: Path) -> None:
    path = tmp_path / "pictures" / "run.png"
    draw(path, [row(2**n, latency_ms) for n, latency_ms in enumerate(latencies_ms)], SPEECH_LINES, "Speech")
    pixels = imread(path)
    assert pixels.shape[0] > 400
    assert pixels.std() > 0.01

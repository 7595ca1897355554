"""One real server with two installed checkpoints beside the packaged models; those that are idle leave memory."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from server.bench.process import ServerProcess
from server.cli.app import app
from tests.server.model_store.checkpoints import write_source

NAMES = ("whisper-descant", "first", "second")
IDLE_S = 1.5
WITHIN_S = 30.0
SPEECH: dict[str, Any] = {
    "model_id": "conv_tts", "transcript": "The children went to the river.", "voice": "694f9389-aac1-45b6-b726-9d9369183238",
    "output_format": {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 16000},
}  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    for seed, name in enumerate(("first", "second", "unloaded")):
        source = write_source(folder / f"source-{name}", seed)
        arguments = ["models", "import", str(source), "--name", name]
        assert CliRunner().invoke(app, arguments, env={"DESCANT_DATA_DIR": str(folder)}).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ServerProcess]:
    environment = {
        "DESCANT_DATA_DIR": str(data_dir),
        "DESCANT_MODEL_IDLE_S": str(IDLE_S),
        "DESCANT_MODEL_DEVICES": '{"second": "cpu"}',
        "DESCANT_MODEL_IDS": '{"ink-2": "second"}',
        "OMP_NUM_THREADS": "1",
    }
    flags = [f"--recognition-model={name}" for name in NAMES]
    with ServerProcess.start(*flags, environment=environment) as running:
        yield running


def loaded(server: ServerProcess) -> dict[str, dict[str, Any]]:
    return {model["name"]: model for model in httpx.get(server.url).json()["loaded"]}


def gauges(server: ServerProcess, metric: str) -> dict[str, float]:
    families = text_string_to_metric_families(httpx.get(server.metrics).text)
    samples = [sample for family in families for sample in family.samples if sample.name == metric]
    return {sample.labels["model"]: sample.value for sample in samples}


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def speak(server: ServerProcess) -> httpx.Response:
    answer = httpx.post(server.url + "/tts/bytes", json=SPEECH, timeout=WITHIN_S)
    assert answer.status_code == 200, answer.text
    return answer


def transcribe(server: ServerProcess, model: str, wav: bytes) -> httpx.Response:
    return httpx.post(server.url + "/stt", files={"file": wav}, data={"model": model, "language": "en"}, timeout=WITHIN_S)


def test_each_model_answers_to_its_name_and_the_ids_that_settings_give_it(server: ServerProcess) -> None:
    answers = httpx.get(server.url).json()["models"]["stt"]
    assert {name: answers[name] for name in (*NAMES, "ink-whisper", "ink-2")} == {
        **{name: name for name in NAMES},
        "ink-whisper": "whisper-descant",
        "ink-2": "second",
    }
    wav = speak(server).content
    for model in (*NAMES, "ink-whisper", "ink-2", "whisper-1"):
        assert transcribe(server, model, wav).status_code == 200
    heard = gauges(server, "descant_audio_in_seconds_total")
    assert heard["whisper-descant"] == pytest.approx(3 * heard["first"], rel=0.01)
    assert heard["second"] == pytest.approx(2 * heard["first"], rel=0.01)
    refused = transcribe(server, "unloaded", wav)
    assert refused.status_code == 400
    assert refused.json()["error_code"] == "model_not_found"
    assert refused.json()["message"].endswith(
        "descant serve " + " ".join(f"--recognition-model {m}" for m in (*NAMES, "unloaded"))
    )


def test_idle_models_leave_memory_and_each_comes_back_alone(server: ServerProcess) -> None:
    wav = speak(server).content
    transcribe(server, "first", wav)
    until(lambda: not any(model["in_memory"] for model in loaded(server).values()))
    assert set(gauges(server, "descant_model_weight_bytes").values()) == {0.0}
    answer = transcribe(server, "first", wav)
    assert answer.status_code == 200
    found = loaded(server)
    assert [name for name, model in found.items() if model["in_memory"]] == ["first"]
    assert found["first"]["memory_bytes"] > 100_000
    weights = gauges(server, "descant_model_weight_bytes")
    assert {name for name, size in weights.items() if size} == {"first"}
    assert "load;dur=" in speak(server).headers["server-timing"]
    assert "load;dur=" not in speak(server).headers["server-timing"]
    stages = httpx.get(server.metrics).text
    assert 'descant_first_byte_stage_seconds_count{model="conv_tts",stage="load"}' in stages

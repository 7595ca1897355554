"""One real server with an imported Kokoro (tiny, with random weights) beside the packaged voice."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from server.bench.process import ServerProcess
from server.cli.app import app
from tests.models.kokoro_checkpoints import tiny_source

RATE_HZ = 24_000
RAW = {"container": "raw", "encoding": "pcm_f32le", "sample_rate": RATE_HZ}
PACKAGED_VOICE = "532dda52-7c42-4afd-a60f-54442260c975"
TEXT = "The children went to the river."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("kokoro")
    tiny_source(folder / "source", voices=("af_heart", "am_puck", "bf_emma", "ff_siwis", "zm_yunxi"))
    arguments = ["models", "import", str(folder / "source"), "--name", "kokoro", "--licence", "Apache-2.0"]
    imported = CliRunner().invoke(app, arguments, env={"DESCANT_DATA_DIR": str(folder)})
    assert imported.exit_code == 0, imported.output
    assert "Installed kokoro@" in imported.output
    flags = ["--speech-model=conv_tts", "--speech-model=kokoro"]
    with ServerProcess.start(*flags, environment={"DESCANT_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"}) as running:
        yield running


def ask(server: ServerProcess, path: str = "/tts/bytes", **changes: Any) -> httpx.Response:
    body = {"model_id": "kokoro", "transcript": TEXT, "voice": "af_heart", "language": "en", "output_format": RAW}
    controls = {"seed": 7, **changes.pop("generation_config", {})}
    return httpx.post(server.url + path, json={**body, "generation_config": controls, **changes}, timeout=30.0)


def samples(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<f4")


def test_both_models_are_served(server: ServerProcess) -> None:
    page = httpx.get(server.url).json()
    loaded = {model["name"]: model for model in page["loaded"]}
    assert loaded["kokoro"]["languages"] == ["en", "fr"]
    assert loaded["kokoro"]["voices"] == 4
    assert loaded["kokoro"]["memory_bytes"] > 100_000
    assert page["models"]["tts"]["kokoro"] == "kokoro"
    assert page["models"]["tts"]["sonic-3"] == "conv_tts"
    voices = {voice["id"]: voice for voice in httpx.get(server.url + "/voices/", params={"limit": 100}).json()["data"]}
    assert (voices["af_heart"]["name"], voices["af_heart"]["gender"]) == ("Heart", "feminine")
    assert "zm_yunxi" not in voices
    assert PACKAGED_VOICE in voices


def test_each_model_speaks_with_its_own_voices(server: ServerProcess) -> None:
    heart = samples(ask(server))
    assert len(heart) > RATE_HZ // 4
    assert np.std(heart) > 1e-3
    assert len(samples(ask(server, model_id="conv_tts", voice=PACKAGED_VOICE))) > RATE_HZ // 4
    refused = ask(server, voice=PACKAGED_VOICE)
    assert refused.status_code == 400
    assert "af_heart (Heart)" in refused.json()["message"]


def test_sixteen_listeners_do_not_change_each_others_sound(server: ServerProcess) -> None:
    asked = [{"voice": ("af_heart", "am_puck", "bf_emma")[n % 3], "transcript": TEXT * (1 + n % 2)} for n in range(16)]
    alone = [samples(ask(server, **changes)) for changes in asked[:6]]
    with ThreadPoolExecutor(16) as pool:
        together = [samples(answer) for answer in pool.map(lambda changes: ask(server, **changes), asked)]
    for number, heard in enumerate(together):
        np.testing.assert_array_equal(heard, alone[number % 6])


def test_voices_mix_by_weight(server: ServerProcess) -> None:
    heart = samples(ask(server))
    same, between = (
        samples(ask(server, voice="af_heart:0.6+af_heart:0.4")),
        samples(ask(server, voice="af_heart:0.5+am_puck:0.5")),
    )
    np.testing.assert_allclose(same[: len(heart)], heart, atol=1e-3)
    assert len(between) != len(heart) or not np.allclose(between, heart, atol=1e-3)


def test_languages_without_phones_are_refused_with_the_list(server: ServerProcess) -> None:
    for language in ("hi", "ja"):
        refused = ask(server, language=language)
        assert refused.status_code == 400
        assert "accepted values" in refused.json()["message"]
    wrong = ask(server, language="fr")
    assert wrong.status_code == 400
    assert "ff_siwis (Siwis)" in wrong.json()["message"]
    assert len(samples(ask(server, language="fr", voice="ff_siwis", transcript="Les enfants jouent près de la rivière.")))
    nothing = ask(server, transcript="東京")
    assert nothing.status_code == 400


def test_times_of_words_and_phones_are_those_of_the_audio(server: ServerProcess) -> None:
    answer = ask(server, "/tts/sse", add_timestamps=True, add_phoneme_timestamps=True)
    assert answer.status_code == 200
    events = [json.loads(line.removeprefix("data:")) for line in answer.text.splitlines() if line.startswith("data:")]
    audio = b"".join(base64.b64decode(event["data"]) for event in events if event["type"] == "chunk")
    seconds = len(audio) / 4 / RATE_HZ
    words = [event["word_timestamps"] for event in events if event["type"] == "timestamps"]
    assert [word for part in words for word in part["words"]] == TEXT.split()
    ends = [end for part in words for end in part["end"]]
    starts = [start for part in words for start in part["start"]]
    assert starts == sorted(starts)
    assert ends[-1] <= seconds
    for time_s in starts:  # frames of 25 ms, or the middle of one, after 20 ms of silence
        assert (time_s - 0.02) * 80 == pytest.approx(round((time_s - 0.02) * 80), abs=0.01)
    assert any(event["type"] == "phoneme_timestamps" for event in events)


def test_controls_and_breaks(server: ServerProcess) -> None:
    plain = samples(ask(server))
    fast = samples(ask(server, generation_config={"speed": 1.5}))
    assert len(fast) < 0.85 * len(plain)
    quiet = samples(ask(server, generation_config={"volume": 0.5}))
    heard = np.abs(plain) < 0.99  # what is louder is clipped
    heard[: RATE_HZ // 20] = False  # the silence before the first word has no volume of its own
    np.testing.assert_allclose(quiet[heard], 0.5 * plain[heard], atol=1e-5)
    led = samples(ask(server, transcript='<break time="400ms"/>' + TEXT))
    assert not led[: round(0.4 * RATE_HZ)].any()

"""Numbers as a scraper sees them."""

import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.metrics import STAGES, Metrics, stage_durations_s, start_metrics_server
from server.requests.speech import StageTimes


@pytest.fixture
def served() -> Iterator[tuple[Metrics, str]]:
    metrics = Metrics()
    server, thread = start_metrics_server(metrics, "127.0.0.1", 0)
    yield metrics, f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def scrape(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


TIMES = StageTimes(10.0, 10.002, 10.003, 10.001, 10.004, 10.014, 10.0145, 10.015)


def test_stages_add_up_to_the_time_to_first_byte() -> None:
    durations_s = stage_durations_s(TIMES)
    assert tuple(durations_s) == STAGES
    assert durations_s["text"] == pytest.approx(0.001)
    assert durations_s["queue"] == pytest.approx(0.001)
    assert durations_s["load"] == pytest.approx(0.001)
    assert sum(durations_s.values()) == pytest.approx(0.015)


def test_a_stage_that_was_over_before_the_last_counts_nothing() -> None:
    assert stage_durations_s(StageTimes(10.0, admitted_s=10.1, text_ready_s=10.5)) == {"text": pytest.approx(0.5), "queue": 0.0}


def test_first_byte_by_stage(served: tuple[Metrics, str]) -> None:
    metrics, url = served
    metrics.record_speech(TIMES, "conv_tts")
    found = scrape(url)
    for stage in STAGES:
        assert found["descant_first_byte_stage_seconds_count", (("model", "conv_tts"), ("stage", stage))] == 1
    assert found["descant_first_byte_seconds_sum", (("model", "conv_tts"),)] == pytest.approx(0.015)


def test_counters_and_gauges(served: tuple[Metrics, str]) -> None:
    metrics, url = served
    metrics.record_request("speech", "conv_tts")
    metrics.record_error("speech", 429)
    metrics.record_text("conv_tts", 120)
    metrics.record_step("speech", "conv_tts", rows=3, took_s=0.01, audio_s=0.5)
    metrics.record_step("transcription", "whisper", rows=2, took_s=0.1, audio_s=8.0)
    metrics.record_audio_in("whisper", 4.0)
    metrics.record_transcript("whisper", is_final=True, latency_s=0.05)
    metrics.record_loop_lag(0.001)
    metrics.set_sessions("speech", "conv_tts", slots=64, active=3, queued=1, open=9)
    found = scrape(url)
    speech = (("kind", "speech"), ("model", "conv_tts"))
    assert found["descant_requests_total", speech] == 1
    assert found["descant_errors_total", (("code", "429"), ("kind", "speech"))] == 1
    assert found["descant_characters_total", (("model", "conv_tts"),)] == 120
    assert found["descant_audio_out_seconds_total", (("model", "conv_tts"),)] == pytest.approx(0.5)
    assert found["descant_real_time_factor_sum", (("model", "conv_tts"),)] == pytest.approx(0.02)
    assert found["descant_audio_in_seconds_total", (("model", "whisper"),)] == 4
    assert found["descant_transcript_latency_seconds_count", (("kind", "final"), ("model", "whisper"))] == 1
    assert found["descant_event_loop_lag_seconds_count", ()] == 1
    gauges = ("slots", "active_sessions", "queued_sessions", "open_sessions")
    assert [found[f"descant_{name}", speech] for name in gauges] == [64, 3, 1, 9]


def test_two_servers_do_not_share_numbers() -> None:
    one, two = Metrics(), Metrics()
    one.record_request("speech", "conv_tts")
    labels = {"kind": "speech", "model": "conv_tts"}
    assert one.registry.get_sample_value("descant_requests_total", labels) == 1
    assert two.registry.get_sample_value("descant_requests_total", labels) is None


def test_memory_of_a_model_while_it_is_loaded(served: tuple[Metrics, str]) -> None:
    metrics, url = served
    label = (("model", "whisper-base"),)
    metrics.set_model("whisper-base", weight_bytes=290_000_000, grown_bytes=310_000_000, load_s=0.5)
    found = scrape(url)
    assert found["descant_model_weight_bytes", label] == 290_000_000
    assert found["descant_model_load_growth_bytes", label] == 310_000_000
    metrics.set_model("whisper-base", weight_bytes=0, grown_bytes=0)
    found = scrape(url)
    assert found["descant_model_weight_bytes", label] == 0
    assert found["descant_model_load_seconds", label] == 0.5

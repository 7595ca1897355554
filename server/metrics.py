"""Every metric of the server, in one list, on a registry of its own.

Stages of time to first byte follow each other: ``text`` (request received to
first segment of phones), ``queue`` (to a slot), ``load`` (until a model is back in memory), ``first_step`` (to the start of
the first step), ``first_audio`` (to its end), ``encode``, ``send``.
"""

import os
import threading
import time
from functools import partial
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from server.requests.speech import StageTimes

STAGES = ("text", "queue", "load", "first_step", "first_audio", "encode", "send")

FIRST_BYTE_BUCKETS_S = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.2, 0.25, 0.3, 0.5, 0.8, 1.2, 2.0, 5.0)
RTF_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def stage_durations_s(times: StageTimes) -> dict[str, float]:
    """Seconds spent in each stage that was passed; they add up to the time of the last one.

    Stages may overlap (text that comes late into a context that has a slot):
    each counts only what lies after all stages before it.
    """
    marks = (
        times.text_ready_s,
        times.admitted_s,
        times.loaded_s,
        times.first_step_s,
        times.first_audio_s,
        times.encoded_s,
        times.sent_s,
    )
    durations = {}
    before_s = times.received_s
    for stage, mark_s in zip(STAGES, marks, strict=True):
        if mark_s is None:
            continue
        durations[stage] = max(0.0, mark_s - before_s)
        before_s = max(before_s, mark_s)
    return durations


class Metrics:
    """Names and helps of all metrics; the methods are called from any thread."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._first_byte = Histogram(
            "descant_first_byte_seconds", "Time from request to first byte of audio sent.", ["model"],
            buckets=FIRST_BYTE_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._first_byte_stage = Histogram(
            "descant_first_byte_stage_seconds", "Part of the time to first byte spent in each stage.", ["model", "stage"],
            buckets=FIRST_BYTE_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._requests = Counter("descant_requests", "Requests accepted by the engine.", ["kind", "model"], registry=registry)
        self._errors = Counter(
            "descant_errors", "Requests that ended in an error, by status.", ["kind", "code"], registry=registry
        )
        self._add_gauges(registry)
        self._characters = Counter(
            "descant_characters", "Characters of text accepted for speech.", ["model"], registry=registry
        )
        self._audio_out = Counter("descant_audio_out_seconds", "Audio synthesised.", ["model"], registry=registry)
        self._audio_in = Counter("descant_audio_in_seconds", "Audio taken for transcription.", ["model"], registry=registry)
        self._rtf = Histogram(
            "descant_real_time_factor",
            "Model time per second of audio made, per step.",
            ["model"],
            buckets=RTF_BUCKETS,
            registry=registry,
        )
        self._step = Histogram(
            "descant_step_seconds",
            "Duration of one step of a model.",
            ["kind", "model"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._rows = Histogram(
            "descant_step_rows",
            "Sessions stepped together.",
            ["kind", "model"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self._transcript = Histogram(
            "descant_transcript_latency_seconds", "From the moment a transcript was due to its text.", ["model", "kind"],
            buckets=LATENCY_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._retries = Counter(
            "descant_window_retries", "Transcripts whose window was decoded again at full length.", ["model"], registry=registry
        )
        self._cut_off = Counter(
            "descant_truncated_transcripts", "Final transcripts that miss words of their window.", ["model"], registry=registry
        )
        self._loop_lag = Histogram(
            "descant_event_loop_lag_seconds", "How late the event loop woke.", buckets=FIRST_BYTE_BUCKETS_S, registry=registry
        )

    def _add_gauges(self, registry: CollectorRegistry) -> None:
        """What a model is like at the moment."""
        gauge = partial(Gauge, registry=registry, multiprocess_mode="mostrecent")
        self._active = gauge("descant_active_sessions", "Sessions that hold a slot.", ["kind", "model"])
        self._queued = gauge("descant_queued_sessions", "Sessions that wait for a slot.", ["kind", "model"])
        self._open = gauge(
            "descant_open_sessions", "Sessions in all, also those that have nothing to say yet.", ["kind", "model"]
        )
        self._slots = gauge("descant_slots", "Slots of the model.", ["kind", "model"])
        self._weights = gauge("descant_model_weight_bytes", "Parameters and buffers of the model on its device.", ["model"])
        self._grown = gauge(
            "descant_model_load_growth_bytes", "What the process, or use of the card, grew by at the last load.", ["model"]
        )
        self._load = gauge("descant_model_load_seconds", "What loading the model took the last time.", ["model"])

    def record_audio_sent(self, times: StageTimes, model: str) -> None:
        """To be called after each audio that went to a client; the first of a request completes its stage times."""
        if times.sent_s is None:
            times.sent_s = time.perf_counter()
            self.record_speech(times, model)

    def record_speech(self, times: StageTimes, model: str) -> None:
        """Once per request, after its first audio was sent (``times.sent_s`` is set)."""
        for stage, duration_s in stage_durations_s(times).items():
            self._first_byte_stage.labels(model, stage).observe(duration_s)
        if times.sent_s is not None:
            self._first_byte.labels(model).observe(max(0.0, times.sent_s - times.received_s))

    def record_request(self, kind: str, model: str) -> None:
        """``kind`` is speech or transcription."""
        self._requests.labels(kind, model).inc()

    def record_error(self, kind: str, code: int) -> None:
        """A request was refused or ended early with this HTTP status."""
        self._errors.labels(kind, str(code)).inc()

    def record_text(self, model: str, characters: int) -> None:
        self._characters.labels(model).inc(characters)

    def record_step(self, kind: str, model: str, rows: int, took_s: float, audio_s: float) -> None:
        """``audio_s`` is the audio made, or heard, in the step by all rows."""
        self._step.labels(kind, model).observe(took_s)
        self._rows.labels(kind, model).observe(rows)
        if kind == "speech" and audio_s > 0.0:
            self._audio_out.labels(model).inc(audio_s)
            self._rtf.labels(model).observe(took_s / audio_s)

    def record_audio_in(self, model: str, audio_s: float) -> None:
        self._audio_in.labels(model).inc(audio_s)

    def record_transcript(
        self, model: str, is_final: bool, latency_s: float, retried: bool = False, cut_off: bool = False
    ) -> None:
        self._retries.labels(model).inc(retried)
        self._cut_off.labels(model).inc(cut_off)
        self._transcript.labels(model, "final" if is_final else "partial").observe(latency_s)

    def record_loop_lag(self, lag_s: float) -> None:
        self._loop_lag.observe(max(0.0, lag_s))

    def set_sessions(self, kind: str, model: str, *, slots: int, active: int, queued: int, open: int) -> None:
        self._slots.labels(kind, model).set(slots)
        self._active.labels(kind, model).set(active)
        self._queued.labels(kind, model).set(queued)
        self._open.labels(kind, model).set(open)

    def set_model(self, model: str, *, weight_bytes: int, grown_bytes: int, load_s: float | None = None) -> None:
        """When a model was loaded, and with zeros when it left memory."""
        self._weights.labels(model).set(weight_bytes)
        self._grown.labels(model).set(grown_bytes)
        if load_s is not None:
            self._load.labels(model).set(load_s)


def serve_metrics(metrics: Metrics, host: str, port: int) -> int:
    """Answer ``GET /metrics`` on a daemon thread; port 0 picks a free one. Gives the bound port."""
    return start_metrics_server(metrics, host, port)[0].server_port


def start_metrics_server(metrics: Metrics, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
    """As `serve_metrics`, for a caller that shuts it down again."""
    return start_http_server(port, addr=host, registry=_shown(metrics))


def _shown(metrics: Metrics) -> CollectorRegistry:
    """The registry of this process, or of all processes where they write to a common folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return metrics.registry
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry

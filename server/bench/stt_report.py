"""From what paced streams saw to a record, a table and the verdict that the server no longer keeps up."""

import hashlib
from collections.abc import Sequence
from typing import Any

from server.bench.clients import ClientRun, run_clients
from server.bench.stats import record, summary
from server.bench.stt_client import Hearing, ListeningLoad, listening_load
from server.bench.table import Column, Row, figure
from server.bench.tts_client import TOO_MANY
from server.bench.tts_report import COLLAPSE_ERRORS, milliseconds
from server.bench.utterances import Utterance
from server.bench.watch import ServerWatch

COLLAPSE_PARTIAL_MS = 1000.0
"""A server no longer keeps up where the p95 of partial lag is over this."""


def measure_listening(load: ListeningLoad, watch: ServerWatch, processes: int = 1, server: str | None = None) -> dict[str, Any]:
    """Run the load from so many client processes and give one record; see `server.bench.tts_report.measure_speech`."""
    with watch:
        run = run_clients(listening_load, load.shares(processes))
    knows_times = all(utterance.words for utterance in load.utterances)
    config = {
        "model": load.model,
        "language": load.language,
        "streams": load.streams,
        "utterances_per_stream": load.utterances_per_stream,
        "utterances": len(load.utterances),
        "data_hash": data_hash(load.utterances),
        "audio_s": round(sum(utterance.duration_s for utterance in load.utterances), 2),
        "chunk_ms": load.chunk_ms,
        "sample_rate_hz": load.sample_rate_hz,
        "paced": load.is_paced,
        "word_times": "synthesis" if knows_times else "recogniser",
        "seed": load.seed,
        "api_version": load.target.version,
        "client_processes": processes,
        "server": server,
    }
    return record("stt_latency", config, {"host": load.target.host, **listening_figures(run), **watch.figures()})


def data_hash(utterances: Sequence[Utterance]) -> str:
    """Twelve hex digits that are equal for equal speech: the texts that are said, or the samples of files."""
    digest = hashlib.sha256()
    for utterance in utterances:
        digest.update((utterance.text or "").encode() if utterance.words else utterance.audio)
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def listening_figures(run: ClientRun[Hearing]) -> dict[str, Any]:
    hearings = run.outcomes
    good = [hearing for hearing in hearings if hearing.error is None]
    words, said = sum(hearing.words for hearing in good), sum(hearing.said_words for hearing in good)
    lags_s = [lag_s for hearing in good for lag_s in hearing.lags_s]
    return {
        "utterances": len(hearings),
        "errors": len(hearings) - len(good),
        "first_error": next((hearing.error for hearing in hearings if hearing.error), None),
        "refused": sum(hearing.status == TOO_MANY for hearing in hearings),
        "partial_lag_ms": milliseconds(lags_s),
        "words_found": round(len(lags_s) / words, 4) if words else None,
        "first_text_ms": milliseconds(hearing.first_text_s for hearing in good),
        "final_ms": milliseconds(hearing.final_s for hearing in good),
        "rtf": summary([hearing.took_s / hearing.audio_s for hearing in good if hearing.took_s], digits=4),
        "word_error_rate": round(sum(hearing.wrong_words for hearing in good) / said, 4) if said else None,
        "audio_s_per_s": round(sum(hearing.audio_s for hearing in good) / run.took_s, 2),
        "took_s": round(run.took_s, 2),
        "client_late_ms": milliseconds(hearing.late_s for hearing in good),
        "client_loop_lag_ms": milliseconds(run.lags_s),
    }


def falls_behind(row: Row) -> bool:
    """Whether the server no longer keeps up with this load: streams fail, or words come over a second late."""
    lag = row["partial_lag_ms"]
    return row["errors"] > COLLAPSE_ERRORS * row["utterances"] or lag is None or bool(lag["p95"] > COLLAPSE_PARTIAL_MS)


COLUMNS = (
    Column("streams", 8, lambda row: str(row["config"]["streams"])),
    Column("said", 6, figure("utterances", digits=0)),
    Column("errors", 7, figure("errors", digits=0)),
    Column("partial p50", 12, figure("partial_lag_ms", "p50", digits=0)),
    Column("p95", 7, figure("partial_lag_ms", "p95", digits=0)),
    Column("p99", 7, figure("partial_lag_ms", "p99", digits=0)),
    Column("final p50", 10, figure("final_ms", "p50", digits=0)),
    Column("p95", 7, figure("final_ms", "p95", digits=0)),
    Column("due p95", 8, figure("server_partial_ms", "p95", digits=0)),
    Column("rtf p50", 8, figure("rtf", "p50", digits=3)),
    Column("p95", 7, figure("rtf", "p95", digits=3)),
    Column("wer", 7, figure("word_error_rate", digits=3)),
    Column("found", 7, figure("words_found", digits=3)),
    Column("audio s/s", 10, figure("audio_s_per_s")),
    Column("client late", 12, figure("client_late_ms", "p95")),
    Column("lag", 7, figure("client_loop_lag_ms", "p99")),
    Column("server", 8, figure("server_loop_lag_ms", "p99")),
    Column("MiB", 7, figure("server_memory_mib", "peak", digits=0)),
)
"""Times in ms. ``due``: by the server's own page, from the moment a partial text was due to the text, which no recognised word
is needed for. ``found``: share of the words that were written as they were said, which are those that have a lag."""

"""From what the clients of a speaking server saw to a record, a table and the verdict that it collapsed."""

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from server.bench.clients import ClientRun, run_clients
from server.bench.stats import record, summary
from server.bench.table import Column, Row, figure
from server.bench.tts_client import TOO_MANY, Outcome
from server.bench.tts_load import SAMPLE_RATE_HZ, Loop, SpeechLoad, speech_load
from server.bench.watch import ServerWatch

COLLAPSE_ERRORS = 0.01
"""A server has collapsed where more requests than this share fail, ..."""
COLLAPSE_RTF = 1.0
"""... or the p95 of the real-time factor reaches this."""


def measure_speech(load: SpeechLoad, watch: ServerWatch, processes: int = 1, server: str | None = None) -> dict[str, Any]:
    """Run the load from so many client processes and give one record.

    ``server`` says how the server was started, for the configuration. Failed
    requests are counted as errors; a server that cannot be reached raises
    LoadRefused.
    """
    with watch:
        run = run_clients(speech_load, load.shares(processes))
    config = {
        "model": load.model,
        "voice": load.voice,
        "requests": load.total_requests,
        "text": load.text,
        "seed": load.seed,
        "loop": load.loop.value,
        "streams": int(load.level) if load.loop is not Loop.OPEN else None,
        "requests_per_s": load.level if load.loop is Loop.OPEN else None,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "api_version": load.target.version,
        "client_processes": processes,
        "server": server,
    }
    return record("tts_latency", config, {"host": load.target.host, **speech_figures(run), **watch.figures()})


def speech_figures(run: ClientRun[Outcome]) -> dict[str, Any]:
    outcomes = run.outcomes
    good = [outcome for outcome in outcomes if outcome.error is None]
    refused = [outcome for outcome in outcomes if outcome.status == TOO_MANY]
    sessions = {outcome.session for outcome in outcomes}
    dry = {outcome.session for outcome in outcomes if outcome.underruns or outcome.error is not None}
    stage_names = dict.fromkeys(name for outcome in good for name in outcome.stages_ms)
    stages = {name: [outcome.stages_ms[name] for outcome in good if name in outcome.stages_ms] for name in stage_names}
    return {
        "requests": len(outcomes),
        "errors": len(outcomes) - len(good),
        "first_error": next((outcome.error for outcome in outcomes if outcome.error), None),
        "refused": len(refused),
        "refusal_ms": milliseconds(outcome.end_s for outcome in refused),
        "first_byte_ms": milliseconds(outcome.first_byte_s for outcome in good),
        "first_playable_ms": milliseconds(outcome.first_playable_s for outcome in good),
        "first_audible_ms": milliseconds(outcome.first_audible_s for outcome in good),
        "worst_gap_ms": milliseconds(outcome.worst_gap_s for outcome in good),
        "rtf": summary(
            [outcome.last_audio_s / outcome.audio_s for outcome in good if outcome.last_audio_s and outcome.audio_s], digits=4
        ),
        "requests_with_underruns": sum(outcome.underruns > 0 for outcome in good),
        "underruns": sum(outcome.underruns for outcome in good),
        "sessions": len(sessions),
        "sessions_without_underrun": len(sessions - dry),
        "audio_s_per_s": round(sum(outcome.audio_s for outcome in good) / run.took_s, 2),
        "characters_per_s": round(sum(outcome.characters for outcome in good) / run.took_s, 1),
        "took_s": round(run.took_s, 2),
        "client_loop_lag_ms": milliseconds(run.lags_s),
        "server_stages_ms": {name: summary(values) for name, values in stages.items()},
    }


def milliseconds(values_s: Iterable[float | None]) -> dict[str, float] | None:
    """Summary in milliseconds of the seconds that are there."""
    return summary([value_s * 1000 for value_s in values_s if value_s is not None], digits=2)


def collapsed(row: Row) -> bool:
    """Whether the server no longer serves this load: requests fail, speech comes slower than it is spoken, or players stall."""
    if row["config"]["loop"] == Loop.PACED and row["sessions_without_underrun"] < row["sessions"]:
        return True
    rtf = row["rtf"]
    return row["errors"] > COLLAPSE_ERRORS * row["requests"] or rtf is None or bool(rtf["p95"] >= COLLAPSE_RTF)


def _level(row: Row) -> str:
    config = row["config"]
    return f"{config['requests_per_s']:g}/s" if config["loop"] == Loop.OPEN else str(config["streams"])


COLUMNS = (
    Column("load", 7, _level),
    Column("requests", 9, figure("requests", digits=0)),
    Column("errors", 7, figure("errors", digits=0)),
    Column("byte p50", 9, figure("first_byte_ms", "p50")),
    Column("p95", 8, figure("first_byte_ms", "p95")),
    Column("p99", 8, figure("first_byte_ms", "p99")),
    Column("play p95", 9, figure("first_playable_ms", "p95")),
    Column("audible p50", 12, figure("first_audible_ms", "p50")),
    Column("p95", 8, figure("first_audible_ms", "p95")),
    Column("rtf p50", 8, figure("rtf", "p50", digits=3)),
    Column("p95", 7, figure("rtf", "p95", digits=3)),
    Column("gap", 8, figure("worst_gap_ms", "max")),
    Column("dry", 5, figure("requests_with_underruns", digits=0)),
    Column("audio s/s", 10, figure("audio_s_per_s")),
    Column("chars/s", 9, figure("characters_per_s", digits=0)),
    Column("client lag", 11, figure("client_loop_lag_ms", "p99")),
    Column("server", 8, figure("server_loop_lag_ms", "p99")),
    Column("MiB", 7, figure("server_memory_mib", "peak", digits=0)),
)
"""Times in ms; ``dry``: requests with an underrun; lags are the p99 of how late the event loops woke."""


def paced_verdict(rows: Iterable[Row]) -> str | None:
    """How many sessions listened in real time without an underrun, at the highest load where all did."""
    paced = sorted((row for row in rows if row["config"]["loop"] == Loop.PACED), key=lambda row: int(row["sessions"]))
    if not paced:
        return None
    good = [row["sessions"] for row in takewhile(lambda row: not collapsed(row), paced)]
    return f"Paced streams without an underrun: {f'{good[-1]} of those tried' if good else 'none of those tried'}."

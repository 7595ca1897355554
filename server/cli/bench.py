"""`descant bench`: measure this or any server with the Cartesia API."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from server.bench.picture import Line
    from server.bench.table import Column
    from server.bench.target import Target
    from server.bench.utterances import Utterance
    from server.bench.watch import ServerWatch

MAX_LEVEL = 100_000

app = typer.Typer(help="Benchmarks that run against any server with the Cartesia API.", no_args_is_help=True)

ServerArguments = Annotated[
    list[str] | None, typer.Argument(metavar="-- OPTIONS", help="Options of `descant serve` for the server that is started.")
]
Url = Annotated[str | None, typer.Option(help="Server to measure; one is started on loopback if absent.")]
ApiKey = Annotated[str, typer.Option(envvar="CARTESIA_API_KEY", help="API key to send.")]
Version = Annotated[str | None, typer.Option(help="Cartesia-Version to ask for.")]
Voice = Annotated[str | None, typer.Option(help="Voice id; the server's first voice if absent.")]
Clients = Annotated[int, typer.Option(min=1, help="Client processes that share the load; more where the client lag is high.")]
ToCollapse = Annotated[
    bool, typer.Option("--to-collapse", help="Go on from the last load, doubling, until the server collapses.")
]
MetricsUrl = Annotated[str | None, typer.Option(help="Prometheus page of a server at --url, for its event-loop lag.")]
ServerPid = Annotated[int | None, typer.Option(help="Process id of a server at --url on this machine, for its memory.")]
Picture = Annotated[Path | None, typer.Option(help="Draw latency against load into this PNG or SVG (needs matplotlib).")]
Smoke = Annotated[bool, typer.Option("--smoke", help="A few requests only, to see that it works.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON line per run instead of a table.")]


@app.callback()
def _root() -> None:
    pass


@app.command("tts")
def tts(
    server_arguments: ServerArguments = None,
    url: Url = None,
    api_key: ApiKey = "none",
    cartesia_version: Version = None,
    model: Annotated[str, typer.Option(help="Model id to ask for.")] = "sonic-turbo",
    voice: Voice = None,
    streams: Annotated[str, typer.Option(help="Closed loop: numbers of streams kept going at once.")] = "1,2,4,8,12,16",
    rate: Annotated[str | None, typer.Option(help="Open loop instead: requests a second at random moments.")] = None,
    paced: Annotated[str | None, typer.Option(help="Paced sessions instead: numbers of listeners in real time.")] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests per run; streams and sessions have at least 3 each.")] = 40,
    text: Annotated[str | None, typer.Option(help="Text of every request; a built-in list if absent.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random moments.")] = 0,
    clients: Clients = 1,
    to_collapse: ToCollapse = False,
    metrics_url: MetricsUrl = None,
    server_pid: ServerPid = None,
    picture: Picture = None,
    smoke: Smoke = False,
    as_json: AsJson = False,
) -> None:
    """Time to first byte and sustained speech over the WebSocket.

    Closed loop by default: each stream starts its next request when its last ends.
    One row per load; several are given as 1,2,4.
    """
    from server.bench.picture import SPEECH_LINES
    from server.bench.tts_load import Loop, SpeechLoad
    from server.bench.tts_report import COLUMNS, collapsed, measure_speech, paced_verdict

    if rate and paced:
        raise typer.BadParameter("--rate and --paced are two shapes of load; give one")
    loop = Loop.OPEN if rate else Loop.PACED if paced else Loop.CLOSED
    levels = _levels(rate or paced or streams, whole=loop is not Loop.OPEN)
    if smoke:
        levels, requests, text = levels[:2], 4, text or "One moment, please."
    sheet = _Sheet(COLUMNS, SPEECH_LINES, f"Speech, {model}", picture, as_json)
    with _server(url, api_key, cartesia_version, metrics_url, server_pid, server_arguments) as server:
        base = SpeechLoad(server.target, model, voice or server.target.first_voice(), loop, 1, requests, text, seed)

        def measure(level: float) -> dict[str, Any]:
            return measure_speech(replace(base, level=level), server.watch(), clients, server.options)

        sheet.fill(measure, levels, collapsed if to_collapse else None)
        sheet.end(paced_verdict(sheet.rows))


@app.command("stt")
def stt(
    server_arguments: ServerArguments = None,
    url: Url = None,
    api_key: ApiKey = "none",
    cartesia_version: Version = None,
    model: Annotated[str, typer.Option(help="Model id to ask for.")] = "ink-whisper",
    language: Annotated[str, typer.Option(help="Language of the audio.")] = "en",
    wav: Annotated[
        list[Path] | None,
        typer.Option(help="16-bit WAV file to send, with its text in a .txt beside it if known; may be given several times."),
    ] = None,
    tts_model: Annotated[str, typer.Option(help="Without --wav: model id that says what is to be heard.")] = "sonic-turbo",
    voice: Voice = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams at once.")] = "1,2,4,8",
    utterances: Annotated[int, typer.Option(min=1, help="Utterances of each stream.")] = 4,
    chunk_ms: Annotated[int, typer.Option(min=10, max=2000, help="Audio per message.")] = 100,
    unpaced: Annotated[bool, typer.Option("--unpaced", help="As fast as the server takes it, not in real time.")] = False,
    seed: Annotated[int, typer.Option(help="Of the moments at which streams start.")] = 0,
    clients: Clients = 1,
    to_collapse: ToCollapse = False,
    metrics_url: MetricsUrl = None,
    server_pid: ServerPid = None,
    picture: Picture = None,
    smoke: Smoke = False,
    as_json: AsJson = False,
) -> None:
    """Partial lag, final latency and word error rate of paced streams into the transcription WebSocket.

    What they hear is said by the same server first, or comes from files. One row per
    number of streams.
    """
    from server.bench.picture import LISTENING_LINES
    from server.bench.stt_client import ListeningLoad
    from server.bench.stt_report import COLUMNS, falls_behind, measure_listening
    from server.bench.texts import TEXTS

    levels = _levels(streams, whole=True)
    texts: Sequence[str] = TEXTS
    if smoke:
        levels, utterances, texts = levels[:2], 1, TEXTS[:2]
    sheet = _Sheet(COLUMNS, LISTENING_LINES, f"Recognition, {model}", picture, as_json)
    with _server(url, api_key, cartesia_version, metrics_url, server_pid, server_arguments) as server:
        heard = _utterances(wav, server.target, tts_model, voice, texts)
        base = ListeningLoad(server.target, model, language, heard, 1, utterances, chunk_ms, not unpaced, seed)

        def measure(level: float) -> dict[str, Any]:
            return measure_listening(replace(base, streams=int(level)), server.watch(), clients, server.options)

        sheet.fill(measure, levels, falls_behind if to_collapse else None)
        sheet.end(None)


def _utterances(
    wav: list[Path] | None, target: "Target", model: str, voice: str | None, texts: Sequence[str]
) -> tuple["Utterance", ...]:
    from server.bench.clients import LoadRefused
    from server.bench.utterances import from_file, synthesised

    if not wav:
        return tuple(asyncio.run(synthesised(target, model, voice or target.first_voice(), texts)))
    heard = tuple(from_file(path) for path in wav)
    if len({utterance.sample_rate_hz for utterance in heard}) > 1:
        raise LoadRefused("--wav: all files must have one sample rate")
    return heard


def _levels(text: str, *, whole: bool) -> list[float]:
    try:
        levels = [float(int(part) if whole else float(part)) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of {'whole ' if whole else ''}numbers such as 1,2,4") from error
    if not all(0 < level <= MAX_LEVEL for level in levels):
        raise typer.BadParameter(f"{text!r}: loads must be over 0 and at most {MAX_LEVEL}")
    return levels


@dataclass(frozen=True, slots=True)
class _Server:
    """What is measured."""

    target: "Target"
    process_id: int | None
    metrics_url: str | None
    options: str | None
    """Of the `descant serve` that was started; None for a server that was there."""

    def watch(self) -> "ServerWatch":
        from server.bench.watch import ServerWatch

        return ServerWatch(self.process_id, self.metrics_url)


@contextmanager
def _server(
    url: str | None,
    api_key: str,
    version: str | None,
    metrics_url: str | None,
    process_id: int | None,
    options: list[str] | None,
) -> Iterator[_Server]:
    """The server at ``url``, or one of our own for the time of the block. What cannot be measured is said in one line."""
    from server.bench.clients import LoadRefused
    from server.bench.process import ServerProcess
    from server.bench.target import API_VERSION, Target

    if url and options:
        raise typer.BadParameter("options after -- are for a server that is started; --url names one that runs")
    version = version or API_VERSION
    try:
        if url:
            yield _Server(Target(url, api_key, version), process_id, metrics_url, None)
            return
        with ServerProcess.start(*(options or [])) as server:
            target = Target(server.url, api_key, version)
            yield _Server(target, server.process.pid, server.metrics, " ".join(options or []))
    except (LoadRefused, OSError, RuntimeError) as error:
        typer.secho(f"descant: {error}", err=True, fg="red")
        raise typer.Exit(2) from error


class _Sheet:
    """Rows as they are measured, on the terminal, and the picture of all of them."""

    def __init__(
        self, columns: Sequence["Column"], lines: Sequence["Line"], title: str, picture: Path | None, as_json: bool
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self._columns = columns
        self._lines = lines
        self._title = title
        self._picture = picture
        self._as_json = as_json

    def fill(
        self, measure: Callable[[float], dict[str, Any]], levels: list[float], gave_up: Callable[[dict[str, Any]], bool] | None
    ) -> None:
        """One row per level; with ``gave_up``, doubling the last level until that holds."""
        from server.bench.picture import require_matplotlib
        from server.bench.table import header, line

        if self._picture:
            require_matplotlib()
        if not self._as_json:
            typer.echo(header(self._columns))
        pending = list(levels)
        while pending:
            level = pending.pop(0)
            row = measure(level)
            self.rows.append(row)
            typer.echo(json.dumps(row) if self._as_json else line(self._columns, row))
            if gave_up is not None and gave_up(row):
                return
            if gave_up is not None and not pending and level * 2 <= MAX_LEVEL:
                pending.append(level * 2)

    def end(self, verdict: str | None) -> None:
        if self._picture:
            from server.bench.picture import draw

            draw(self._picture, self.rows, self._lines, self._title)
        if self._as_json:
            return
        failed = next((row["first_error"] for row in self.rows if row["first_error"]), None)
        for remark in (failed and f"First error: {failed}", verdict, self._picture and f"Picture: {self._picture}"):
            if remark:
                typer.echo(remark)

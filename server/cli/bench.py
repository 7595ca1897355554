"""`descant bench`: measure time to first byte of this or any server with the Cartesia API."""

import asyncio
import json
from typing import Annotated

import typer

app = typer.Typer(help="Benchmarks that run against any server with the Cartesia API.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


@app.command("tts")
def tts(
    url: Annotated[str | None, typer.Option(help="Server to measure; one is started on loopback if absent.")] = None,
    key: Annotated[str, typer.Option(envvar="CARTESIA_API_KEY", help="API key to send.")] = "none",
    model: Annotated[str, typer.Option(help="Model id to ask for.")] = "sonic-turbo",
    voice: Annotated[str | None, typer.Option(help="Voice id; the server's first voice if absent.")] = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams kept going at once, one run each.")] = "1,2,4,8,16",
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Open loop instead: requests a second at random moments.")
    ] = None,
    requests: Annotated[int, typer.Option(min=1, help="Requests per run.")] = 40,
    text: Annotated[str | None, typer.Option(help="Text of every request; a built-in list if absent.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few requests only, to see that it works.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per run instead of a table.")] = False,
) -> None:
    """Time to first byte over the WebSocket.

    Closed loop by default: each stream starts its next request when its last ends.
    """
    from server.bench.process import ServerProcess
    from server.bench.tts_client import HEADER, Plan, format_row, measure

    counts = [1, 2] if smoke else [int(part) for part in streams.split(",")]
    plan = Plan(url=url or "", key=key, model=model, voice=voice, requests=4 if smoke else requests, text=text)
    if not as_json:
        typer.echo(HEADER)

    def run_all(base_url: str) -> None:
        for count in counts if rate is None else [1]:
            row = asyncio.run(measure(plan.at(base_url), streams=count, requests_per_s=rate))
            typer.echo(json.dumps(row) if as_json else format_row(row))

    if url:
        run_all(url)
        return
    with ServerProcess.start() as server:
        run_all(server.url)

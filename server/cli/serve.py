"""`descant serve`: start the server and say on one screen what it does."""

import asyncio
import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from server.config import Settings, load_settings, unknown_environment
from server.main import Listening, build, build_gateway, check_exposure, check_ports, key_store
from server.main import serve as run_server
from server.supervisor import supervise


def _help(setting: str) -> str:
    field = Settings.model_fields[setting]
    return f"{field.description} Default: {field.default}."


def serve(
    host: Annotated[str | None, typer.Option(help=_help("host"))] = None,
    port: Annotated[int | None, typer.Option(help=_help("port"))] = None,
    grpc_port: Annotated[int | None, typer.Option(help=_help("grpc_port"))] = None,
    metrics_port: Annotated[int | None, typer.Option(help=_help("metrics_port"))] = None,
    device: Annotated[str | None, typer.Option(help=_help("device"))] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help=_help("tls_certificate"))] = None,
    tls_key: Annotated[Path | None, typer.Option(help=_help("tls_key"))] = None,
    gateways: Annotated[int | None, typer.Option(help=_help("gateways"))] = None,
    role: Annotated[str | None, typer.Option(help=_help("role"))] = None,
    engine_socket: Annotated[Path | None, typer.Option(help=_help("engine_socket"))] = None,
    threads: Annotated[int | None, typer.Option(help=_help("threads"))] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Announce the addresses as one JSON line.")] = False,
) -> None:
    """Serve the Cartesia API and gRPC from the models on this machine."""
    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        "device": device,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "gateways": gateways,
        "role": role,
        "engine_socket": engine_socket,
        "threads": threads,
    }
    settings = load_settings(config, flags)
    check_exposure(settings, key_store(settings))
    check_ports(settings)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for line in unknown_environment():
        logging.getLogger("descant").warning("environment variable %s sets nothing", line)
    if settings.gateways:
        asyncio.run(supervise(settings, _print_json if as_json else _announce_gateways))
    else:
        asyncio.run(_serve(settings, _announce_json if as_json else _announce))
    typer.echo("Stopped.", err=True)


async def _serve(settings: Settings, announce: Callable[[Listening], None]) -> None:
    if settings.role == "gateway":
        services = await build_gateway(settings)
    else:
        with Console(stderr=True).status("loading models …"):
            services = build(settings)
    await run_server(services, announce)


def _describe(listening: Listening) -> dict[str, Any]:
    services = listening.services
    host = _url_host(services.settings.host)
    scheme = "http" if services.settings.tls_certificate is None else "https"
    return {
        "version": version("descant"),
        "device": services.engine.device,
        "url": f"{scheme}://{host}:{listening.http_port}" if listening.http_port is not None else None,
        "grpc": f"{host}:{listening.grpc_port}" if listening.grpc_port is not None else None,
        "metrics": f"http://{host}:{listening.metrics_port}/metrics" if listening.metrics_port is not None else None,
    }


def _announce_json(listening: Listening) -> None:
    _print_json(_describe(listening))


def _print_json(where: dict[str, Any]) -> None:
    print(json.dumps(where), flush=True)


def _announce_gateways(where: dict[str, Any]) -> None:
    lines = [
        f"Descant {where['version']} on {where['device']}: one engine, {where['gateways']} gateways",
        "",
        f"  HTTP, SSE, WebSocket  {where['url']}",
        f"  gRPC                  {where['grpc'] or 'off'}",
        f"  metrics               {where['metrics'] or 'off'}",
        "",
        "Stop with Ctrl-C.",
    ]
    print("\n".join(lines), flush=True)


def _announce(listening: Listening) -> None:
    services, where = listening.services, _describe(listening)
    voices = services.voices.of("").list()
    asked = services.keys.list() or services.settings.require_keys
    keys = "required" if asked else "not needed on loopback (clients may send any)"
    curl = "curl -sS -H 'X-API-Key: YOUR_KEY'" if asked else "curl -sS"
    device = where["device"] if where["device"] != "cpu" else f"cpu, {services.settings.threads} thread(s) per model"
    if where["device"] == "cpu" and services.settings.device == "auto":
        device += " (no CUDA device found; `descant doctor` says why)"
    speech, ears = _ids_by_family(services.catalog.speech), _ids_by_family(services.catalog.recognition)
    lines = [
        f"Descant {where['version']} on {device}",
        "",
        f"  HTTP, SSE, WebSocket  {where['url']}",
        f"  gRPC                  {where['grpc'] or 'off'}",
        f"  metrics               {where['metrics'] or 'off'}",
        f"  API keys              {keys}",
        "",
        *[f"  speaks  {family:9} as {ids}" for family, ids in speech.items()],
        *[f"  hears   {family:9} as {ids}" for family, ids in ears.items()],
        f"  voices  {', '.join(voice.name for voice in voices)}  (`descant voices` shows ids)",
        "",
        "Try it from another terminal:",
        f"  {curl} {where['url']}/tts/bytes -H 'Content-Type: application/json' -o hello.wav -d \\",
        f"""    '{{"model_id":"sonic-turbo","transcript":"Hello there.","voice":"{voices[0].id}","""
        """"output_format":{"container":"wav","encoding":"pcm_s16le","sample_rate":24000}}'""",
        f"  {curl} {where['url']}/stt -F file=@hello.wav -F model=ink-whisper",
        f"Or point a Cartesia client at it: CARTESIA_BASE_URL={where['url']}",
        "Stop with Ctrl-C.",
    ]
    print("\n".join(lines), flush=True)


def _ids_by_family(table: Any) -> dict[str, str]:
    families: dict[str, list[str]] = {}
    for model_id, family in table.items():
        families.setdefault(family, []).append(model_id)
    return {
        family: f"{', '.join(ids[:4])} and {len(ids) - 4} more ids" if len(ids) > 5 else ", ".join(ids)
        for family, ids in families.items()
    }


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

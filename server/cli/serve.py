"""`descant serve`: start the server and say on one screen what it does."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from server.config import Settings, load_settings, unknown_environment
from server.engine.interface import ServedModel
from server.model_store.errors import gigabytes
from server.process.build import build, build_gateway
from server.process.data_folder import key_store
from server.process.listen import check_exposure, check_ports
from server.process.model_choice import choose_models, few_ids, ids_by_model, model_catalog
from server.process.serve import Listening
from server.process.serve import serve as run_server
from server.process.supervisor import supervise


def _help(setting: str) -> str:
    field = Settings.model_fields[setting]
    return f"{field.description} Default: {field.default}."


def _repeated(setting: str) -> str:
    field = Settings.model_fields[setting]
    return f"{field.description} May be repeated. Default: {', '.join(field.default)}."


def serve(
    host: Annotated[str | None, typer.Option(help=_help("host"))] = None,
    port: Annotated[int | None, typer.Option(help=_help("port"))] = None,
    grpc_port: Annotated[int | None, typer.Option(help=_help("grpc_port"))] = None,
    metrics_port: Annotated[int | None, typer.Option(help=_help("metrics_port"))] = None,
    device: Annotated[str | None, typer.Option(help=_help("device"))] = None,
    speech_model: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_repeated("speech_models"))] = None,
    recognition_model: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_repeated("recognition_models"))] = None,
    cuda_graphs: Annotated[bool | None, typer.Option(help=_help("cuda_graphs"))] = None,
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
        "speech_models": speech_model or None,
        "recognition_models": recognition_model or None,
        "cuda_graphs": cuda_graphs,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "gateways": gateways,
        "role": role,
        "engine_socket": engine_socket,
        "threads": threads,
    }
    settings = load_settings(config, flags)
    choose_models(settings)
    check_exposure(settings, key_store(settings))
    check_ports(settings)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for line in unknown_environment():
        logging.getLogger("descant").warning("environment variable %s sets nothing", line)
    announce = _print_json if as_json else partial(print_screen, settings)
    if settings.gateways:
        asyncio.run(supervise(settings, announce))
    else:
        asyncio.run(_serve(settings, announce))
    if settings.parent_fd < 0:
        typer.echo("Stopped.", err=True)
    # The interpreter's clearing up took 1 s in a gateway and 2.5 s with PyTorch, while whoever pressed Ctrl-C waits.
    # Nothing is left to save: every line was flushed when it was written.
    os._exit(0)


async def _serve(settings: Settings, announce: Callable[[dict[str, Any]], None]) -> None:
    if settings.role == "gateway":
        services = await build_gateway(settings)
    else:
        with Console(stderr=True).status("loading models …"):
            services = build(settings)
    await run_server(services, lambda listening: announce(_describe(listening)))


def _describe(listening: Listening) -> dict[str, Any]:
    services = listening.services
    host = _url_host(services.settings.host)
    scheme = "http" if services.settings.tls_certificate is None else "https"
    return {
        "version": version("descant"),
        "models": [_told(model) for model in services.engine.models],
        "threads": services.settings.threads,
        "url": f"{scheme}://{host}:{listening.http_port}" if listening.http_port is not None else None,
        "grpc": f"{host}:{listening.grpc_port}" if listening.grpc_port is not None else None,
        "metrics": f"http://{host}:{listening.metrics_port}/metrics" if listening.metrics_port is not None else None,
        "voices": [{"id": voice.id, "name": voice.name} for voice in services.voices.of("").list()],
    }


def _told(model: ServedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "family": model.family,
        "device": model.device,
        "engine": model.engine,
        "memory_bytes": model.weight_bytes,
        "languages": list(model.languages),
    }


def _print_json(where: dict[str, Any]) -> None:
    print(json.dumps(where), flush=True)


def print_screen(settings: Settings, where: dict[str, Any]) -> None:
    """``where`` is what `_describe` gave, with the number of ``gateways`` if there are any."""
    asked = key_store(settings).list() or settings.require_keys
    keys = "required" if asked else "not needed on loopback (clients may send any)"
    curl = "curl -sS -H 'X-API-Key: YOUR_KEY'" if asked else "curl -sS"
    catalog = model_catalog(settings, choose_models(settings))
    ids = ids_by_model(catalog)
    processes = f": one engine, {where['gateways']} gateway(s)" if "gateways" in where else ""
    tls = " with TLS" if where["grpc"] and settings.tls_certificate else ""
    lines = [
        f"Descant {where['version']} on {_devices(settings, where)}{processes}",
        "",
        f"  HTTP, SSE, WebSocket  {where['url']}",
        f"  gRPC                  {where['grpc'] or 'off'}{tls}",
        f"  metrics               {where['metrics'] or 'off'}",
        f"  API keys              {keys}",
        "",
        *[
            f"  {model['kind']:12} {model['name']:16} {_where_it_runs(model)} as {few_ids(ids[model['name']])}"
            for model in where["models"]
        ],
        f"  voices       {', '.join(voice['name'] for voice in where['voices'])}  (`descant voices` shows ids)",
        "",
        "Try it from another terminal:",
        f"  {curl} {where['url']}/tts/bytes -H 'Content-Type: application/json' -o hello.wav -d \\",
        f"""    '{{"model_id":"sonic-turbo","transcript":"Hello there.","voice":"{where["voices"][0]["id"]}","""
        """"output_format":{"container":"wav","encoding":"pcm_s16le","sample_rate":24000}}'""",
        f"  {curl} {where['url']}/stt -F file=@hello.wav -F model=ink-whisper",
        f"Or point a Cartesia client at it: CARTESIA_BASE_URL={where['url']}",
        "Stop with Ctrl-C.",
    ]
    print("\n".join(lines), flush=True)


def _devices(settings: Settings, where: Mapping[str, Any]) -> str:
    devices = list(dict.fromkeys(model["device"] for model in where["models"]))
    threads = where["threads"]
    counted = f", {threads} thread(s) per model" if threads and "cpu" in devices else ""  # a gateway alone does not know
    missing = " (no CUDA device found; `descant doctor` says why)" if devices == ["cpu"] and settings.device == "auto" else ""
    return f"{', '.join(devices)}{counted}{missing}"


def _where_it_runs(model: Mapping[str, Any]) -> str:
    facts = [model["engine"], gigabytes(model["memory_bytes"]) if model["memory_bytes"] else ""]
    told = ", ".join(fact for fact in facts if fact)
    return f"on {model['device']}{f' ({told})' if told else ''}"


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host

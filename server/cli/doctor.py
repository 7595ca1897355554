"""`descant doctor`: what works on this machine, and how to mend what does not."""

import importlib.util
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

import typer

from server.config import Settings, load_settings, unknown_environment
from server.process.model_choice import choose_models


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``ok`` is None for a remark that stops nothing."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check Python, torch, GPU, models, ports and keys. Exits with 1 if the server could not run."""
    findings = [check(load_settings()) for check in CHECKS]
    healthy = all(finding.ok is not False for finding in findings)
    if as_json:
        rows = [{"name": f.name, "ok": f.ok, "detail": f.detail, "remedy": f.remedy} for f in findings]
        typer.echo(json.dumps({"ok": healthy, "checks": rows}))
    else:
        marks = {
            True: typer.style("ok  ", fg="green"),
            False: typer.style("FAIL", fg="red"),
            None: typer.style("note", fg="yellow"),
        }
        for finding in findings:
            typer.echo(f"{marks[finding.ok]}  {finding.name:12} {finding.detail}")
            if finding.remedy:
                typer.echo(f"                    {finding.remedy}")
    if not healthy:
        raise typer.Exit(1)


def _python(_: Settings) -> Finding:
    enough = sys.version_info >= (3, 11)
    return Finding("python", enough, platform.python_version(), "" if enough else "Install Python 3.11 or newer.")


def _torch(_: Settings) -> Finding:
    import torch

    parts = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    enough = parts >= (2, 11)
    return Finding("torch", enough, torch.__version__, "" if enough else "pip install 'torch>=2.11'")


def _gpu(settings: Settings) -> Finding:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("gpu", True, f"{names}, CUDA {torch.version.cuda}")
    if torch.version.cuda is None:
        why, remedy = "this torch is built for the CPU only", "For a GPU: pip install torch with CUDA, see README."
    else:
        why, remedy = "torch has CUDA but sees no device", "Check the driver with nvidia-smi; in a container, pass --gpus all."
    wanted = settings.device.startswith("cuda")
    return Finding("gpu", False if wanted else None, f"none: {why}; models run on the CPU", remedy)


def _triton(_: Settings) -> Finding:
    import torch

    if importlib.util.find_spec("triton"):
        return Finding("triton", True, version("triton"))
    needed = torch.cuda.is_available()
    return Finding(
        "triton", False if needed else None, "not installed (used on GPUs only)", "pip install 'descant[gpu]'" if needed else ""
    )


def _models(settings: Settings) -> Finding:
    from server.process.loading import load_hearing, load_speech

    found = []
    try:
        choice = choose_models(settings)
        for model in choice.speech:
            found.append(f"{model.name} ({len(load_speech(settings, model, 'cpu').info.voices)} voices)")
        for model in choice.recognition:
            info = load_hearing(settings, model, "cpu").info
            found.append(f"{model.name} ({info.engine}, {len(info.languages)} language(s))")
    except Exception as error:
        remedy = "Reinstall the package, or correct speech_models and recognition_models; `descant models verify` checks files."
        return Finding("models", False, str(error), remedy)
    return Finding("models", True, ", ".join(found))


def _ports(settings: Settings) -> Finding:
    import socket

    taken = []
    for name in ("port", "grpc_port", "metrics_port"):
        number = getattr(settings, name)
        if number <= 0:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host if settings.is_loopback else "", number))
            except OSError as error:
                taken.append(f"{name} {number}: {error.strerror}")
    remedy = "Stop what uses them, or choose others (--port, --grpc-port, --metrics-port)." if taken else ""
    return Finding("ports", None if taken else True, "; ".join(taken) or "free", remedy)


def _keys(settings: Settings) -> Finding:
    from server.process.data_folder import key_store

    count = len(key_store(settings).list())
    if settings.is_loopback or count:
        return Finding("keys", True, f"{count} in {settings.data_dir}")
    return Finding("keys", False, f"none, and host is {settings.host}", "descant keys create NAME")


def _environment(_: Settings) -> Finding:
    unknown = unknown_environment()
    return Finding("environment", None if unknown else True, "; ".join(unknown) or "no unknown DESCANT_ variables")


CHECKS: tuple[Callable[[Settings], Finding], ...] = (_python, _torch, _gpu, _triton, _models, _ports, _keys, _environment)

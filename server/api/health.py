"""Is it up, may it get work, and what answers: routes that need no key."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from server.api.call import call_of
from server.api.versions import NEWEST


async def status(request: Request) -> JSONResponse:
    """``GET /``: what SDKs ask for, and which model answers each id."""
    services = call_of(request.scope).services
    models = {"tts": dict(services.catalog.speech), "stt": dict(services.catalog.recognition)}
    loaded = [
        {
            "name": model.name,
            "kind": model.kind,
            "family": model.family,
            "device": model.device,
            "engine": model.engine,
            "languages": list(model.languages),
            "voices": len(model.voices),
            "memory_bytes": model.weight_bytes if model.in_memory else 0,
            "in_memory": model.in_memory,
        }
        for model in services.engine.models
    ]
    return JSONResponse({"ok": True, "version": str(NEWEST), "models": models, "loaded": loaded})


async def live(request: Request) -> Response:
    """200 while the process runs."""
    return PlainTextResponse("ok\n")


async def ready(request: Request) -> Response:
    """503 while models are loading and once the server drains, so that balancers send no new work."""
    if call_of(request.scope).services.engine.ready:
        return PlainTextResponse("ready\n")
    return PlainTextResponse("not ready\n", 503, {"Retry-After": "1"})

"""The description of the API: whole, valid, and read from what the server uses."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from openapi_spec_validator import validate

from server.api import openapi
from server.api.app import HTTP_ROUTES, SOCKET_ROUTES
from server.api.schemas import SpeechBody
from tests.server.api.harness import ApiServer, opened


@pytest.fixture(scope="module")
def document(api: ApiServer) -> dict[str, Any]:
    answer = httpx.get(api.url + "/openapi.json")
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    shown = {(method.upper(), path) for path, item in document["paths"].items() for method in item if method != "parameters"}
    routes = {(method, path) for method, path, _ in HTTP_ROUTES} | {("GET", path) for path, _ in SOCKET_ROUTES}
    assert shown == routes | {("GET", "/")}
    assert all(operation["summary"] for item in document["paths"].values() for operation in _operations(item))


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_bodies_are_those_the_server_checks_with(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path in ("/tts/bytes", "/tts/sse"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": "#/components/schemas/SpeechBody"}
    names = {field.alias or name for name, field in SpeechBody.model_fields.items()}
    assert set(schemas["SpeechBody"]["properties"]) == names
    form = document["paths"]["/stt"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["allOf"]
    assert [form[0]["$ref"], form[1]["required"]] == ["#/components/schemas/TranscriptionForm", ["file"]]
    assert "timestamp_granularities[]" in schemas["TranscriptionForm"]["properties"]
    assert "requestBody" not in document["paths"]["/voices"]["get"]
    assert document["paths"]["/tts/websocket"]["get"]["x-message"] == {"$ref": "#/components/schemas/SpeechBody"}


def test_every_query_parameter_that_the_server_reads_is_in_it(document: dict[str, Any]) -> None:
    sources = "".join(path.read_text("utf-8") for path in Path(openapi.__file__).parent.glob("*.py"))
    read = set(re.findall(r'(?:query|query_params)\.get(?:list)?\("([^"]+)"', sources)) - {"expand"}
    assert {"limit", "language", "keyterm", "stage_times", "cartesia_version"} <= read
    assert read <= {name for path in document["paths"] for name in _query(document, path)}


def test_query_parameters_are_those_the_server_checks(api: ApiServer, document: dict[str, Any]) -> None:
    parameters = _query(document, "/stt/websocket")
    good = {"model": "ink-whisper", "encoding": "pcm_s16le", "sample_rate": "16000"}
    assert {name for name, parameter in parameters.items() if parameter["required"]} == set(good)
    for name, parameter in parameters.items():
        schema = parameter["schema"]
        wrong = str(schema["maximum"] + 1) if "maximum" in schema else "?" if parameter["required"] else None
        if wrong is not None:
            with opened(api, "/stt/websocket?" + urlencode({**good, name: wrong})) as socket:
                assert socket.receive()["message"].startswith(f"{name}:")


def test_the_page_lists_every_route_and_loads_nothing(api: ApiServer, document: dict[str, Any]) -> None:
    page = httpx.get(api.url + "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in document["paths"])
    assert "generation_config" in page.text
    assert not re.search(r"<script|<link|src=|https?://", page.text)


def test_errors_have_the_shape_that_it_says(api: ApiServer, document: dict[str, Any]) -> None:
    refused = httpx.post(api.url + "/tts/bytes", json={}).json()
    assert set(refused) == set(document["components"]["schemas"]["Error"]["required"])


def _query(document: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    operation = document["paths"][path].get("get", {})
    return {parameter["name"]: parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"}


def _operations(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for method, operation in item.items() if method != "parameters"]

"""Health, reflection, keys, start and stop."""

import asyncio
import base64
import subprocess
import sys
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server.config import ConfigError
from server.pb import speech_pb2 as pb
from server.requests.speech import Replacement
from server.storage.access_tokens import AccessTokens
from tests.fakes import ANNA, BERT, CLEO, DAI
from tests.server.rpc.conftest import Launch, Running
from tests.server.rpc.messages import config, converse, kinds, listen, refused, rest_of, text, unheard

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(running: Running, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(running.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return int(answer.status)


async def test_health_follows_the_engine(running: Running) -> None:
    for service in ("", "descant.v1.Speech", "descant.v1.Transcription", "descant.v1.Voices"):
        assert await health(running, service) == SERVING
    call = running.speech.Synthesize()
    await call.write(config())
    await call.initial_metadata()
    draining = asyncio.create_task(running.engine.stop(drain_s=5))
    await asyncio.sleep(0.3)
    assert await health(running) == NOT_SERVING
    code, _, _ = await refused(converse(running.speech.Synthesize, config(), text("Abc.")))
    assert code == grpc.StatusCode.UNAVAILABLE
    await call.write(text("Abc."))
    await call.done_writing()
    await draining
    assert (await rest_of(call))[-1].WhichOneof("message") == "done"


async def test_reflection_lists_the_services(running: Running) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="descant.v1.Speech"),
    ]
    names, file = await converse(stub.ServerReflectionInfo, *requests)
    listed = {service.name for service in names.list_services_response.service}
    assert {"descant.v1.Speech", "descant.v1.Transcription", "descant.v1.Voices", "grpc.health.v1.Health"} <= listed
    assert b"SynthesizeRequest" in file.file_descriptor_response.file_descriptor_proto[0]


async def test_voices(running: Running) -> None:
    answer = await running.voices.ListVoices(pb.ListVoicesRequest())
    assert [(voice.id, voice.name, voice.gender) for voice in answer.voices] == [
        (ANNA.id, "Anna", "feminine"),
        (BERT.id, "Bert", "masculine"),
        (CLEO.id, "Cleo", "feminine"),
        (DAI.id, "Dai", "masculine"),
    ]
    assert [voice.model for voice in answer.voices] == ["fake", "fake", "reader", "reader"]
    assert len((await running.voices.ListVoices(pb.ListVoicesRequest(language="en"))).voices) == 3
    of_reader = await running.voices.ListVoices(pb.ListVoicesRequest(model="reader"))
    assert [voice.name for voice in of_reader.voices] == ["Cleo", "Dai"]
    code, message, trailing = await refused(running.voices.ListVoices(pb.ListVoicesRequest(model="nobody")))
    assert (code, trailing["descant-field"]) == (grpc.StatusCode.NOT_FOUND, "model")
    assert "accepted values: fake, reader, sonic, " in message
    british = await running.voices.ListVoices(pb.ListVoicesRequest(language="en_GB"))
    assert [(voice.name, voice.language, voice.locale) for voice in british.voices] == [("Bert", "en", "en-GB")]
    code, message, trailing = await refused(running.voices.ListVoices(pb.ListVoicesRequest(language="tlh")))
    assert (code, trailing["descant-field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "language")
    assert "accepted values: en" in message


async def test_keys(launch: Launch) -> None:
    running = await launch(require_keys=True)
    key = running.keys.create("test")
    for metadata in (
        (("authorization", f"Bearer {key}"),),
        (("authorization", f"bearer {key}"),),
        (("x-api-key", key),),
    ):
        assert kinds(await converse(running.speech.Synthesize, config(), metadata=metadata)) == ["done"]
        assert kinds(await converse(running.transcription.Transcribe, listen(), metadata=metadata)) == ["done"]
        assert (await running.voices.ListVoices(pb.ListVoicesRequest(), metadata=metadata)).voices
    for wrong in (None, (("authorization", f"Basic {key}"),), (("x-api-key", key + "x"),), (("authorization", "Bearer "),)):
        for answers in (
            unheard(running.speech.Synthesize, metadata=wrong),
            unheard(running.transcription.Transcribe, metadata=wrong),
            running.voices.ListVoices(pb.ListVoicesRequest(), metadata=wrong),
        ):
            code, message, _ = await refused(answers)
            assert code == grpc.StatusCode.UNAUTHENTICATED
            assert key not in message
    assert await health(running) == SERVING


def carried(credential: str) -> list[tuple[tuple[str, str], ...]]:
    return [(("authorization", f"Bearer {credential}"),), (("x-api-key", credential),)]


async def test_token_stands_for_its_key_where_it_is_granted(launch: Launch) -> None:
    """As on HTTP: see tests/server/api/test_auth.py."""
    running = await launch(require_keys=True)
    running.keys.create("test")
    (key,) = running.keys.list()
    tokens = {grants: running.keys.tokens.create(key.id, grants, 60) for grants in (("tts",), ("stt",), ("tts", "stt"))}
    for grants, token in tokens.items():
        for metadata in carried(token):
            for grant, method, request in (
                ("tts", running.speech.Synthesize, config()),
                ("stt", running.transcription.Transcribe, listen()),
            ):
                if grant in grants:
                    assert kinds(await converse(method, request, metadata=metadata)) == ["done"]
                else:
                    code, message, _ = await refused(unheard(method, metadata=metadata))
                    assert code == grpc.StatusCode.PERMISSION_DENIED
                    assert f"allows {grants[0]}" in message
            code, message, _ = await refused(running.voices.ListVoices(pb.ListVoicesRequest(), metadata=metadata))
            assert (code, "ListVoices" in message) == (grpc.StatusCode.PERMISSION_DENIED, True)


async def test_token_sees_what_its_key_owns(launch: Launch) -> None:
    running = await launch(require_keys=True)
    plain = running.keys.create("test")
    (key,) = running.keys.list()
    dictionary = running.pronunciations.create(key.id, "mine", [Replacement("Abc", "d+efgh")])
    another = running.keys.tokens.create("key_of_nobody", ["tts"], 60)
    for credential in (plain, running.keys.tokens.create(key.id, ["tts"], 60)):
        for metadata in carried(credential):
            asked = config(pronunciation_dict_id=dictionary.id)
            assert kinds(await converse(running.speech.Synthesize, asked, metadata=metadata)) == ["done"]
    code, _, _ = await refused(unheard(running.speech.Synthesize, metadata=carried(another)[0]))
    assert code == grpc.StatusCode.UNAUTHENTICATED


async def test_token_ends_with_its_time_and_with_its_key(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    running = await launch(require_keys=True)
    running.keys.create("test")
    (key,) = running.keys.list()
    token = running.keys.tokens.create(key.id, ["tts"], 3600)
    (metadata, _) = carried(token)
    assert kinds(await converse(running.speech.Synthesize, config(), metadata=metadata)) == ["done"]
    with monkeypatch.context() as later:
        now_s = time.time()
        later.setattr("server.storage.authentication.time.time", lambda: now_s + 3600)
        code, message, _ = await refused(unheard(running.speech.Synthesize, metadata=metadata))
        assert (code, "expired" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)
    assert running.keys.revoke(key.id)
    code, message, _ = await refused(unheard(running.speech.Synthesize, metadata=metadata))
    assert (code, "not valid" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)


async def test_forged_tokens_and_the_order_of_carriers(launch: Launch, tmp_path: Path) -> None:
    running = await launch(require_keys=True)
    plain = running.keys.create("test")
    (key,) = running.keys.list()
    header, claims, signature = running.keys.tokens.create(key.id, ["tts"], 60).split(".")
    more = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"tts", b"stt")).decode().rstrip("=")
    another = AccessTokens(tmp_path / "another.json").create(key.id, ["tts"], 60)
    for forged in (f"{header}.{more}.{signature}", f"{header}.{claims}", "..", another):
        for metadata in (*carried(forged), (("authorization", f"Bearer {forged}"), ("x-api-key", plain))):
            code, _, _ = await refused(unheard(running.speech.Synthesize, metadata=metadata))
            assert code == grpc.StatusCode.UNAUTHENTICATED
    first_counts = (("authorization", f"Bearer {plain}"), ("authorization", "Bearer wrong"), ("x-api-key", "wrong"))
    assert kinds(await converse(running.speech.Synthesize, config(), metadata=first_counts)) == ["done"]


async def test_a_key_on_file_makes_keys_required_on_loopback_too(running: Running) -> None:
    assert kinds(await converse(running.speech.Synthesize, config())) == ["done"]
    running.keys.create("test")
    code, _, _ = await refused(unheard(running.speech.Synthesize))
    assert code == grpc.StatusCode.UNAUTHENTICATED


async def test_a_taken_port_is_said(running: Running, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{running.port}.*--grpc-port"):
        await Running(tmp_path).server.start("127.0.0.1", running.port)


async def test_stop_ends_open_calls_and_frees_the_port(running: Running) -> None:
    call = running.speech.Synthesize()
    await call.write(config())
    await call.initial_metadata()
    await running.server.stop(grace_s=0.05)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 5)
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    await running.until_free()
    assert await running.server.start("127.0.0.1", running.port) == running.port


async def test_stop_before_start(tmp_path: Path) -> None:
    await Running(tmp_path).server.stop(grace_s=0)


def test_generated_code_is_that_of_the_contract(repository: Path, tmp_path: Path) -> None:
    arguments = ["-Iserver/pb=proto", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments, "server/pb/speech.proto"]
    subprocess.run(command, cwd=repository, check=True, timeout=60)
    for name in ("speech_pb2.py", "speech_pb2.pyi", "speech_pb2_grpc.py"):
        committed = (repository / "server" / "pb" / name).read_text()
        assert (tmp_path / "server" / "pb" / name).read_text() == committed, f"run `make proto`: {name} is not up to date"

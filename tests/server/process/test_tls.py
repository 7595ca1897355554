"""HTTPS and WSS, with the SDK's own socket, and gRPC, against a real server process."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from cartesia import Cartesia

from server.bench.process import ServerProcess
from server.config import ConfigError, load_settings
from server.pb import speech_pb2, speech_pb2_grpc


def test_sdk_speaks_over_wss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    files = ("--tls-certificate", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    audio_format: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
    with ServerProcess.start(*files, environment={"DESCANT_DATA_DIR": str(tmp_path)}) as server:
        assert server.url.startswith("https://")
        assert httpx.get(server.url + "/readyz").status_code == 200
        # No websocket_base_url: like the JavaScript SDK, this one opens wss:// then.
        with Cartesia(api_key="any", base_url=server.url) as client, client.tts.websocket_connect() as connection:
            voice = client.voices.list(limit=1).data[0]
            context = connection.context(model_id="sonic-turbo", voice=voice.id, output_format=audio_format)
            context.push("Hello over TLS.")
            context.no_more_inputs()
            kinds = [event.type for event in context.receive()]
        authorities = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        assert _voices(grpc.secure_channel(server.grpc, authorities)) >= 3
        with pytest.raises(grpc.RpcError) as refused:
            _voices(grpc.insecure_channel(server.grpc))
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert kinds[-1] == "done"
    assert "chunk" in kinds


def _voices(channel: Any) -> int:
    """How many voices the server lists on this channel."""
    with channel:
        stub = speech_pb2_grpc.VoicesStub(channel)  # type: ignore[no-untyped-call]
        return len(stub.ListVoices(speech_pb2.ListVoicesRequest(), timeout=20).voices)


def test_what_no_server_could_use_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    with pytest.raises(ConfigError, match="belong together"):
        load_settings(flags={"tls_key": key})
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(flags={"tls_key": key, "tls_certificate": tmp_path / "none.pem"})
    with pytest.raises(ConfigError, match="cannot be used"):
        load_settings(flags={"tls_key": key, "tls_certificate": key})

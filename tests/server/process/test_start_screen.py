"""What `descant serve` prints once it serves, in one process or in several."""

from pathlib import Path
from typing import Any

import pytest

from server.cli.serve import print_screen
from server.config import Settings

_WHERE: dict[str, Any] = {
    "version": "1.2.3",
    "models": [
        {"name": "conv_tts", "kind": "speech", "family": "conv_tts", "device": "cpu", "engine": "", "memory_bytes": 0},
        {
            "name": "whisper-descant",
            "kind": "recognition",
            "family": "whisper",
            "device": "cpu",
            "engine": "torch float32",
            "memory_bytes": 5e6,
        },
    ],
    "threads": 2,
    "url": "http://127.0.0.1:8080",
    "grpc": "127.0.0.1:50051",
    "metrics": None,
    "voices": [{"id": "a-voice", "name": "Anna"}, {"id": "b-voice", "name": "Bert"}],
}


def _screen(capsys: pytest.CaptureFixture[str], settings: Settings, **more: Any) -> list[str]:
    print_screen(settings, {**_WHERE, **more})
    return capsys.readouterr().out.splitlines()


def test_gateways_have_the_screen_of_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu")
    alone, with_gateways = _screen(capsys, settings), _screen(capsys, settings, gateways=3)
    assert alone[0] == "Descant 1.2.3 on cpu, 2 thread(s) per model"
    assert with_gateways[0] == f"{alone[0]}: one engine, 3 gateway(s)"
    assert with_gateways[1:] == alone[1:]
    assert _screen(capsys, settings, threads=0)[0] == "Descant 1.2.3 on cpu"


def test_the_screen_says_what_is_there_and_how_to_try_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(_screen(capsys, Settings(data_dir=tmp_path, device="auto", require_keys=True)))
    assert "no CUDA device found" in text
    assert "metrics               off" in text
    assert "API keys              required" in text
    assert "TLS" not in text
    assert "speech       conv_tts         on cpu as sonic, sonic-latest, " in text
    assert "recognition  whisper-descant  on cpu (torch float32, 5 MB) as ink-whisper, " in text
    assert "voices       Anna, Bert" in text
    assert "curl -sS -H 'X-API-Key: YOUR_KEY' http://127.0.0.1:8080/tts/bytes" in text
    assert '"voice":"a-voice"' in text


def test_the_screen_says_that_grpc_speaks_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(data_dir=tmp_path).model_copy(update={"tls_certificate": tmp_path / "cert.pem"})
    assert "  gRPC                  127.0.0.1:50051 with TLS" in _screen(capsys, settings)

"""Settings: flag > environment (``DESCANT_…``) > file > default. Strict, frozen, help under each field.

An unknown key in the file stops the start and names the nearest known key; an
unknown ``DESCANT_`` environment variable is only reported, because
orchestrators inject variables that nobody asked for.
"""

import difflib
import ipaddress
import json
import os
import ssl
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from models.packaged import RECOGNIZER, VOICE

DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"

REPLACED: Mapping[str, str] = {
    "speech_model": "is speech_models now, a list of names (--speech-model NAME, which may be repeated)",
    "recognition_model": "is recognition_models now, a list of names (--recognition-model NAME, which may be repeated)",
    "recognition_folder": (
        "is gone: import the folder once with `descant models import PATH --name NAME`, then load it with "
        "--recognition-model NAME (setting recognition_models)"
    ),
}
"""Settings of earlier versions, and what to do instead."""


class ConfigError(Exception):
    """A setting is wrong; the message says which and what it takes."""


def _names(value: Any) -> Any:
    """A list, also as one text: JSON, or names with commas between them."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return json.loads(value) if isinstance(value, str) else value
    return [name.strip() for name in value.split(",") if name.strip()]


ModelNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


class Limits(BaseModel):
    """Bounds that keep one client from hurting the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_speech_sessions: int = Field(64, ge=1, le=4096, description="Contexts that may speak at once; more get 429.")
    max_transcription_sessions: int = Field(64, ge=1, le=4096, description="Audio streams transcribed at once; more get 429.")
    max_queued_sessions: int = Field(128, ge=0, le=65536, description="Contexts that may wait for a slot; more get 429.")
    max_queue_s: float = Field(0.05, ge=0, description="Contexts that would wait longer than this for a slot get 429.")
    max_sessions_per_key: int = Field(
        0,
        ge=0,
        le=65536,
        description="Contexts, and audio streams, that one API key may have open; more get 429. 0: only key_share bounds them.",
    )
    key_share: float = Field(
        0.875,
        gt=0,
        le=1,
        description="Part of the slots, and of the places, that one API key may take; the rest is for others.",
    )
    context_idle_s: float = Field(30.0, gt=0, description="An open context without text or audio for this long is ended.")
    stall_timeout_s: float = Field(10.0, gt=0, description="A client that reads nothing for this long loses its slot.")
    websocket_idle_s: float = Field(300.0, gt=0, description="A socket without traffic for this long is closed.")
    transcription_idle_s: float = Field(180.0, gt=0, description="An audio socket without a message for this long is closed.")
    max_upload_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="Largest audio file taken by POST /stt.")
    max_upload_s: float = Field(3 * 3600.0, gt=0, description="Longest audio, in seconds, taken by POST /stt.")
    max_model_load_s: float = Field(
        10.0, ge=0, description="Requests wait for a model that comes back to memory if that takes at most so long; else 503."
    )
    drain_s: float = Field(30.0, ge=0, description="At shutdown, how long running streams may finish.")


class Settings(BaseSettings):
    """Everything `descant serve` can be told."""

    model_config = SettingsConfigDict(
        env_prefix="DESCANT_", env_nested_delimiter="__", frozen=True, extra="forbid", nested_model_default_partial_update=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on. Any but loopback requires keys.")
    port: int = Field(8080, ge=0, le=65535, description="HTTP and WebSocket port; 0 picks a free one.")
    grpc_port: int = Field(50051, ge=-1, le=65535, description="gRPC port; 0 picks a free one, -1 turns gRPC off.")
    metrics_port: int = Field(9090, ge=-1, le=65535, description="Prometheus port; 0 picks a free one, -1 turns it off.")
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate chain; HTTP, WebSocket and gRPC then speak TLS. Goes with a key."
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")
    device: str = Field("auto", pattern=DEVICE, description="auto, cpu, cuda or cuda:N.")
    cuda_graphs: bool = Field(
        True, description="Replay the voice's steps on a card as CUDA graphs; false launches their kernels one by one."
    )
    gateways: int = Field(
        0, ge=0, le=256, description="Processes that answer HTTP before one engine process; 0 does all in one process."
    )
    role: str = Field(
        "all",
        pattern=r"^(all|engine|gateway)$",
        description="What this process does: all, engine (models and gRPC), gateway (HTTP).",
    )
    engine_socket: Path | None = Field(None, description="Unix socket between gateways and their engine; both roles need it.")
    listen_fd: int = Field(-1, ge=-1, description="Inherited socket that a gateway listens on, instead of host and port.")
    parent_fd: int = Field(-1, ge=-1, description="Inherited pipe; this process stops when its other end is closed.")
    threads: int = Field(
        0, ge=0, le=256, description="CPU threads per model; 0 measures at the start what pays, up to half of the cores."
    )
    data_dir: Path = Field(
        Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "descant",
        description="Where keys, voices and pronunciations are kept.",
    )
    models_dir: Path = Field(
        default_factory=lambda given: given["data_dir"] / "models",
        description="Where models are installed (descant models); may be read-only for a server. Default: models in data_dir.",
    )
    require_keys: bool = Field(False, description="Ask for an API key on loopback too.")
    default_version: str = Field(
        "2026-08-14", pattern=r"^\d{4}-\d\d-\d\d$", description="Cartesia-Version of requests that name none."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins of web pages that may call the HTTP API, such as https://app.example.com; * is all."
    )
    speech_models: ModelNames = Field(
        (VOICE.name,), min_length=1, description="Models that speak, by name; the first answers to the sonic ids too."
    )
    recognition_models: ModelNames = Field(
        (RECOGNIZER.name,),
        min_length=1,
        description="Models that recognize speech, by name; the first answers to the ink ids and OpenAI's too.",
    )
    model_ids: dict[str, str] = Field(
        default_factory=dict, description="Extra model ids, each with the name of the model that answers."
    )
    model_devices: dict[str, Annotated[str, Field(pattern=DEVICE)]] = Field(
        default_factory=dict, description="Devices of single models, by name: auto, cpu, cuda or cuda:N; else device holds."
    )
    recognition_engine: str = Field(
        "auto",
        pattern=r"^(auto|torch|ctranslate2)$",
        description="What runs recognizers: torch, ctranslate2, or auto for the faster one on the device, timed at the start.",
    )
    model_idle_s: float = Field(
        0.0, ge=0, description="A model without sessions for this long leaves memory, until it is asked for; 0: never."
    )
    log_level: str = Field("info", pattern=r"^(debug|info|warning|error)$", description="debug, info, warning or error.")
    limits: Limits = Field(default_factory=lambda: Limits(), description="Bounds per server.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: give both or neither")
        for file in (self.tls_certificate, self.tls_key):
            if file is not None and not file.is_file():
                raise ValueError(f"{file} does not exist")
        if self.tls_certificate is not None:
            _check_certificate(self.tls_certificate, self.tls_key)
        return self

    @model_validator(mode="after")
    def _roles_meet(self) -> Self:
        if self.role != "all" and self.engine_socket is None:
            raise ValueError(f"role {self.role} needs engine_socket")
        if self.role != "all" and self.gateways:
            raise ValueError("gateways belongs to role all, which starts the processes of the other roles")
        return self

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _check_certificate(certificate: Path, key: Path | None) -> None:
    """Raises ValueError where no server could use them."""
    try:
        # Without the password a key that has one would be asked for on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"tls_certificate {certificate} and tls_key {key} cannot be used: {error}") from None


def load_settings(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Join the sources. ``flags`` holds only what was given on the command line.

    Raises ConfigError naming the setting, its source and the accepted values.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    from_file = _read_file(file) if file else {}
    from_environment = set(os.environ)
    # Environment beats the file: a key of the file only counts where no variable sets it.
    merged = {k: v for k, v in from_file.items() if f"DESCANT_{k.upper()}" not in from_environment}
    if isinstance(merged.get("limits"), dict):
        merged["limits"] = {k: v for k, v in merged["limits"].items() if f"DESCANT_LIMITS__{k.upper()}" not in from_environment}
    _refuse_replaced("environment", {name.removeprefix("DESCANT_").lower() for name in from_environment})
    try:
        return Settings(**{**merged, **given})
    except SettingsError as error:
        raise ConfigError(f"environment: {error}; lists and tables are written as JSON") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if not name:
            raise ConfigError(first["msg"].removeprefix("Value error, ")) from None
        raise ConfigError(f"setting {name}: {first['msg']} (got {first.get('input')!r})") from None


def unknown_environment() -> list[str]:
    """Names of ``DESCANT_`` variables that set nothing, each with the nearest known one."""
    known = {f"DESCANT_{name.upper()}" for name in Settings.model_fields}
    known |= {f"DESCANT_LIMITS__{name.upper()}" for name in Limits.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith("DESCANT_") and name not in known)
    return [name + _nearest(name, known) for name in unknown]


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None
    _refuse_replaced(file, values)
    _refuse_unknown(file, values, Settings.model_fields)
    if isinstance(values.get("limits"), dict):
        _refuse_unknown(file, values["limits"], Limits.model_fields)
    return values


def _refuse_replaced(source: object, names: Collection[str]) -> None:
    for name, instead in REPLACED.items():
        if name in names:
            raise ConfigError(f"{source}: setting {name} {instead}")


def _refuse_unknown(file: Path, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in values:
        if name not in known:
            raise ConfigError(f"{file}: unknown setting {name!r}" + _nearest(name, known))


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""

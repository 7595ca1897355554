"""Pulling from a hub that does everything that hubs and networks do."""

import dataclasses
import errno
import getpass
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.model_store import catalogue, download
from server.model_store.errors import ModelCorrupt, ModelMissing, ModelStoreError
from server.model_store.network import HUB, Network
from server.model_store.pull import Dialogue, pull
from server.model_store.store import InstalledModel, ModelStore
from tests.server.model_store.checkpoints import bytes_under
from tests.server.model_store.commands import descant, nothing_installed, refused
from tests.server.model_store.loopback_hub import COMMIT, Fault, LoopbackHub

WEIGHTS = "model.safetensors"
HALF = 600_000
Puller = Callable[..., InstalledModel]


@pytest.fixture
def fetch(store: ModelStore, hub: LoopbackHub) -> Puller:
    """Pull the hub's model with short pauses."""

    def fetch(reference: str = hub.reference, from_cache: bool = False, **network: object) -> InstalledModel:
        quick = {"attempts": 3, "first_pause_s": 0.01, "timeout_s": 5.0, **network}
        settings = dataclasses.replace(Network.from_environment(), **quick)  # type: ignore[arg-type]
        dialogue = Dialogue(lambda line: None, lambda *_: None, lambda *_: True)
        return pull(store, reference, None, settings, from_cache, dialogue)

    return fetch


def unfinished(store: ModelStore) -> dict[str, int]:
    return {name: size for name, size in bytes_under(store.folder).items() if name.startswith("staging/")}


def test_a_repository_is_pulled_by_commit_and_only_once(
    store: ModelStore, hub: LoopbackHub, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    hub.files["README.md"] = b"about"
    hub.files["flax_model.msgpack"] = b"x" * 200_000
    assert descant("pull", hub.reference, "--accept-licence", "MIT", "--json") == 0
    shown = capsys.readouterr()
    installed = json.loads(shown.out)
    assert (installed["name"], installed["licence"]["id"]) == ("tiny", "mit")
    assert installed["licence"]["accepted_by"] == getpass.getuser()
    assert installed["licence"]["accepted_at"]
    assert installed["source"]["reference"] == hub.reference
    sources = {file["name"]: file for file in installed["source"]["files"]}
    assert sources[WEIGHTS]["url"] == f"{hub.url}/team/tiny/resolve/{COMMIT}/{WEIGHTS}"
    assert sources[WEIGHTS]["sha256"] == hashlib.sha256(hub.files[WEIGHTS]).hexdigest()
    for line in ("licence    mit", "free in", "memory"):
        assert line in shown.err
    assert (store.find("tiny").folder / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    assert not hub.asked("README.md")
    assert not hub.asked("flax_model.msgpack")
    # The token goes to the hub, and not to the host that the hub refers to.
    assert {(r.host.split(":")[0], r.authorization) for r in hub.requests} == {
        ("127.0.0.1", "Bearer secret-token"),
        ("localhost", None),
    }
    assert not unfinished(store)
    before = len(hub.requests)
    assert descant("pull", hub.reference, "--accept-licence", "MIT") == 0
    assert "installed already" in capsys.readouterr().err
    assert not [r for r in hub.requests[before:] if WEIGHTS in r.path or "stored" in r.path]


def test_a_licence_is_accepted_by_name_before_the_first_byte(
    store: ModelStore, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "pull", hub.reference).endswith("the licence mit has to be accepted: say --accept-licence mit")
    assert "the licence is mit" in refused(capsys, "pull", hub.reference, "--accept-licence", "apache-2.0")
    hub.licence = None
    assert "--accept-licence unknown" in refused(capsys, "pull", hub.reference)
    assert not hub.asked(WEIGHTS)
    assert nothing_installed(store)


def test_only_names_of_the_catalogue_and_whole_commits_are_taken(
    store: ModelStore, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "near it: whisper-base" in refused(capsys, "pull", "wisper-base", code=1)
    assert "hf://OWNER/NAME@COMMIT" in refused(capsys, "pull", "hf://tiny")
    for reference in ("hf://team/tiny", "hf://team/tiny@main", f"hf://team/tiny@{COMMIT[:7]}", f"hf://team/tiny@{COMMIT}/x"):
        assert "does not name a commit" in refused(capsys, "pull", reference)
    assert not hub.requests


def test_a_download_that_breaks_off_is_taken_up_where_it_was(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    # More often than the attempts: each brought something, so none counts.
    hub.faults[WEIGHTS] = [Fault(break_after=200_000) for _ in range(5)]
    assert not store.verify(fetch())
    ranges = [request.range for request in hub.asked(WEIGHTS) if request.path.startswith("/stored")]
    starts = [int(range_.removeprefix("bytes=").rstrip("-")) for range_ in ranges if range_ is not None]
    assert len(starts) == 5
    assert starts == sorted(starts)
    assert starts[0] > 0


def test_what_came_before_giving_up_is_kept_for_the_next_pull(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.faults[WEIGHTS] = [Fault(break_after=HALF), *[Fault(503)] * 9]
    with pytest.raises(ModelStoreError, match=r"model\.safetensors.*answered 503 \(3 attempts\).*the next pull takes it up"):
        fetch()
    assert store.list() == ()
    kept = next(size for name, size in unfinished(store).items() if "model.safetensors" in name)
    hub.faults.clear()
    before = len(hub.requests)
    assert not store.verify(fetch())
    assert f"bytes={kept}-" in [request.range for request in hub.requests[before:]]
    assert not unfinished(store)


def test_unfinished_downloads_can_be_removed(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.faults[WEIGHTS] = [Fault(break_after=HALF), *[Fault(503)] * 9]
    with pytest.raises(ModelStoreError):
        fetch()
    assert store.remove_unused() > 0
    assert nothing_installed(store)


def test_a_server_that_ignores_ranges_is_read_from_the_start(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.faults[WEIGHTS] = [Fault(break_after=HALF), Fault(ignore_range=True)]
    assert not store.verify(fetch())


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_in_trouble_is_asked_again(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(download, "LONGEST_PAUSE_S", 0.05)
    hub.faults = {WEIGHTS: [Fault(status, {"Retry-After": "3600"})], "api": [Fault(status)], "config.json": [Fault(status)] * 2}
    assert not store.verify(fetch())


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, ModelStoreError, "answered 401: access is refused. Set HF_TOKEN"),
        (403, ModelStoreError, "answered 403: access is refused. Set HF_TOKEN"),
        (404, ModelMissing, "does not exist (it answered 404)"),
        (418, ModelStoreError, "answered 418"),
    ],
)
@pytest.mark.parametrize("where", ["api", "tokenizer.json", WEIGHTS])
def test_a_server_that_refuses_is_not_asked_again(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, status: int, kind: type[ModelStoreError], message: str, where: str
) -> None:
    hub.faults[where] = [Fault(status)] * 9
    with pytest.raises(kind) as raised:
        fetch()
    assert message in str(raised.value)
    assert len(hub.faults[where]) == 8
    assert store.list() == ()


@pytest.mark.parametrize(("name", "kind"), [(WEIGHTS, "sha256"), ("tokenizer.json", "git sha1")])
def test_a_wrong_byte_is_found_named_with_both_hashes_and_deleted(
    store: ModelStore, hub: LoopbackHub, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    hub.faults[name] = [Fault(flip=1000)]
    content = bytearray(hub.files[name])
    header = b"" if kind == "sha256" else b"blob %d\0" % len(content)
    make = hashlib.sha256 if kind == "sha256" else hashlib.sha1
    expected = make(header + content).hexdigest()
    content[1000] ^= 1
    found = make(header + content).hexdigest()
    message = refused(capsys, "pull", hub.reference, "--accept-licence", "mit", code=3)
    assert f"has the {kind} {found} instead of {expected}; the download was deleted" in message
    assert store.list() == ()
    assert not [part for part in unfinished(store) if name in part]
    assert descant("pull", hub.reference, "--accept-licence", "mit") == 0


def test_a_wrong_byte_in_what_was_downloaded_before_is_found(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.faults[WEIGHTS] = [Fault(break_after=HALF, flip=5), *[Fault(503)] * 9]
    with pytest.raises(ModelStoreError):
        fetch()
    hub.faults.clear()
    with pytest.raises(ModelCorrupt, match="the download was deleted"):
        fetch()
    assert not store.verify(fetch())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(say_bytes=10), r"has 10 bytes instead of \d+"),
        (Fault(say_bytes=99_000_000, break_after=1000), r"has 99000000 bytes instead of \d+"),
        (Fault(longer=True), r"sends more than its \d+ bytes"),
    ],
)
def test_a_server_that_lies_about_sizes_is_not_believed(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, fault: Fault, message: str
) -> None:
    hub.faults[WEIGHTS] = [fault]
    with pytest.raises(ModelCorrupt, match=message):
        fetch()
    assert store.list() == ()
    assert not [part for part in unfinished(store) if WEIGHTS in part]


def test_a_commit_that_became_another_is_refused(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.commit = "f" * 40
    with pytest.raises(ModelCorrupt, match=f"lists the commit {'f' * 40} instead of {COMMIT}"):
        fetch()
    assert nothing_installed(store)


def test_a_slow_server_is_given_up_and_asked_again(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.faults[WEIGHTS] = [Fault(wait_s=1.0)]
    assert not store.verify(fetch(timeout_s=0.3))
    assert len([r for r in hub.asked(WEIGHTS) if r.path.startswith("/stored")]) == 2


def test_a_server_that_is_not_there_is_named(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    with pytest.raises(ModelStoreError, match=r"http://127\.0\.0\.1:9/api/.*cannot be read.*\(3 attempts\)"):
        fetch(endpoint="http://127.0.0.1:9")
    assert nothing_installed(store)


def test_names_in_a_listing_never_lead_out_of_the_store(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.further_entries = [
        {"rfilename": name, "size": 3, "blobId": "0" * 40} for name in ("../LICENSE", "/etc/passwd", "a/../../LICENSE", "..")
    ]
    assert {file.name for file in fetch().manifest.source.files} <= set(hub.files)


def test_a_repository_that_is_no_model_is_refused_before_its_files_come(
    store: ModelStore, hub: LoopbackHub, fetch: Puller
) -> None:
    hub.files["config.json"] = b'{"model_type": "bert"}'
    with pytest.raises(ModelStoreError, match="model_type 'bert'"):
        fetch()
    assert not hub.asked(WEIGHTS)
    assert nothing_installed(store)


def test_a_checkpoint_that_cannot_be_converted_leaves_nothing(store: ModelStore, hub: LoopbackHub, fetch: Puller) -> None:
    hub.files[WEIGHTS] = b"no weights" * 20_000
    with pytest.raises(ModelStoreError, match=WEIGHTS):
        fetch()
    assert nothing_installed(store)


def test_a_disk_that_fills_up_while_downloading_leaves_nothing(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = download._Transfer._write

    def full(self: download._Transfer, *arguments: object) -> None:
        real(self, *arguments)  # type: ignore[arg-type]
        if self.file.name == WEIGHTS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download._Transfer, "_write", full)
    with pytest.raises(ModelStoreError, match="is full; nothing was installed"):
        fetch()
    assert nothing_installed(store)


def test_two_pulls_at_once_in_two_processes_download_once(store: ModelStore, hub: LoopbackHub) -> None:
    hub.faults[WEIGHTS] = [Fault(wait_s=3.0)]  # the first holds the lock until the second waits for it
    command = [sys.executable, "-m", "server", "models", "pull", hub.reference, "--accept-licence", "mit"]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert len([r for r in hub.requests if r.path.startswith("/stored")]) == 1
    assert any("was installed meanwhile" in text or "is installed already" in text for text in told)
    assert not store.verify(store.find("tiny"))


def test_a_pull_can_be_held_below_a_rate(hub: LoopbackHub, fetch: Puller) -> None:
    size = sum(map(len, hub.files.values()))
    before = time.monotonic()
    fetch(max_bytes_per_s=2.0 * size)
    assert time.monotonic() - before >= 0.4


def test_a_proxy_is_used(store: ModelStore, hub: LoopbackHub, fetch: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert not store.verify(fetch())
    assert {request.host for request in hub.requests} == {"hub.invalid", f"localhost:{hub.port}"}


def fill_cache(hub: LoopbackHub, cache: Path) -> Path:
    """As the hub's client leaves it: blobs by hash, and links to them by name for the commit."""
    repository = cache / "models--team--tiny"
    snapshot = repository / "snapshots" / COMMIT
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for entry in hub.listing()["siblings"]:  # type: ignore[attr-defined]
        blob = entry["lfs"]["sha256"] if "lfs" in entry else entry["blobId"]
        (repository / "blobs" / blob).write_bytes(hub.files[entry["rfilename"]])
        (snapshot / entry["rfilename"]).symlink_to(f"../../blobs/{blob}")
    return repository


def test_files_in_a_cache_are_reused_by_hash(store: ModelStore, hub: LoopbackHub, fetch: Puller, tmp_path: Path) -> None:
    fill_cache(hub, tmp_path / "hf-home" / "hub")
    assert not store.verify(fetch(from_cache=True))
    assert not [request for request in hub.requests if request.path.startswith("/stored")]


def test_a_damaged_file_in_a_cache_is_downloaded_instead(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, tmp_path: Path
) -> None:
    repository = fill_cache(hub, tmp_path / "hf-home" / "hub")
    blob = (repository / "snapshots" / COMMIT / WEIGHTS).resolve()
    content = bytearray(blob.read_bytes())
    content[77] ^= 1
    blob.write_bytes(content)
    assert not store.verify(fetch(from_cache=True))
    assert [request for request in hub.requests if request.path.startswith("/stored")]


def test_offline_nothing_is_asked(
    store: ModelStore, hub: LoopbackHub, fetch: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for reference in (hub.reference, "whisper-tiny"):
        with pytest.raises(ModelMissing, match=r"HF_HUB_OFFLINE is set.*bundle export"):
            fetch(reference, from_cache=True)
    repository = fill_cache(hub, tmp_path / "hf-home" / "hub")
    assert not store.verify(fetch(from_cache=True))
    assert not hub.requests
    assert descant("rm", "tiny") == 0
    (repository / "snapshots" / COMMIT / WEIGHTS).resolve().unlink()
    with pytest.raises(ModelStoreError):
        fetch(from_cache=True)
    assert not hub.requests


def test_the_environment_is_read_as_the_hubs_own_client_reads_it(tmp_path: Path) -> None:
    plain = Network.from_environment(environment={"HF_HOME": str(tmp_path)})
    assert (plain.endpoint, plain.token, plain.offline, plain.cache) == (HUB, None, False, tmp_path / "hub")
    (tmp_path / "token").write_text("stored\n")
    assert Network.from_environment(environment={"HF_HOME": str(tmp_path)}).token == "stored"
    given = {"HF_HOME": str(tmp_path), "HF_TOKEN": "t", "HF_HUB_OFFLINE": "True", "HF_ENDPOINT": "https://in.house/"}
    network = Network.from_environment(environment={**given, "HF_HUB_CACHE": "/cache"})
    assert (network.endpoint, network.token, network.offline) == ("https://in.house", "t", True)
    assert network.cache == Path("/cache")
    mirrored = Network.from_environment("http://mirror:8081/models/", environment=given)
    assert mirrored.address("https://one.example/a/b.pt") == "http://mirror:8081/models/a/b.pt"
    assert mirrored.endpoint == "http://mirror:8081/models"
    assert "Authorization" in mirrored.headers("http://mirror:8081/models/x")
    assert "Authorization" not in mirrored.headers("http://mirror:8081/models.evil/x")


@pytest.fixture
def openai_catalogue(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """A catalogue of one model, whose files lie on the hub under the paths of their own addresses."""
    from tests.models.outside_checkpoints import small_whisper, write_openai, write_tiktoken

    content = {
        "mini.pt": write_openai(tmp_path / "mini.pt", small_whisper()).read_bytes(),
        "multilingual.tiktoken": write_tiktoken(tmp_path / "multilingual.tiktoken").read_bytes(),
    }
    hub.paths = {f"/somewhere/{name}": data for name, data in content.items()}
    place = "https://host.invalid/somewhere"
    files = [
        {"name": name, "url": f"{place}/{name}", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in content.items()
    ]
    model = {"family": "whisper", "kind": "recognition", "licence": "l", "languages": "all", "parameters": 9, "files": files}
    path = tmp_path / "catalogue.json"
    path.write_text(
        json.dumps(
            {
                "licences": {"l": {"id": "MIT", "text": "Permission is granted."}},
                "language_sets": {"all": ["en", "de"]},
                "models": {"mini": model},
            }
        )
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", path)
    return hub


def test_a_model_of_the_catalogue_from_a_mirror(
    store: ModelStore, openai_catalogue: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = openai_catalogue
    assert descant("pull", "mini", "--accept-licence", "MIT", "--mirror", hub.url) == 0
    shown = capsys.readouterr().err
    assert "mini.pt" in shown
    model = store.find("mini")
    assert (model.folder / "LICENSE").read_text() == "Permission is granted."
    assert model.manifest.source.layout == "OpenAI"
    made = {conversion.output: conversion for conversion in model.manifest.conversions}
    assert made[WEIGHTS].inputs == {"mini.pt": hashlib.sha256(hub.paths["/somewhere/mini.pt"]).hexdigest()}
    assert made[WEIGHTS].output_sha256 == hashlib.sha256((model.folder / WEIGHTS).read_bytes()).hexdigest()
    before = len(hub.requests)
    assert descant("pull", "mini", "--mirror", hub.url) == 0
    assert len(hub.requests) == before
    assert refused(capsys, "pull", "min", code=1).startswith("descant: 'min' is not in the catalogue; near it: mini")


def test_the_packaged_catalogue_pins_everything(capsys: pytest.CaptureFixture[str]) -> None:
    known = catalogue.Catalogue()
    assert len(known.names()) == 12
    for name in known.names():
        offer = known.offer(name)
        assert "Permission is hereby granted" in (offer.licence_text or "")
        assert offer.languages is not None
        assert (offer.languages == ("en",)) == name.endswith(".en")
        weights, vocabulary = offer.files
        assert weights.url.endswith(f"/{weights.sha256}/{weights.name}")
        assert f"whisper-{weights.name}" == f"{name}.pt"
        assert offer.parameters is not None
        assert 0 < weights.bytes - 2 * offer.parameters < 500_000  # half precision, and little else
        assert vocabulary.name == ("gpt2.tiktoken" if name.endswith(".en") else "multilingual.tiktoken")
        assert len(vocabulary.url.split("/")[5]) == 40  # a commit
    assert descant("pull", "--catalogue", "--json") == 0
    assert "whisper-large-v3-turbo" in json.loads(capsys.readouterr().out)

"""From a name or address to an installed model: looked up, shown, agreed to, fetched, checked, installed."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from server.model_store import cache, hub
from server.model_store.catalogue import Catalogue
from server.model_store.download import Progress, download
from server.model_store.errors import ModelMissing, ModelStoreError, gigabytes
from server.model_store.install import Origin, install, recognise, user_name
from server.model_store.install import read_config as read_local_config
from server.model_store.manifest import Licence, check_name
from server.model_store.network import Network
from server.model_store.offer import Offer
from server.model_store.store import InstalledModel, ModelStore


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What a pull tells its user, and asks."""

    say: Callable[[str], None]
    progress: Progress
    accept: Callable[[str, str | None], bool]
    """Whether a licence, by id and text, is accepted; called once, after everything was said, before the first byte."""


def find_offer(reference: str, name: str | None, network: Network, from_cache: bool) -> Offer:
    """What is to be pulled. Raises ModelStoreError."""
    if not reference.startswith("hf://"):
        offer = Catalogue().offer(reference)
        return replace(offer, name=name or offer.name)
    parsed = hub.parse(reference)
    if network.offline:
        listing = cache.list_files(parsed, network) if from_cache else None
        if listing is None:
            raise _offline(reference)
        config = _cached_config(parsed, network)
    else:
        listing = hub.list_files(parsed, network)
        config = hub.read_config(listing, network)
    names = [file.name for file in listing.files]
    wanted = recognise(names, config, reference).names
    missing = sorted(set(wanted) - set(names))
    if missing:
        raise ModelMissing(f"{reference} lacks {', '.join(missing)}")
    licences = ("LICENSE", "LICENSE.txt", "LICENSE.md")
    files = tuple(file for file in listing.files if file.name in wanted or file.name in licences)
    return Offer(name or parsed.name.lower(), "hub", reference, files, listing.licence_id, None)


def pull(
    store: ModelStore, reference: str, name: str | None, network: Network, from_cache: bool, dialogue: Dialogue
) -> InstalledModel:
    """Install a model of the catalogue or the hub, or find that it is installed. Nothing is left behind but downloads that
    broke off, which the next pull takes up.

    Raises ModelStoreError; ModelMissing and ModelCorrupt among them.
    """
    offer = find_offer(reference, name, network, from_cache)
    check_name(offer.name)
    waiting = f"Waiting: another process installs {offer.name}."
    there = _already(store, offer)
    if there is not None:
        dialogue.say(f"{there.name}@{there.version} is installed already, from the same files.")
        return there
    _show(store, offer, dialogue)
    if not dialogue.accept(offer.licence_id, offer.licence_text):
        raise ModelStoreError(f"licence {offer.licence_id} was not accepted; nothing was downloaded")
    licence = Licence(id=offer.licence_id, accepted_by=user_name(), accepted_at=datetime.now(UTC))
    with store.lock(offer.name, lambda: dialogue.say(waiting)) as staging:
        there = _already(store, offer)
        if there is not None:
            dialogue.say(f"{there.name}@{there.version} was installed meanwhile.")
            return there
        source = _fetch(store, offer, staging, network, from_cache, dialogue)
        try:
            recognised = recognise(source, read_local_config(source), reference)
            origin = Origin(offer.kind, reference, {file.name: file.url for file in offer.files})
            return install(store, staging, offer.name, recognised, source, origin, licence, offer.licence_text)
        finally:
            shutil.rmtree(staging / "source", ignore_errors=True)


def _already(store: ModelStore, offer: Offer) -> InstalledModel | None:
    """The model that was installed from these very files, if it is whole."""
    wanted = {file.name: file.sha256 for file in offer.files if file.sha256}
    for model in store.list():
        source = model.manifest.source
        known = {file.name: file.sha256 for file in source.files}
        same = source.reference == offer.reference and all(known.get(name) == sha256 for name, sha256 in wanted.items())
        if same and model.name == offer.name:
            try:
                return store.find(f"{model.name}@{model.version}")
            except ModelStoreError:
                return None  # damaged: fetch it again
    return None


def _show(store: ModelStore, offer: Offer, dialogue: Dialogue) -> None:
    languages = "" if offer.languages is None else f", {len(offer.languages)} languages"
    languages = f", {offer.languages[0]}" if offer.languages is not None and len(offer.languages) == 1 else languages
    dialogue.say(f"{offer.name}: {offer.reference}{languages}")
    for file in offer.files:
        dialogue.say(f"  {file.name}  {gigabytes(file.bytes)}  {file.sha256 or file.git_sha1 or 'hash not published'}")
    dialogue.say(f"  licence    {offer.licence_id}")
    needed = _disk_bytes(offer)
    dialogue.say(f"  disk       {gigabytes(needed)} while installing, {gigabytes(store.free_bytes())} free in {store.folder}")
    weights = 2 * offer.parameters if offer.parameters else offer.bytes
    available = _available_memory_bytes()
    free = f", {gigabytes(available)} available here" if available is not None else ""
    dialogue.say(f"  memory     weights take {gigabytes(weights)} as float16, twice that as float32{free}")
    store.require_space(needed, offer.name)


def _disk_bytes(offer: Offer) -> int:
    return 2 * offer.bytes  # the download, and what it is converted to


def _available_memory_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _fetch(
    store: ModelStore, offer: Offer, staging: Path, network: Network, from_cache: bool, dialogue: Dialogue
) -> dict[str, Path]:
    """Every file under its own name in ``staging/source``, once all of them are here and right."""
    parts = {file.name: staging / file.part_name for file in offer.files}
    try:
        for file in offer.files:
            if from_cache and cache.take(file, parts[file.name], network):
                dialogue.say(f"{offer.name}: {file.name} is taken from a cache on this machine")
        if network.offline and not all(parts[f.name].exists() and parts[f.name].stat().st_size == f.bytes for f in offer.files):
            raise _offline(offer.reference)
        hashes = download(offer.files, staging, network, dialogue.progress)  # what is here already is only hashed
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # a part would only take the room that is missing
            for part in parts.values():
                part.unlink(missing_ok=True)
        raise
    folder = staging / "source"
    shutil.rmtree(folder, ignore_errors=True)
    source = {}
    for file in offer.files:
        dialogue.say(f"{offer.name}: {file.name}  {file.bytes} bytes  sha256:{hashes[file.name]}")
        source[file.name] = folder / file.name
        source[file.name].parent.mkdir(parents=True, exist_ok=True)
        parts[file.name].replace(source[file.name])
    return source


def _cached_config(reference: hub.HubReference, network: Network) -> dict[str, object] | None:
    folder = network.cache / f"models--{reference.owner}--{reference.name}" / "snapshots" / reference.commit
    path = folder / "config.json"
    return read_local_config({"config.json": path}) if path.is_file() else None


def _offline(reference: str) -> ModelStoreError:
    return ModelMissing(
        f"HF_HUB_OFFLINE is set, and {reference} is not whole in a cache on this machine (--from-cache looks there); carry it "
        "over with `descant models bundle export` and `bundle import`, or from files with `descant models import`"
    )

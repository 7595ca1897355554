"""Repositories of a model hub that speaks Hugging Face's API, by pinned commit: ``hf://OWNER/NAME@COMMIT``."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from server.model_store.download import LONGEST_PAUSE_S, RETRIED, refusal
from server.model_store.errors import ModelCorrupt, ModelStoreError
from server.model_store.network import Network
from server.model_store.offer import RemoteFile

_REFERENCE = re.compile(r"hf://(?P<owner>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[A-Za-z0-9][\w.-]{0,95})(@(?P<commit>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = re.compile(r"[A-Za-z0-9_][\w.-]{0,127}")
_LARGEST_JSON_BYTES = 8 << 20
UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True, slots=True)
class HubReference:
    owner: str
    name: str
    commit: str

    def __str__(self) -> str:
        return f"hf://{self.owner}/{self.name}@{self.commit}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    files: tuple[RemoteFile, ...]
    licence_id: str
    """As its card says, or "unknown"."""


def parse(reference: str) -> HubReference:
    """Raises ModelStoreError for anything but a repository with its whole commit: a branch may move, a commit does not."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ModelStoreError(f"{reference!r} is not of the form hf://OWNER/NAME@COMMIT")
    if not _COMMIT.fullmatch(match["commit"] or ""):
        raise ModelStoreError(
            f"{reference!r} does not name a commit: 40 digits 0-9a-f behind @, from the repository's history. A branch or tag "
            "may move, and its files with it"
        )
    return HubReference(match["owner"], match["name"], match["commit"])


def list_files(reference: HubReference, network: Network) -> Listing:
    """Every file of the commit with its size and hash. Raises ModelStoreError."""
    url = f"{network.endpoint}/api/models/{reference.owner}/{reference.name}/revision/{reference.commit}?blobs=true"
    content = _get_json(url, network)
    if content.get("sha") != reference.commit:
        raise ModelCorrupt(f"{url} lists the commit {content.get('sha')} instead of {reference.commit}")
    files = []
    for entry in content.get("siblings") or []:
        name = str(entry.get("rfilename"))
        if all(_PART.fullmatch(part) for part in name.split("/")) and isinstance(entry.get("size"), int):
            files.append(_file(reference, network, name, entry))
    card = content.get("cardData") or {}
    licence = card.get("license") if isinstance(card, Mapping) else None
    return Listing(tuple(files), licence if isinstance(licence, str) and licence else UNKNOWN_LICENCE)


def read_config(listing: Listing, network: Network) -> dict[str, Any] | None:
    """The repository's config.json, which says what is in it; None if there is none. Raises ModelStoreError."""
    file = next((file for file in listing.files if file.name == "config.json"), None)
    return None if file is None or file.bytes > _LARGEST_JSON_BYTES else _get_json(file.url, network)


def _file(reference: HubReference, network: Network, name: str, entry: Mapping[str, Any]) -> RemoteFile:
    large = entry.get("lfs")
    url = f"{network.endpoint}/{reference.owner}/{reference.name}/resolve/{reference.commit}/{name}"
    if isinstance(large, Mapping):
        return RemoteFile(name, url, int(large.get("size", entry["size"])), sha256=str(large["sha256"]))
    git = entry.get("blobId")
    return RemoteFile(name, url, int(entry["size"]), git_sha1=git if isinstance(git, str) else None)


def _get_json(url: str, network: Network) -> dict[str, Any]:
    reason = ""
    for attempt in range(network.attempts):
        if attempt:
            time.sleep(min(network.first_pause_s * 2 ** (attempt - 1), LONGEST_PAUSE_S))
        try:
            with network.client() as client:
                response = client.get(url, headers=network.headers(url))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            continue
        if response.is_success:
            break
        if response.status_code not in RETRIED:
            raise refusal(url, response.status_code)
        reason = f"it answered {response.status_code}"
    else:
        raise ModelStoreError(f"{url} cannot be read: {reason} ({network.attempts} attempts)")
    try:
        content = json.loads(response.content[:_LARGEST_JSON_BYTES])
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ModelStoreError(f"{url} answered something else than a JSON object")
    return content

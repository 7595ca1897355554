"""`descant models pull` and `descant models bundle`: models from the network, and from a file that was carried over."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.cli.models import AsJson, Reference, open_store, report, say
from server.model_store.errors import ModelCorrupt, ModelStoreError

bundle = typer.Typer(help="Carry a model to a machine without a network.", no_args_is_help=True)


def pull(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A name of the catalogue (--catalogue lists them), or hf://OWNER/NAME@COMMIT."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model is to be called here.")] = None,
    accept_licence: Annotated[
        str | None,
        typer.Option("--accept-licence", metavar="ID", help="Accept this licence, such as MIT, without being asked."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option("--mirror", metavar="URL", help="Fetch everything from here: takes the place of each host.")
    ] = None,
    from_cache: Annotated[
        bool, typer.Option("--from-cache", help="Take files of the right hash from caches of other tools on this machine.")
    ] = False,
    max_mb_per_s: Annotated[
        float | None, typer.Option("--max-mb-per-s", min=0.01, help="Download no faster than this.")
    ] = None,
    catalogue: Annotated[bool, typer.Option("--catalogue", help="Only list the names that can be pulled.")] = False,
    as_json: AsJson = False,
) -> None:
    """Download and install a model. Only this command touches the network; HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and
    proxies are honoured."""
    from server.model_store.catalogue import Catalogue
    from server.model_store.network import Network
    from server.model_store.pull import Dialogue
    from server.model_store.pull import pull as pull_model

    if catalogue == (reference is not None):
        raise typer.BadParameter("give a model's name or --catalogue")
    if reference is None:
        known = Catalogue().names()
        typer.echo(json.dumps(known) if as_json else "\n".join(known))
        return
    dialogue = Dialogue(say, _Progress(), lambda licence_id, text: _accepted(licence_id, text, accept_licence))
    network = Network.from_environment(mirror, 1e6 * max_mb_per_s if max_mb_per_s else None)
    model = pull_model(open_store(), reference, name, network, from_cache, dialogue)
    report(model, as_json)


class _Progress:
    """A line for every tenth of a file: as good in a log as on a terminal."""

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}

    def __call__(self, name: str, here: int, whole: int) -> None:
        tenths = 10 * here // whole
        if tenths > self._shown.get(name, -1):
            self._shown[name] = tenths
            say(f"  {name}  {10 * tenths:3d} %")


def _accepted(licence_id: str, text: str | None, given: str | None) -> bool:
    if given is not None:
        if given.lower() != licence_id.lower():
            raise ModelStoreError(f"--accept-licence {given}: the licence is {licence_id}")
        return True
    if not sys.stdin.isatty():
        raise ModelStoreError(f"the licence {licence_id} has to be accepted: say --accept-licence {licence_id}")
    if text is not None:
        say(text)
    return typer.confirm(f"Do you accept the licence {licence_id}?", err=True)


@bundle.command()
def export(
    reference: Reference,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, such as whisper-base.tar.")],
    as_json: AsJson = False,
) -> None:
    """Write an installed model, its licence and its record to one file."""
    from server.model_store.bundle import export_bundle

    store = open_store()
    model = store.find(reference)
    sha256 = export_bundle(store, model, output)
    if as_json:
        typer.echo(json.dumps({"file": str(output), "sha256": sha256, "model": f"{model.name}@{model.version}"}))
        return
    typer.echo(f"{output}  sha256:{sha256}")


@bundle.command("import")
def import_(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `descant models bundle export` wrote.")],
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Refuse the file if this is not its sha256.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Install a model from such a file, after all of it was checked. Needs no network."""
    from server.model_store.bundle import import_bundle, read_record
    from server.model_store.store import file_sha256

    store = open_store()
    manifest = read_record(path)
    if sha256 is not None and (found := file_sha256(path)) != sha256.lower():
        raise ModelCorrupt(f"{path} has the sha256 {found} instead of {sha256}")
    say(f"{path}: {manifest.name}@{manifest.version}, licence {manifest.licence.id}")
    with store.lock(manifest.name, lambda: say(f"Waiting: another process installs {manifest.name}.")) as staging:
        model = import_bundle(store, path, staging)
    report(model, as_json)

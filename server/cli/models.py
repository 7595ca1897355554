"""`descant models`: what is installed, and how models get here."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from server.config import ConfigError, Settings, load_settings
from server.model_store.errors import ModelCorrupt, gigabytes
from server.model_store.store import InstalledModel, ModelStore
from server.process.model_choice import choose_models, few_ids, ids_by_model, model_catalog

app = typer.Typer(help="Models on this machine: install, list, check and carry over.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reference = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="As `descant models list` shows it.")]


def open_store() -> ModelStore:
    return ModelStore(load_settings().models_dir)


def say(line: str) -> None:
    """Progress goes to stderr: stdout is for results."""
    typer.secho(line, err=True)


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="A model's folder, or its files.")],
    name: Annotated[str, typer.Option("--name", help="What the model is to be called here.")],
    licence: Annotated[str, typer.Option("--licence", help="Its licence, such as MIT; recorded.")] = "not stated",
    as_json: AsJson = False,
) -> None:
    """Install a model from files on this machine. The files stay as they are."""
    from server.model_store.install import Origin, install, local_source, read_config, recognise
    from server.model_store.manifest import Licence, check_name

    store = open_store()
    check_name(name)
    source = local_source(paths)
    where = ", ".join(map(str, paths))
    recognised = recognise(source, read_config(source), where)
    with store.lock(name, lambda: say(f"Waiting: another process installs {name}.")) as staging:
        say(f"Importing {where} as {name} ({recognised.family}).")
        origin = Origin("import", where, {})
        model = install(store, staging, name, recognised, source, origin, Licence(id=licence))
    report(model, as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show the models on this machine, and which ids `descant serve` would answer with each."""
    from models.packaged import PACKAGED

    settings = load_settings()
    store = ModelStore(settings.models_dir)
    installed, ids = store.list(), _answered(settings)
    packaged = [
        {"name": model.name, "family": model.family, "kind": model.kind, "answers": ids.get(model.name, [])}
        for model in PACKAGED.values()
    ]
    if as_json:
        models = [described(model) | {"answers": ids.get(model.folder, [])} for model in installed]
        typer.echo(json.dumps({"folder": str(store.folder), "packaged": packaged, "models": models}))
        return
    for row in packaged:
        typer.echo(f"{row['name']}  {row['kind']}  in the package  {_told(ids.get(str(row['name']), []))}")
    for model in installed:
        typer.echo(
            f"{model.name}@{model.version}  {model.kind}  {gigabytes(model.manifest.bytes)}  {_languages(model)}  "
            f"{model.manifest.licence.id}  {_told(ids.get(model.folder, []))}"
        )
    if not installed:
        say(f"None is installed in {store.folder}: `descant models pull NAME` or `descant models import PATH --name NAME`.")


def _answered(settings: Settings) -> dict[str | Path, list[str]]:
    """Ids by the folder of the model that the settings of this machine choose for them, or by its name if it is packaged."""
    try:
        choice = choose_models(settings)
        ids = ids_by_model(model_catalog(settings, choice))
    except ConfigError as error:  # no reason not to list
        say(f"No model answers: {error}")
        return {}
    return {source.folder or source.name: ids[source.name] for source in choice.all}


def _told(ids: list[str]) -> str:
    return f"answers {few_ids(ids)}" if ids else "not loaded"


@app.command()
def show(reference: Reference, as_json: AsJson = False) -> None:
    """Show what is known of a model: where it came from, its files, licence, languages and memory."""
    model = open_store().find(reference)
    if as_json:
        typer.echo(json.dumps(described(model)))
        return
    manifest = model.manifest
    memory = ", ".join(f"{gigabytes(size)} as {format_}" for format_, size in manifest.memory_bytes.items())
    accepted = f", accepted by {manifest.licence.accepted_by}" if manifest.licence.accepted_by else ""
    rows = {
        "name": f"{model.name}@{model.version}",
        "family": f"{model.family} ({model.kind})",
        "languages": _languages(model),
        "parameters": f"{manifest.parameters:,}",
        "memory": f"weights take {memory}",
        "licence": f"{manifest.licence.id}{accepted}",
        "source": f"{manifest.source.reference} ({manifest.source.layout})",
        "installed": f"{manifest.installed_at:%Y-%m-%d %H:%M} UTC",
        "folder": str(model.folder),
    }
    for title, value in rows.items():
        typer.echo(f"{title:<11}{value}")
    for file in manifest.files:
        typer.echo(f"{'file':<11}{file.path}  {file.bytes} bytes  sha256:{file.sha256}")
    for conversion in manifest.conversions:
        typer.echo(f"{'made':<11}{conversion.output} from {', '.join(conversion.inputs)}")
    for note in manifest.notes:
        typer.echo(f"{'note':<11}{note}")


@app.command()
def verify(
    references: Annotated[list[str] | None, typer.Argument(metavar="[NAME[@VERSION]]...", help="None: every model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read and hash every byte again. Exit code 3 if anything differs, 1 if a model is missing."""
    store = open_store()
    models = [store.find(reference) for reference in references] if references else list(store.list())
    faults = {f"{model.name}@{model.version}": store.verify(model) for model in models}
    if as_json:
        typer.echo(json.dumps(faults))
    else:
        for name, found in faults.items():
            typer.echo(f"{name}: {'; '.join(found) or 'as installed'}")
    if any(faults.values()):
        raise typer.Exit(ModelCorrupt.exit_code)


@app.command()
def rm(
    reference: Annotated[str | None, typer.Argument(metavar="[NAME[@VERSION]]", help="What to remove.")] = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="Remove what no model needs, such as downloads that were broken off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a model. Files that another model shares stay."""
    if (reference is None) == (not unused):
        raise typer.BadParameter("give a model's name or --unused")
    store = open_store()
    if reference is None:
        removed, freed = None, store.remove_unused()
    else:
        model = store.any_state(reference)
        removed, freed = f"{model.name}@{model.version}", store.remove(model)
    if as_json:
        typer.echo(json.dumps({"removed": removed, "freed_bytes": freed}))
        return
    typer.echo(f"Removed {removed or 'what no model needs'}: {gigabytes(freed)} free.")


def described(model: InstalledModel) -> dict[str, Any]:
    manifest = model.manifest
    facts: dict[str, Any] = manifest.model_dump(mode="json")
    return facts | {
        "digest": manifest.digest,
        "bytes": manifest.bytes,
        "memory_bytes": manifest.memory_bytes,
        "folder": str(model.folder),
    }


def report(model: InstalledModel, as_json: bool) -> None:
    """What was installed: a line for each file with its digest, for audits."""
    for file in model.manifest.files:
        say(f"{model.name}: {file.path}  {file.bytes} bytes  sha256:{file.sha256}")
    for note in model.manifest.notes:
        say(f"{model.name}: {note}")
    if as_json:
        sys.stdout.write(json.dumps(described(model)) + "\n")
        return
    typer.echo(f"Installed {model.name}@{model.version} ({_languages(model)}) in {model.folder}")


def _languages(model: InstalledModel) -> str:
    return ", ".join(model.languages) if len(model.languages) <= 8 else f"{len(model.languages)} languages"

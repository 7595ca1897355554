"""`descant keys`: create, list and revoke API keys."""

import json
from typing import Annotated

import typer

from server.config import load_settings
from server.process.data_folder import key_store

app = typer.Typer(help="API keys. Only their hashes are stored.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as 'staging agents'.")], as_json: AsJson = False
) -> None:
    """Make a key. It is shown once."""
    store = key_store(load_settings())
    key = store.create(name)
    if as_json:
        typer.echo(json.dumps({"id": store.verify(key), "name": name, "key": key}))
        return
    typer.echo(key)
    typer.secho("Keep it now: it is not shown again. Running servers take it at once.", err=True)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Show the keys there are, without their secrets."""
    rows = [{"id": key.id, "name": key.name, "created_at": key.created_at} for key in key_store(load_settings()).list()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['created_at']}  {row['name']}")
    if not rows:
        typer.echo("No keys. Make one with: descant keys create NAME")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id that `descant keys list` shows.")]) -> None:
    """Make a key useless from now on."""
    if not key_store(load_settings()).revoke(key_id):
        typer.secho(f"descant: no key has the id {key_id!r}; see `descant keys list`", err=True, fg="red")
        raise typer.Exit(2)
    typer.echo(f"Revoked {key_id}.")

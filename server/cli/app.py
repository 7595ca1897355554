"""The command `descant`: which sub-commands there are. Each imports what it needs only when it runs."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from server.cli import bench, cloning, doctor, keys, model_pull, models, serve, speech
from server.config import ConfigError
from server.errors import DescantError
from server.model_store.errors import ModelStoreError
from server.storage.json_file import JsonFileError


class Application(typer.Typer):
    """Typer, with our own errors printed as one line instead of a traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        try:
            return super().__call__(*args, **kwargs)
        except (ConfigError, DescantError, JsonFileError) as error:
            typer.secho(f"descant: {error}", err=True, fg="red")
            sys.exit(2)
        except ModelStoreError as error:
            typer.secho(f"descant: {error}", err=True, fg="red")
            sys.exit(error.exit_code)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"descant {version('descant')}")
        raise typer.Exit


app = Application(
    name="descant",
    help="Self-hosted streaming text-to-speech and speech-to-text, drop-in for the Cartesia API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: its boxes cut long options, and show flags as if they took a value
)


@app.callback()
def _root(
    version_: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("speak")(speech.speak)
app.command("transcribe")(speech.transcribe)
app.command("voices")(speech.voices)
app.command("clone")(cloning.clone)
app.command("doctor")(doctor.doctor)
app.add_typer(keys.app, name="keys")
models.app.command("pull")(model_pull.pull)
models.app.add_typer(model_pull.bundle, name="bundle")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")

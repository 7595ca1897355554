"""Real checkpoints installed as a user installs them: by ``descant models import``, into a store in the cache."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.real.material import MaterialError, cache_folder, locked, material
from benchmarks.real.packages import MATERIALS

MODELS_VARIABLE = "DESCANT_MODELS_DIR"


def store_folder() -> Path:
    return cache_folder() / "store"


def installed_model(name: str) -> Path:
    """The folder of an installed model, imported first if need be. Raises MaterialError with what the command said."""
    with locked(f"import {name}"):
        known = [model["name"] for model in _models("list")["models"]]
        if name not in known:
            licence = MATERIALS[name].parts[0].package.licence
            _models("import", str(material(MATERIALS[name])), "--name", name, "--licence", licence)
        return Path(_models("show", name)["folder"])


def _models(*arguments: str) -> Any:
    """What ``descant models`` answers as JSON."""
    command = [sys.executable, "-m", "server", "models", *arguments, "--json"]
    environment = {**os.environ, MODELS_VARIABLE: str(store_folder())}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise MaterialError(f"descant models {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)

"""The rules about the tree that a machine can check."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

PRODUCT = ("server", "models", "kernels")
FORBIDDEN_STEMS = {"utils", "util", "common", "helpers", "helper", "misc", "core"}
MAY_USE_TORCH = {"server.__main__", "server.cli", "server.process", "server.model_store"}
"""They join the parts or convert weights."""
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def python_files(repository: Path, *folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((repository / folder).rglob("*.py")) if "pb" not in p.parts]


def test_import_contracts_hold(repository: Path) -> None:
    program = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def contracts(repository: Path) -> list[dict[str, Any]]:
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_every_module_is_in_a_layer(repository: Path) -> None:
    """The linter itself refuses a module without a layer (`exhaustive`), but sees neither folders without an __init__.py
    nor a package that no contract names."""
    placed = set()
    for contract in contracts(repository):
        for container in contract.get("containers", ()):
            assert contract["exhaustive"], contract["name"]
            assert not contract.get("exhaustive_ignores"), contract["name"]
            names = " ".join(contract["layers"]).replace("(", " ").replace(")", " ").replace("|", " ").replace(":", " ").split()
            placed |= {f"{container}.{name}" for name in names}
    stray = []
    for path in (path for folder in PRODUCT for path in sorted((repository / folder).rglob("*.py"))):
        parts = path.relative_to(repository).with_suffix("").parts
        if len(parts) == 2 and parts[1] == "__init__":
            continue
        if ".".join(parts[:2]) not in placed:
            stray.append(f"{'/'.join(parts)}.py: add {parts[1]} to the layers of {parts[0]} in pyproject.toml")
        if not path.with_name("__init__.py").exists():
            stray.append(f"{'/'.join(parts)}.py: its folder has no __init__.py, so no contract sees it")
    assert not stray, "\n".join(stray)


def test_every_part_of_the_server_but_its_roots_does_without_torch(repository: Path) -> None:
    (contract,) = (c for c in contracts(repository) if "torch" in c.get("forbidden_modules", ()))
    parts = {f"server.{path.stem}" for path in (repository / "server").iterdir() if path.is_dir() or path.suffix == ".py"}
    parts -= {"server.__init__", "server.__pycache__"}
    assert parts - set(contract["source_modules"]) <= MAY_USE_TORCH


def test_what_lies_loose_in_the_server(repository: Path) -> None:
    """Everything else has a room."""
    loose = {path.stem for path in (repository / "server").glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"config", "errors", "metrics", "services"}


def test_packages_belong_to_descant_alone() -> None:
    owners = packages_distributions()
    for package in PRODUCT:
        # An editable install records no packages, so descant itself may be missing here.
        assert set(owners.get(package, [])) <= {"descant"}, f"the import name {package} is shared: {owners.get(package)}"


def test_no_drawer_modules(repository: Path) -> None:
    named = [p for p in python_files(repository, *PRODUCT, "training", "benchmarks", "demo") if p.stem in FORBIDDEN_STEMS]
    assert not named


def test_words_of_the_field(repository: Path) -> None:
    """Clients meet API layers and recognizers; folders of `training` have names of their own."""
    other_words = re.compile(r"\b([Ee]ars|(?<!Hugging )[Ff]aces?)\b(?<!training\.ears)")
    paths = [*python_files(repository, *PRODUCT, "demo"), *(repository / "proto").glob("*.proto")]
    lines = [
        f"{path.relative_to(repository)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if other_words.search(line)
    ]
    assert not lines, "\n".join(lines)


def test_files_and_functions_stay_short(repository: Path) -> None:
    long = []
    for path in python_files(repository, *PRODUCT, "training", "benchmarks", "demo"):
        text = path.read_text()
        if text.count("\n") > MAX_FILE_LINES:
            long.append(f"{path.relative_to(repository)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(repository)}:{node.lineno} {node.name}: {lines} lines")
    assert not long, "\n".join(long)


def test_a_wrong_setting_fails_before_torch_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom server.cli.app import app\n"
        "sys.argv = ['descant', 'serve', '--port', '99999']\n"
        "try:\n    app()\nexcept SystemExit as stop:\n    print(stop.code, 'torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.strip() == "2 False"
    assert "port" in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_the_server_changes_nothing_global() -> None:
    """But that ONNX Runtime keeps to itself, which it has to be told before it is imported: see `models`."""
    program = (
        "import os, sys, threading, torch\n"
        "os.environ['ORT_DISABLE_TELEMETRY'] = '1'\n"
        "before = (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), dict(os.environ))\n"
        "import server.process.build, server.process.loading, server.engine.engine\n"
        "import models.registry, models.conv_tts.model, models.whisper.model\n"
        "after = (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), dict(os.environ))\n"
        "assert before == after, (before, after)\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("folder", PRODUCT)
def test_no_machine_paths_in_the_product(repository: Path, folder: str) -> None:
    pattern = re.compile(r"(^|[^a-zA-Z0-9_.$}/-])/(work|root|home)/[a-z]")
    found = [str(p) for p in python_files(repository, folder) if pattern.search(p.read_text())]
    assert not found

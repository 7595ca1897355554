"""The wheel holds the product with its weights and nothing else, and works without the source folder."""

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MAX_WHEEL_BYTES = 60 * 1024 * 1024


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(repository)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("descant-*.whl")
    return built


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"server", "models", "kernels"}
    assert sum(name.endswith(".safetensors") for name in names) >= 3
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_it_speaks_from_an_environment_without_the_source(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # The dependencies of this environment, without its editable install: a path named in a .pth file is not searched
    # for further .pth files.
    (own,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [str(tmp_path / "venv/bin/descant"), "speak", "Hello.", "-o", "hello.wav", "--json"]
    result = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert json.loads(result.stdout)["audio_s"] > 0.2
    where = subprocess.run(
        [python, "-c", "import server; print(server.__file__)"], cwd=tmp_path, capture_output=True, text=True
    )
    assert str(tmp_path) in where.stdout

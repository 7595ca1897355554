"""No library of the models tells its makers that it is used."""

import os
import subprocess
import sys
from pathlib import Path

_DETECT = "from models.silero_vad import SileroDetector; SileroDetector()"


def test_voice_detection_leaves_no_telemetry(tmp_path: Path) -> None:
    """onnxruntime keeps what it will send in a file under the home folder."""
    # Continuous integration and test runs are not asked, so these names must not decide here.
    silent = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    subprocess.run([sys.executable, "-c", _DETECT], check=True, env={**environment, "HOME": str(tmp_path)}, timeout=60)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]

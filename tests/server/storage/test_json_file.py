import subprocess
import sys
from pathlib import Path

from server.requests.speech import Replacement
from server.storage.pronunciations import PronunciationStore

MAKE = """
import sys
from pathlib import Path
from server.storage.pronunciations import PronunciationStore
from server.requests.speech import Replacement
for number in range(10):
    PronunciationStore(Path(sys.argv[1])).create("me", f"{sys.argv[2]} {number}", [Replacement("a", "b")])
"""


def test_processes_do_not_undo_each_others_changes(tmp_path: Path) -> None:
    """As gateways of one server might, which share the data directory."""
    seen = PronunciationStore(tmp_path)
    seen.create("me", "first", [Replacement("a", "b")])
    makers = [subprocess.Popen([sys.executable, "-c", MAKE, str(tmp_path), name]) for name in ("one", "two", "three")]
    assert [maker.wait(60) for maker in makers] == [0, 0, 0]
    assert len(seen.list("me")) == 31

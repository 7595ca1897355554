"""The packaged recognizer of whatever checkout is on the path, reading clips on demand, so that two states of the code
can read them in turn.

    PYTHONPATH=CHECKOUT python -P embedded_worker.py CLIPS.npz

Writes a JSON line when it has loaded; then for each number on standard input it reads that clip and writes its text and
its times. It may use only what older checkouts have, too.
"""

import json
import sys
import time

import numpy as np
import torch

from benchmarks.simulated_stream import live
from models.registry import load_recognizer
from models.silero_vad import SileroDetector


def main() -> None:
    torch.set_num_threads(1)
    clips = np.load(sys.argv[1])
    recognizer, detector = load_recognizer("whisper", "cpu", 16), SileroDetector()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wall_s, processor_s = time.perf_counter(), time.process_time()
        run = live(recognizer, detector, clips[line.strip()], interim=False)
        times = {"wall_s": time.perf_counter() - wall_s, "processor_s": time.process_time() - processor_s}
        text = "".join(item.transcript.text for item in run.shown)
        print(json.dumps({"text": text, **times}), flush=True)


if __name__ == "__main__":
    main()

"""Time that the text front end takes, in microseconds of CPU per sentence.

python -m benchmarks.text_front_end [--repeat 200]

Sentences are pushed whole; every repetition opens a new context. Prints one JSON
line per kind of sentence: median and 95th percentile over the repetitions.
"""

import argparse
import json
import time

import numpy as np

from server.requests.speech import Controls
from server.text.frontend import Take, TextFrontEnd

SENTENCES = {
    "plain": "The quick brown fox jumps over the lazy dog, and nobody in the village knows why.",
    "numbers": "On May 5, 2024 at 3:30pm, Dr. Smith paid $3.50 for 2.5 kg of apples, i.e. 10% less than in 1999.",
    "names": "Wemmick and Pumblechook met Kubernetes engineers from Zxanthia near Llanfairpwll.",
    "markup": 'Wait <break time="500ms"/>for <spell>AB-12</spell> and <<k|æ|t>>, <speed ratio="1.2"/>please.',
}


def cpu_us(front_end: TextFrontEnd, text: str) -> float:
    """One context with one text, from push to the last segment."""
    stream = front_end.open(Controls())
    started_ns = time.thread_time_ns()
    stream.push(text)
    segments = stream.take(Take.END)
    assert segments
    return (time.thread_time_ns() - started_ns) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=200)
    repeat: int = parser.parse_args().repeat
    started_s = time.process_time()
    front_end = TextFrontEnd()
    print(json.dumps({"load_cpu_s": round(time.process_time() - started_s, 2)}))
    for kind, text in SENTENCES.items():
        cpu_us(front_end, text)
        times_us = [cpu_us(front_end, text) for _ in range(repeat)]
        p50, p95 = np.percentile(times_us, [50, 95])
        print(json.dumps({"kind": kind, "chars": len(text), "p50_us": round(p50), "p95_us": round(p95)}))


if __name__ == "__main__":
    main()

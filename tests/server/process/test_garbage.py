"""What is loaded before the server serves costs nothing later."""

import gc
import time

from server.process.serve import keep_for_good


def _collection_s() -> float:
    start_s = time.thread_time()
    gc.collect()
    return time.thread_time() - start_s


def test_garbage_collections_leave_out_what_was_loaded() -> None:
    loaded = [[number] for number in range(300_000)]
    before_s = min(_collection_s() for _ in range(3))
    keep_for_good()
    try:
        assert min(_collection_s() for _ in range(3)) < before_s / 5
        assert gc.get_freeze_count() > len(loaded)
    finally:
        gc.unfreeze()

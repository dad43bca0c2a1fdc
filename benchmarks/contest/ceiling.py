"""The engine alone, with no server around it: ``python -m benchmarks.contest.ceiling app_vgg16``.

Reads lines of JSON, ``{"photo": path, "seconds": 3, "decode": true}``, and answers each with photos per second: what as
many threads as the server's own get done when they do nothing else.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from serving.models.engine import Engine, open_engine
from serving.models.files.choice import choose
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.variant import listed

__all__ = ["main", "rate"]


def rate(engine: Engine, data: bytes, settings: Settings, seconds: float, with_decoding: bool) -> float:
    """Photos per second on ``settings.threads`` threads."""
    view = engine.input.view

    def read() -> NDArray[np.uint8]:
        return to_pixels(decode(data, settings.max_pixels, view.side), view)

    pixels = read()
    # Two threads whose first call of OpenVINO's Python is at the same time wait for each other for ever.
    engine.score(pixels)
    end = threading.Event()

    def work() -> int:
        done = 0
        while not end.is_set():
            engine.score(read() if with_decoding else pixels)
            done += 1
        return done

    with ThreadPoolExecutor(settings.threads) as pool:
        start = perf_counter()
        counts = [pool.submit(work) for _ in range(settings.threads)]
        end.wait(seconds)
        end.set()
        done = sum(count.result() for count in counts)
        return done / (perf_counter() - start)


def main(service: str) -> None:
    """Answers until standard input ends."""
    folder, settings = listed(Path(service)), Settings()
    # What the variant itself would predict with.
    engine = open_engine(folder, choose(folder), settings)
    for line in sys.stdin:
        asked = json.loads(line)
        data = Path(asked["photo"]).read_bytes()
        rate(engine, data, settings, 0.3, asked["decode"])
        print(rate(engine, data, settings, asked["seconds"], asked["decode"]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

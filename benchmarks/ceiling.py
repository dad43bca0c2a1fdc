"""The engine alone, with no server around it: ``python -m benchmarks.ceiling app_vgg16``.

Reads lines of JSON, ``{"photo": path, "seconds": 3, "decode": true}``, and answers each with photos per second: what as
many threads as the server's own get done when they do nothing else.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from time import perf_counter

from serving.engine import Engine
from serving.photos.decode import decode
from serving.photos.pixels import to_pixels
from serving.settings import Settings
from serving.variant import ServedVariant

__all__ = ["main", "rate"]


def rate(engine: Engine, data: bytes, settings: Settings, seconds: float, with_decoding: bool) -> float:
    """Photos per second on ``settings.threads`` threads."""
    pixels = to_pixels(decode(data, settings.max_pixels))
    end = threading.Event()

    def work() -> int:
        done = 0
        while not end.is_set():
            engine(to_pixels(decode(data, settings.max_pixels)) if with_decoding else pixels)
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
    served: ServedVariant = import_module(f"{service}.app.main").app.state.served
    # What the variant itself would predict with, warm.
    engine = served.open()._engine
    for line in sys.stdin:
        asked = json.loads(line)
        data = Path(asked["photo"]).read_bytes()
        rate(engine, data, served.settings, 0.3, asked["decode"])
        print(rate(engine, data, served.settings, asked["seconds"], asked["decode"]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

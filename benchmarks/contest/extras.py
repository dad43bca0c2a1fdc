"""What one server costs by itself: what nginx adds, what cores bring, how long a start takes, how much memory."""

import os
import statistics
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contest.comparison import compare, loaded
from benchmarks.contest.contenders import start_variant
from benchmarks.measuring.load import Target, alternate, load
from benchmarks.measuring.rounds import Spread
from benchmarks.measuring.servers import Server, memory_mb
from tests.system import free_port

__all__ = ["memory", "nginx_cost", "scaling", "starts"]


def nginx_cost(direct: Target, through: Target, photo: bytes, pairs: int) -> dict[str, Any]:
    """What nginx adds to a request, in milliseconds: the median of paired differences, one connection each."""
    alternate([direct, through], photo, 10)
    alone, behind = alternate([direct, through], photo, pairs)
    differences = [1e3 * (slow - fast) for fast, slow in zip(alone, behind, strict=True)]
    quarters = statistics.quantiles(differences, n=4)
    return {
        "direct_ms": round(1e3 * statistics.median(alone), 3),
        "added_ms": round(quarters[1], 3),
        "middle_half_ms": [round(quarters[0], 3), round(quarters[2], 3)],
        "pairs": pairs,
    }


@contextmanager
def _only(cores: int) -> Iterator[None]:
    """Keeps this process, and what it starts meanwhile, on the first ``cores`` of its cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def scaling(service: str, photos: Mapping[str, bytes], photo: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Answers per second of a variant by the number of cores given to it and its client together."""
    available = len(os.sched_getaffinity(0))
    counts = [1 << power for power in range(available.bit_length()) if 1 << power <= available]
    servers: dict[int, Server] = {}
    results: dict[int, list[float]] = {cores: [] for cores in counts}
    with TemporaryDirectory() as folder:
        try:
            for cores in counts:
                with _only(cores):
                    servers[cores] = start_variant(service, free_port(), photos[photo], Path(folder))
            contenders = {
                cores: loaded(str(cores), lambda server=server: server.pids, server.target, photos)  # type: ignore[misc]
                for cores, server in servers.items()
            }
            for _ in range(rounds):
                for cores, contender in contenders.items():
                    with _only(cores):
                        turn = compare([contender], photo, 8, 1, seconds)[str(cores)][0]
                    results[cores].append(turn.per_s)
        finally:
            for server in servers.values():
                server.stop()
    return {str(cores): asdict(Spread.of(rates)) for cores, rates in results.items()}


def starts(service: str, photo: bytes, times: int) -> dict[str, Any]:
    """Seconds from a variant's start to its first answer: with the converted network at hand, and once without."""
    with TemporaryDirectory() as folder:
        found: list[float] = []
        for _ in range(1 + times):
            with start_variant(service, free_port(), photo, Path(folder), Path(folder, "cache")) as server:
                found.append(server.started_s)
    return {"first_s": round(found[0], 2), "next_s": asdict(Spread.of(found[1:]))}


def memory(server: Server, photos: Mapping[str, bytes], seconds: float) -> dict[str, Any]:
    """MB at rest, and the most seen under 8 connections of each photo in turn."""
    pss, rss = memory_mb(server.pids)
    seen = [(pss, rss)]
    end = threading.Event()

    def watch() -> None:
        while not end.wait(0.1):
            seen.append(memory_mb(server.pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for photo in photos.values():
            load(server.target, photo, 8, seconds)
    finally:
        end.set()
        watcher.join()
    return {
        "rest_pss_mb": round(pss),
        "rest_rss_mb": round(rss),
        "load_pss_mb": round(max(one for one, _ in seen)),
        "load_rss_mb": round(max(one for _, one in seen)),
    }

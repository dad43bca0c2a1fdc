"""Who is measured: this project's parts, and its peers, each set up as its documentation advises."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring.environment import PYTHON, ROOT
from benchmarks.measuring.load import Target
from benchmarks.measuring.servers import Server, tree

__all__ = ["PEERS", "Ceiling", "Setting", "Weights", "candidates", "start_peer", "start_variant"]

# What starts each peer; {port} and {workers} are filled in.
PEERS: dict[str, tuple[str, ...]] = {
    "FastAPI": (
        "uvicorn",
        "benchmarks.peers.with_fastapi:app",
        "--port={port}",
        "--workers={workers}",
        "--no-access-log",
        "--timeout-keep-alive=75",
    ),
    "LitServe": ("benchmarks.peers.with_litserve",),
    "BentoML": ("bentoml", "serve", "benchmarks.peers.with_bentoml:Fruit", "--host=127.0.0.1", "--port={port}"),
    "Ray Serve": ("benchmarks.peers.with_ray",),
}
_BATCHING = ("LitServe", "BentoML", "Ray Serve")
_ENVIRONMENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
}


@dataclass(frozen=True)
class Weights:
    """What every contender serves: the weights that the project's own variant ``service`` says it has."""

    service: str
    path: Path
    sha256: str

    @property
    def model(self) -> str:
        return f"{self.service}.app.model"


@dataclass(frozen=True, order=True)
class Setting:
    """Processes, threads of PyTorch's in each, and how many photos one takes at once."""

    workers: int
    threads: int
    batch: int = 1


def candidates(peer: str, cores: int, best: Setting | None = None) -> Iterator[Setting]:
    """What is tried: one process for each core, or one on all; then, with the better of the two, batches."""
    if best is None:
        yield Setting(cores, 1)
        if cores > 1:
            yield Setting(1, cores)
    elif peer in _BATCHING:
        yield Setting(best.workers, best.threads, 8 // best.workers or 1)


def start_peer(peer: str, setting: Setting, weights: Weights, port: int, photo: bytes, folder: Path) -> Server:
    """Raises ``ServerError`` where it does not start."""
    arguments = [part.format(port=port, workers=setting.workers) for part in PEERS[peer]]
    task = {"model": weights.model, "weights": str(weights.path), "port": port, **asdict(setting)}
    environment = {
        **_ENVIRONMENT,
        "BENCHMARK_TASK": json.dumps(task),
        "OMP_NUM_THREADS": str(setting.threads),
    }
    target = Target(f"http://127.0.0.1:{port}/predict")
    log = folder / f"{peer}.log".replace(" ", "-").lower()
    return Server(peer, [PYTHON, "-m", *arguments], target, photo, log, environment)


def start_variant(service: str, port: int, photo: bytes, folder: Path, cache: Path = ROOT / ".cache") -> Server:
    """One of the project's variants, alone."""
    environment = {"PORT": str(port), "CACHE_DIR": str(cache)}
    target = Target(f"http://127.0.0.1:{port}/predict")
    arguments = [sys.executable, "-m", "serving", service]
    return Server(service, arguments, target, photo, folder / f"{service}-{port}.log", environment)


class Ceiling:
    """The engine alone, in a process of its own."""

    def __init__(self, service: str) -> None:
        arguments = [sys.executable, "-m", "benchmarks.contest.ceiling", service]
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    @property
    def pids(self) -> list[int]:
        return tree(self._process.pid)

    def per_second(self, photo: Path, seconds: float, decode: bool) -> float:
        """Photos per second, with or without decoding them."""
        assert self._process.stdin
        assert self._process.stdout
        asked: dict[str, Any] = {"photo": str(photo), "seconds": seconds, "decode": decode}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def __enter__(self) -> "Ceiling":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

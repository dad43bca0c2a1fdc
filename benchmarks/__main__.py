"""This project against its peers, in one run: ``make bench``. See README.md beside this file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from benchmarks.contest import extras
from benchmarks.contest.comparison import CEILING, NGINX, OURS, Contender, Round, compare, loaded, summary
from benchmarks.contest.contenders import PEERS, Ceiling, Setting, Weights, candidates, start_peer, start_variant
from benchmarks.contest.report import text
from benchmarks.measuring.environment import PYTHON, ROOT, machine, make_environment, versions
from benchmarks.measuring.load import Target, load
from benchmarks.measuring.photos import make_photos
from benchmarks.measuring.servers import Server, ServerError, tree
from tests.system import System, free_port

HERE = Path(__file__).parent
CONNECTIONS = (1, 8, 32)
NOISY = "12 Mpx, noisy"  # for one comparison only: it takes long
# What each model is held against.
AGAINST = {"vgg16": tuple(PEERS), "custom": ("FastAPI",)}
_LIBRARIES = ["fastapi", "litserve", "bentoml", "ray", "torch", "torchvision", "pillow", "openvino"]


class Bench:
    """One run. ``results`` grows as it goes."""

    def __init__(self, folder: Path, rounds: int, seconds: float) -> None:
        self.folder = folder
        self.rounds = rounds
        self.seconds = seconds
        self.photos = make_photos(ROOT / "sample_data")
        self.failed: dict[str, str] = {}
        self.results: dict[str, Any] = {
            "taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "rounds": rounds,
            "seconds": seconds,
            "machine": machine(),
            "versions": versions(_LIBRARIES),
            "photos": {name: len(data) for name, data in self.photos.items()},
            "failed": self.failed,
            "weights": {},
            "settings": {},
            "load": [],
            "cores": {},
            "nginx_cost": {},
            "start": {},
            "memory": {},
        }
        for name, data in self.photos.items():
            self.photo(name).write_bytes(data)

    def photo(self, name: str) -> Path:
        return self.folder / f"{name}.jpg"

    def say(self, what: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {what}", flush=True)

    def tune(self, peer: str, weights: Weights) -> list[dict[str, Any]]:
        """What was tried for a peer, the best first; nothing where it does not start."""
        tried: list[tuple[float, Setting]] = []
        cores = self.results["machine"]["cores"]
        for best in (False, True):
            if best and not tried:
                break
            for setting in candidates(peer, cores, max(tried)[1] if best else None):
                try:
                    with self.start(peer, setting, weights) as server:
                        rate = load(server.target, self.photos["100 KB"], 8, self.seconds, warm_up_s=1).per_second
                except ServerError as error:
                    self.failed[peer] = str(error)
                    continue
                tried.append((rate, setting))
                self.say(f"  {peer} {setting}: {rate:.1f} a second")
        if tried:
            self.failed.pop(peer, None)
        return [{**asdict(setting), "per_s": round(rate, 2)} for rate, setting in sorted(tried, reverse=True)]

    def start(self, peer: str, setting: Setting, weights: Weights) -> Server:
        return start_peer(peer, setting, weights, free_port(), self.photos["22 KB"], self.folder)

    def against_peers(self, name: str, system: System, weights: Weights) -> None:
        """One variant against its peers: every photo, every number of connections."""
        variant = next(variant for variant in system.variants if variant.name == name)
        self.say(f"{name}: the peers' best settings")
        settings = {peer: self.tune(peer, weights) for peer in AGAINST[name]}
        self.results["settings"][name] = {peer: tried for peer, tried in settings.items() if tried}
        with ExitStack() as stack:
            direct = Target(f"http://127.0.0.1:{variant.port}/predict")
            through = Target(f"{system.url}/predict", (("X-Variant", name),))

            def ours() -> list[int]:
                return [pid for process in system.processes.values() for pid in tree(process.pid)]

            contenders = [loaded(OURS, ours, direct, self.photos), loaded(NGINX, ours, through, self.photos)]
            for peer, tried in settings.items():
                if not tried:
                    continue
                best = _best(tried)
                try:
                    server = stack.enter_context(self.start(peer, best, weights))
                except ServerError as error:
                    self.failed[peer] = str(error)
                    continue
                contenders.append(loaded(peer, lambda server=server: server.pids, server.target, self.photos))  # type: ignore[misc]
                self.results["start"].setdefault(peer, {"next_s": {"median": round(server.started_s, 2)}})
            ceiling = stack.enter_context(Ceiling(weights.service))
            for connections in CONNECTIONS:
                for photo in self.photos:
                    if photo == NOISY and connections != 8:
                        continue
                    self.cell(name, photo, connections, contenders, ceiling)

    def cell(self, name: str, photo: str, connections: int, contenders: list[Contender], ceiling: Ceiling) -> None:
        """One photo, one number of connections: all contenders in turn."""
        extra = []
        if connections == 8:

            def alone(photo: str, _: int, seconds: float) -> Round:
                return Round(ceiling.per_second(self.photo(photo), seconds, decode=True))

            extra.append(Contender(CEILING, lambda: ceiling.pids, alone))
        found = summary(compare([*contenders, *extra], photo, connections, self.rounds, self.seconds))
        if extra:
            found["predecoded_per_s"] = round(ceiling.per_second(self.photo(photo), self.seconds, decode=False), 2)
        self.results["load"].append({"model": name, "photo": photo, "connections": connections, **found})
        rates = ", ".join(f"{system} {seen['per_s']['median']:.1f}" for system, seen in found["systems"].items())
        self.say(f"{name}, {photo}, {connections} connections: {rates}")

    def by_itself(self, system: System) -> None:
        """What takes no peers."""
        for variant in system.variants:
            direct = Target(f"http://127.0.0.1:{variant.port}/predict")
            through = Target(f"{system.url}/predict", (("X-Variant", variant.name),))
            for photo, data in self.photos.items():
                cost = extras.nginx_cost(direct, through, data, pairs=100 if photo.startswith("12 Mpx") else 300)
                self.results["nginx_cost"][f"{variant.name}, {photo}"] = {"photo": photo, **cost}
        self.say(f"nginx's cost: {self.results['nginx_cost']}")

    def alone(self, weights: dict[str, Weights]) -> None:
        """What needs the machine to itself."""
        small = self.photos["22 KB"]
        for name, held in weights.items():
            self.results["cores"][name] = extras.scaling(held.service, self.photos, "22 KB", self.rounds, self.seconds)
            self.results["start"][held.service] = extras.starts(held.service, small, self.rounds)
        self.say(f"cores: {self.results['cores']}; start: {self.results['start']}")
        vgg16 = weights["vgg16"]
        full = Weights(vgg16.service, self.folder / "full.pt", "")
        making = [PYTHON, "-m", "benchmarks.peers.full_weights", vgg16.model, str(full.path)]
        subprocess.run(making, check=True, cwd=ROOT)
        tried = self.results["settings"]["vgg16"].get("FastAPI")
        best = _best(tried) if tried else Setting(1, 1)
        served: dict[str, Callable[[], Server]] = {
            "app_vgg16": lambda: start_variant(vgg16.service, free_port(), small, self.folder),
            "FastAPI, the same weights": lambda: self.start("FastAPI", best, vgg16),
            "FastAPI, the full model": lambda: self.start("FastAPI", best, full),
        }
        for what, start in served.items():
            try:
                with start() as server:
                    time.sleep(1)
                    self.results["memory"][what] = extras.memory(server, self.photos, self.seconds)
            except ServerError as error:
                self.failed[what] = str(error)
        self.say(f"memory: {self.results['memory']}")

    def run(self) -> None:
        start = time.monotonic()
        with System(self.folder) as system:
            weights = {variant.name: _weights(variant.service, variant.port) for variant in system.variants}
            self.results["weights"] = {name: held.path.name for name, held in weights.items()}
            for name, held in weights.items():
                if name in AGAINST:
                    self.against_peers(name, system, held)
            self.by_itself(system)
        self.alone(weights)
        self.results["took_minutes"] = round((time.monotonic() - start) / 60, 1)


def _best(tried: list[dict[str, Any]]) -> Setting:
    """The first of what ``Bench.tune`` returns."""
    return Setting(*(tried[0][field] for field in ("workers", "threads", "batch")))


def _weights(service: str, port: int) -> Weights:
    """What a running variant says it serves."""
    said = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).json()["weights"]
    return Weights(service, ROOT / service / "app" / "artifacts" / said["file"], said["sha256"])


def write(results: dict[str, Any], folder: Path = HERE) -> None:
    """``results.json``, the plot, and the README's section of results."""
    path = folder / "results.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    subprocess.run(
        [PYTHON, "-m", "benchmarks.contest.plot", str(path), str(folder / "throughput.svg")], check=True, cwd=ROOT
    )
    readme = folder / "README.md"
    head, begin, rest = readme.read_text().partition("<!-- results -->\n")
    _, end, tail = rest.partition("<!-- end of results -->")
    readme.write_text(head + begin + text(results) + end + tail)


def main() -> None:
    """Measures for about 25 minutes on 2 cores; ``BENCH_ROUNDS`` and ``BENCH_SECONDS`` shorten or lengthen that."""
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("make bench reads what processes use from /proc, which only Linux has.")
    make_environment()
    with TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(
            Path(folder), int(os.environ.get("BENCH_ROUNDS", "3")), float(os.environ.get("BENCH_SECONDS", "3"))
        )
        bench.run()
    write(bench.results)
    print(text(bench.results))


if __name__ == "__main__":
    main()

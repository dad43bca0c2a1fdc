"""The real system for tests: nginx and variants as processes of this machine, on free ports."""

import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import requests

from traffic.local import ROOT, commands, lay_out
from traffic.site import Site
from traffic.state import State
from variants import VARIANTS, Variant

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(look: Callable[[], T], within_s: float = 60) -> T:
    """What ``look`` returns once that is true; raises ``AssertionError`` where it never is."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if seen := look():
                return seen
        except (requests.RequestException, OSError, ValueError, KeyError) as error:
            seen = error  # type: ignore[assignment]
        assert time.monotonic() < deadline, f"not within {within_s} s; last seen: {seen!r}"
        time.sleep(0.05)


class System:
    """Parts by name: a variant's service, ``nginx``, ``apply-split``. What they print lies in ``log(name)``."""

    def __init__(self, folder: Path, variants: Sequence[Variant] = VARIANTS, workers: int = 4) -> None:
        self.folder = folder
        self.variants = [replace(variant, port=free_port()) for variant in variants]
        self._run = tempfile.TemporaryDirectory(prefix="ab-test-")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.site = Site(
            listen=f"127.0.0.1:{port}",
            conf=f"{self._run.name}/conf",
            run=self._run.name,
            state=str(folder / "state"),
            ledger=str(folder / "ledger"),
            url=self.url,
            experiment_port=free_port(),
        )
        lay_out(self.site, self.variants)
        conf = Path(self.site.conf, "nginx.conf")
        conf.write_text(conf.read_text().replace("worker_processes auto", f"worker_processes {workers}"))
        self.state = State(self.site.state_folder, self.variants)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "System":
        try:
            for name in commands(self.site, self.variants):
                self.start(name)
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        self._run.cleanup()

    def start(self, name: str) -> None:
        arguments, extra = commands(self.site, self.variants)[name]
        environment = {**os.environ, "CACHE_DIR": str(ROOT / ".cache"), **extra}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                arguments, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self, name: str) -> None:
        """Asks politely, and waits for the end."""
        self.processes[name].terminate()
        self.processes[name].wait(30)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.url}/healthz", timeout=5).json()
        return answer

    def wait_ready(self) -> None:
        eventually(lambda: all(state["ready"] for state in self.health()["variants"].values()))

    def predict(self, photo: Path | bytes, path: str = "/predict", **headers: str) -> requests.Response:
        """Posts a photo on a connection of its own."""
        data = photo if isinstance(photo, bytes) else photo.read_bytes()
        files = {"file": ("photo.jpg", data, "image/jpeg")}
        return requests.post(f"{self.url}{path}", files=files, headers=headers, timeout=60)

    def ledger(self) -> list[dict[str, Any]]:
        """Every line of the ledger so far."""
        return [json.loads(line) for line in (Path(self.site.ledger) / "ledger.jsonl").read_text().splitlines()]

    def ledger_of(self, request_id: str, lines: int = 1) -> list[dict[str, Any]]:
        """The lines of one request, once there are so many."""

        def look() -> list[dict[str, Any]]:
            found = [line for line in self.ledger() if line["request_id"] == request_id]
            return found if len(found) >= lines else []

        return eventually(look)

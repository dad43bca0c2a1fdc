"""The real system for tests: nginx and variants as processes of this machine, on free ports."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from abtest.client import RefusedError
from abtest.client import System as Client
from local.parts import ROOT, Place, commands, lay_out
from variants import CLASSES, TITLE, VARIANTS, Variant

T = TypeVar("T")

_given: set[int] = set()

# The two that the project's experiment compares; its list may have more.
COMPARED = tuple(variant for variant in VARIANTS if variant.name in ("custom", "vgg16"))


def free_port() -> int:
    """A port that nobody listens on, given once: of those below what Linux takes for connections that go out."""
    while True:
        port = secrets.choice(range(20_000, 32_768))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def eventually(look: Callable[[], T], within_s: float = 60) -> T:
    """What ``look`` returns once that is true; raises ``AssertionError`` where it never is."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if seen := look():
                return seen
        except (requests.RequestException, RefusedError, OSError, ValueError, KeyError) as error:
            seen = error  # type: ignore[assignment]
        assert time.monotonic() < deadline, f"not within {within_s} s; last seen: {seen!r}"
        time.sleep(0.05)


def write_list(path: Path, variants: Sequence[Variant], classes: Sequence[str] = CLASSES) -> None:
    entries = [f'\n[[variant]]\nname = "{v.name}"\nservice = "{v.service}"\nport = {v.port}\n' for v in variants]
    head = f'title = "{TITLE}"\nclasses = {json.dumps(list(classes), ensure_ascii=False)}\n'
    path.write_text(head + "".join(entries))


class System:
    """Parts by name: a variant's service, ``nginx``, ``gateway``, ``experiment``. ``log(name)`` is what one printed."""

    def __init__(
        self,
        folder: Path,
        variants: Sequence[Variant] = COMPARED,
        workers: int = 4,
        classes: Sequence[str] = CLASSES,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.variants = [replace(variant, port=free_port()) for variant in variants]
        self.settings = settings
        self._run = tempfile.TemporaryDirectory(prefix="ab-test-")
        self.place = Place(
            listen=f"127.0.0.1:{free_port()}",
            run=self._run.name,
            folder=folder / "run",
            experiment_port=free_port(),
            workers=str(workers),
        )
        self.url = self.place.url
        listed = folder / "variants.toml"
        write_list(listed, self.variants, classes)
        self.plan = folder / "experiment.toml"
        if not self.plan.exists():
            shutil.copy(ROOT / "experiment.toml", self.plan)
        self.environment = {
            **os.environ,
            "CACHE_DIR": str(ROOT / ".cache"),
            "VARIANTS": str(listed),
            "PLAN": str(self.plan),
            "COLUMNS": "160",
            "NO_COLOR": "1",
            **settings,
        }
        lay_out(self.place, self.environment)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            for name in commands(self.place, self.variants):
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
        arguments, extra = commands(self.place, self.variants)[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=self.environment | extra | self.settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Ends a part and what it started, at once, as the end of a container does."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
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
        """Until every variant is ready, and the split in force is one of the record's."""
        # The first start of all converts the models.
        eventually(lambda: all(state["ready"] for state in self.health()["variants"].values()), 240)
        eventually(lambda: self.health()["epoch"] == self.split()["in_force"]["epoch"] > 0)

    @property
    def client(self) -> Client:
        return Client(self.url, (self.place.data / "token").read_text().strip())

    def split(self) -> Any:
        """What the record says of the split."""
        with self.client as client:
            return client.split()

    def change(self, action: str, **wanted: Any) -> Any:
        """Changes the split; raises ``RefusedError`` where that is refused."""
        with self.client as client:
            return client.change(action, **wanted)

    def abtest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the command beside this system."""
        return subprocess.run(
            [sys.executable, "-m", "abtest", *arguments],
            cwd=ROOT,
            env=self.environment | {"ABTEST_URL": self.url, "DATA_DIR": str(self.place.data)},
            capture_output=True,
            text=True,
            check=False,
        )

    def predict(self, photo: Path | bytes, path: str = "/predict", **headers: str) -> requests.Response:
        """Posts a photo on a connection of its own."""
        data = photo if isinstance(photo, bytes) else photo.read_bytes()
        files = {"file": ("photo.jpg", data, "image/jpeg")}
        return requests.post(f"{self.url}{path}", files=files, headers=headers, timeout=60)

    def ledger(self) -> list[dict[str, Any]]:
        """Every line of the ledger so far."""
        return [json.loads(line) for line in (self.place.ledger / "ledger.jsonl").read_text().splitlines()]

    def ledger_of(self, request_id: str, lines: int = 1) -> list[dict[str, Any]]:
        """The lines of one request, once there are so many."""

        def look() -> list[dict[str, Any]]:
            found = [line for line in self.ledger() if line["request_id"] == request_id]
            return found if len(found) >= lines else []

        return eventually(look)

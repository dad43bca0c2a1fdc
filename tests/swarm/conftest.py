"""Three hosts on this machine, each with a Docker Engine of its own, and the stack on them."""

import json
import os
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests

from abtest.client import System as Client
from local.parts import ROOT
from tests.conftest import require
from tests.system import COMPARED, eventually

_SCRIPT = ROOT.parent / "shared" / "docker" / "swarm"
_HOSTS = (1, 2, 3)
_PORT = 8080
_REGISTRY = "10.99.0.1:5000"
_POSTGRES = f"{_REGISTRY}/postgres:16"


def run(*command: str | Path, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a command prints; raises ``AssertionError`` where it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class Hosts:
    """The machines below; ``folder`` is where their disks are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def socket(self, node: int) -> str:
        """Where the Docker Engine of one answers."""
        return f"unix://{self._folder / str(node) / 'docker.sock'}"

    def up(self) -> None:
        self._script("up", str(len(_HOSTS)))

    def down(self) -> None:
        self._script("down")

    def kill(self, node: int) -> None:
        """Everything of it, at once, as when its plug is pulled."""
        self._script("kill", str(node))

    def start(self, node: int) -> None:
        """The machine again, with what its disk held."""
        self._script("start", str(node))

    def _script(self, *arguments: str) -> None:
        run(_SCRIPT, *arguments, environment={"SWARM_DIR": str(self._folder)})


class Stack:
    """The deployed system; nodes by their number, of which 1 is the manager and keeps the database."""

    def __init__(self, hosts: Hosts) -> None:
        self.token = secrets.token_hex(12)
        self.urls = {number: f"http://10.99.0.1{number}:{_PORT}" for number in _HOSTS}
        self._sockets = {number: hosts.socket(number) for number in _HOSTS}
        self._environment = {
            "DOCKER_HOST": self._sockets[1],
            "REGISTRY": _REGISTRY,
            "TAG": "one",
            "PORT": str(_PORT),
            "ABTEST_TOKEN": self.token,
            "POSTGRES_IMAGE": _POSTGRES,
            # All clients here are one, and two cores carry three hosts.
            "PREDICTIONS_PER_MINUTE": "0",
            "ANSWER_S": "20",
        }

    def build(self) -> None:
        images = {"REGISTRY": _REGISTRY, "TAG": "one"}
        run("make", "images", environment=images)
        # Another version of the candidate, for an update; and the hosts have no image but those of this registry.
        candidate = f"{_REGISTRY}/abtest-{COMPARED[-1].service}"
        for image, name in ((f"{candidate}:one", f"{candidate}:two"), ("postgres:16", _POSTGRES)):
            run("docker", "tag", image, name)
            run("docker", "push", name)

    def up(self) -> None:
        self.docker("node", "update", "--label-add", "abtest.database=yes", "swarm1")
        run("deploy/swarm/stack", "up", "--compose-file", "tests/swarm/small.yml", environment=self._environment)

    def down(self) -> None:
        run("deploy/swarm/stack", "down", "--volumes", *self._sockets.values(), environment=self._environment)

    def docker(self, *arguments: str, node: int = 1) -> str:
        return run("docker", "--host", self._sockets[node], *arguments)

    def execute(self, node: int, service: str, *command: str) -> str:
        """What a command prints in the container of a service on a node."""
        of = f"label=com.docker.swarm.service.name=abtest_{service}"
        found = eventually(lambda: self.docker("ps", "--quiet", "--filter", of, node=node).split())
        return self.docker("exec", found[0], *command, node=node)

    def tasks(self, service: str) -> list[int]:
        """The nodes on which a service runs, one for each of its tasks."""
        said = self.docker(
            "service",
            "ps",
            f"abtest_{service}",
            "--filter",
            "desired-state=running",
            "--format",
            "{{.Node}} {{.CurrentState}}",
        )
        return sorted(int(line.split()[0][-1]) for line in said.splitlines() if " Running " in line)

    def epochs(self) -> list[int]:
        """Which epoch each gateway serves."""
        return [requests.get(f"{url}/healthz", timeout=10).json()["epoch"] for url in self.urls.values()]

    def client(self, node: int = 1) -> Client:
        return Client(self.urls[node], self.token)

    def report(self, node: int = 1) -> dict[str, Any]:
        with self.client(node) as client:
            found: dict[str, Any] = client.get("/experiment.json")
        return found

    def requests_in_ledgers(self) -> int:
        """How many predictions all ledgers together have."""
        ids = set()
        for node in _HOSTS:
            text = self.execute(node, "nginx", "sh", "-c", "cat /ledger/*.jsonl")
            ids |= {json.loads(line)["request_id"] for line in text.splitlines()}
        return len(ids)

    def wait_ready(self) -> None:
        """Until every variant is ready, and every gateway serves a split of the record."""

        def ready() -> bool:
            healths = [requests.get(f"{url}/healthz", timeout=10).json() for url in self.urls.values()]
            well = all(state["ready"] for health in healths for state in health["variants"].values())
            return well and 0 < healths[0]["epoch"] == healths[1]["epoch"] == healths[2]["epoch"]

        eventually(ready, within_s=400)


class Visitors:
    """One at each of some gateways who asks a few times a second; what came of it, by gateway."""

    def __init__(self, stack: Stack, photo: bytes, nodes: tuple[int, ...]) -> None:
        self.outcomes: dict[int, Counter[str]] = {node: Counter() for node in nodes}
        self._stop = threading.Event()
        self._photo = photo
        self._threads = [threading.Thread(target=self._ask, args=(node, stack.urls[node])) for node in nodes]

    def _ask(self, node: int, url: str) -> None:
        while not self._stop.wait(0.2):
            try:
                answer = requests.post(f"{url}/predict", files={"file": ("a.jpg", self._photo)}, timeout=60)
                outcome = str(answer.status_code)
            except requests.RequestException as error:
                outcome = type(error).__name__
            self.outcomes[node][outcome] += 1

    def answered(self, more: int = 5) -> None:
        """Waits until each has been answered so many times more."""
        goals = {node: counted.total() + more for node, counted in self.outcomes.items()}
        eventually(lambda: all(self.outcomes[node].total() >= goal for node, goal in goals.items()), within_s=120)

    @contextmanager
    def asking(self) -> Iterator["Visitors"]:
        for thread in self._threads:
            thread.start()
        try:
            self.answered()
            yield self
            self.answered()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require("SWARM", _SCRIPT.exists(), f"file {_SCRIPT}")
    machines = Hosts(tmp_path_factory.mktemp("swarm"))
    try:
        machines.up()
        yield machines
    finally:
        machines.down()


@pytest.fixture(scope="session")
def stack(hosts: Hosts) -> Stack:
    """The stack at work; the tests in this folder change it one after the other."""
    deployed = Stack(hosts)
    deployed.build()
    deployed.up()
    began = time.monotonic()
    deployed.wait_ready()
    print(f"ready after {time.monotonic() - began:.0f} s")
    return deployed

"""A Compose project of the tests' own."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.parts import ROOT
from tests.system import eventually, free_port


class Stack:
    """A Compose project of its own, on a free port."""

    def __init__(self, compose: list[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._compose = compose
        # What Compose reads from its environment.
        self.environment = {
            **os.environ,
            "PORT": str(self.port),
            "COMPOSE_PROJECT_NAME": f"abtest{self.port}",
            "KEEP_IMAGES": "yes",
        }

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._compose, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def execute(self, service: str, *command: str) -> str:
        return self.run("exec", "-T", service, *command, check=False)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine says of the service's containers."""
        ids = self.run("ps", "-q", service).split()
        found = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=True)
        inspected: list[dict[str, Any]] = json.loads(found.stdout)
        return inspected

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.url}/healthz", timeout=5).json()
        return answer

    def wait_ready(self) -> None:
        """Until every variant is ready, and nginx serves a split of the record."""

        def ready() -> bool:
            health = self.health()
            return all(state["ready"] for state in health["variants"].values()) and health["epoch"] > 0

        eventually(ready, within_s=120)

    def variants(self, photo: bytes, count: int) -> list[str]:
        answers = [requests.post(f"{self.url}/predict", files={"file": photo}, timeout=60) for _ in range(count)]
        return [answer.headers.get("X-Variant", str(answer.status_code)) for answer in answers]


@pytest.fixture(scope="session")
def stack(docker_compose: list[str]) -> Iterator[Stack]:
    started = Stack(docker_compose)
    try:
        started.run("up", "--build", "--detach")
        started.wait_ready()
        yield started
    finally:
        started.run("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", check=False)

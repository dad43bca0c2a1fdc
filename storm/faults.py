"""The faults, each done so many times to a system under load."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import requests

from abtest.client import RefusedError
from local.parts import ROOT
from storm.clients import Clients
from tests.system import System, eventually

__all__ = ["Faults"]

_PATIENCE_S = 300
_DYING_S = 0.2


class Faults:
    """What can be done to ``system``. ``kills`` are the times, on the monotonic clock, when nginx lost requests."""

    def __init__(self, system: System, clients: Clients) -> None:
        self.system = system
        self.clients = clients
        self.kills: list[tuple[float, float]] = []
        self._random = random.Random(0)
        self._variants = itertools.cycle([variant.service for variant in system.variants])
        self._shares = 0

    def change(self) -> int:
        """Asks for a split that was not in force before; returns its epoch. Raises ``RefusedError``."""
        self._shares = self._shares % 98 + 1
        shares = {"custom": self._shares, "vgg16": 100 - self._shares}
        epoch: int = self.system.change("split", rule="weighted", shares=shares)["epoch"]
        return epoch

    # One of each at a time

    def variant(self) -> None:
        """Kills one of the variants, in turn; the other one is well."""
        name = next(self._variants)
        # No request that one of them has failed already, and waits for the other.
        self.clients.done()
        self.system.kill(name)
        self.clients.answered(5)
        self.system.start(name)
        self._ready()

    def worker(self) -> None:
        """Kills one of nginx's workers."""
        with self._killing():
            while not self._killed(self._worker()):
                pass
        self.clients.answered(8)

    def nginx(self) -> None:
        """Kills nginx with its workers, as the end of a container does."""
        with self._killing():
            self.system.kill("nginx")
        self.system.start("nginx")
        self._ready()
        self.clients.answered(8)

    def script(self) -> None:
        """Kills the script that follows the record while it takes a change over."""
        with self._changing():
            time.sleep(self._random.uniform(0, 0.5))
            for child in _children(self.system.processes["gateway"].pid, "follow"):
                self._killed(child)
        self.clients.answered(5)

    def command(self) -> None:
        """Kills ``abtest`` while the change that it asked for is under way."""
        self._shares = self._shares % 98 + 1
        shares = [f"custom={self._shares}", f"vgg16={100 - self._shares}"]
        beside = {"ABTEST_URL": self.system.url, "DATA_DIR": str(self.system.place.data)}
        asked = subprocess.Popen(
            [sys.executable, "-m", "abtest", "split", *shares],
            cwd=ROOT,
            env=self.system.environment | beside,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while asked.poll() is None:
            with suppress(RefusedError):
                if self.system.split()["asked"]:
                    break
        asked.kill()
        asked.wait()
        eventually(lambda: self.system.split()["asked"] is None, _PATIENCE_S)

    def experiment(self) -> None:
        """Kills the experiment service, every third time in the middle of a change."""
        if self._random.random() < 1 / 3:
            with self._changing():
                time.sleep(self._random.uniform(0, 0.5))
                self._restart("experiment")
        else:
            self._restart("experiment")
        self.clients.answered(5)

    def changes(self, count: int) -> dict[int, dict[str, float]]:
        """So many changes, asked for from two places at once; which shares came into force, by epoch."""
        told: dict[int, dict[str, float]] = {}

        def ask(place: int) -> None:
            for number in range(count // 2):
                custom = 10.0 * (number % 9) + 5 * place
                shares = {"custom": custom, "vgg16": 100 - custom}
                # Refused: the other place was quicker. Nothing has changed then.
                with suppress(RefusedError):
                    told[self.system.change("split", rule="weighted", shares=shares)["epoch"]] = shares

        places = [threading.Thread(target=ask, args=(place,)) for place in range(2)]
        for place in places:
            place.start()
        for place in places:
            place.join()
        return told

    def full_volume(self, seconds: float) -> None:
        """Fills the volume of the ledger to the last byte, and makes room again."""
        filler = self.system.place.ledger / "filler"
        block = bytes(65536)
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(block)
        time.sleep(seconds)
        filler.unlink()
        eventually(lambda: self.system.health()["ledger"]["low"] is False, _PATIENCE_S)

    def locked_database(self, seconds: float) -> None:
        """Holds SQLite's lock, as a backup might."""
        with sqlite3.connect(self.system.place.data / "experiment.db", timeout=60, isolation_level=None) as database:
            database.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            database.execute("ROLLBACK")
        database.close()

    def stopped(self, name: str, seconds: float) -> None:
        """Stops a part, and what it started, for so long; ``worker`` is one of nginx's."""
        if name == "worker":
            _stop(os.kill, self._worker(), seconds)
        else:
            _stop(os.killpg, self.system.processes[name].pid, seconds)
        self._ready()

    # What they are made of

    def _worker(self) -> int:
        """One of nginx's workers, but none that ends after a change."""
        nginx = self.system.processes["nginx"].pid
        return self._random.choice(eventually(lambda: _children(nginx, "worker process *$"), _PATIENCE_S))

    def _killed(self, pid: int) -> bool:
        # A change may have ended it since it was looked up.
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _ready(self) -> None:
        eventually(lambda: all(s["ready"] for s in self.system.health()["variants"].values()), _PATIENCE_S)

    def _restart(self, name: str) -> None:
        self.system.kill(name)
        self.system.start(name)
        eventually(self.system.split, _PATIENCE_S)

    @contextmanager
    def _killing(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        # A process is not gone as soon as it is told.
        self.kills.append((began, time.monotonic() + _DYING_S))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A change that somebody asks for meanwhile, whatever comes of it."""

        def ask() -> None:
            with suppress(RefusedError):
                self.change()

        asking = threading.Thread(target=ask)
        asking.start()
        with suppress(RefusedError, requests.RequestException):
            eventually(lambda: self.system.split()["asked"] or not asking.is_alive(), _PATIENCE_S)
        yield
        asking.join()
        eventually(lambda: self.system.split()["asked"] is None, _PATIENCE_S)


def _stop(send: Callable[[int, int], None], pid: int, seconds: float) -> None:
    send(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        send(pid, signal.SIGCONT)


def _children(pid: int, named: str = "") -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid), *(["-f", named] if named else [])], capture_output=True, text=True, check=False
    )
    return [int(child) for child in found.stdout.split()]

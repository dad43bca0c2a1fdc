"""What client, ledger, database, record and gateway say, and where one of them says something else."""

import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import create_engine, text

from abtest.client import RefusedError
from storm.clients import Answer
from tests.system import System

__all__ = ["Found", "Truth", "Witness"]

_LOOK_S = 0.05
# Lines are counted, told, read and compared within this time; lost ones, too.
_SETTLED_S = 120.0


@dataclass(frozen=True)
class Found:
    """What the comparison found: requests ``lost``, and how many the report says are, or may be (``stated``)."""

    lost: int
    stated: int
    doubled: int
    disagreements: int


class Witness:
    """Reads the ledger for itself as it grows, also files that are given up later, and what the gateway keeps."""

    def __init__(self, system: System) -> None:
        self.lines: list[dict[str, Any]] = []
        self.splits: dict[int, set[str]] = defaultdict(set)
        """All splits that were seen under an epoch."""
        self._ledger = system.place.ledger
        self._routes = [Path(system.place.run, "routes.conf"), system.place.folder / "gateway" / "routes.in"]
        self._files: dict[tuple[int, int], tuple[BinaryIO, bytes]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for file, _rest in self._files.values():
            file.close()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            for path in self._ledger.glob("*.jsonl"):
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if (found.st_dev, found.st_ino) not in self._files:
                        # Held open, so that its inode becomes no other file's.
                        file: BinaryIO = path.open("rb")
                        held = os.fstat(file.fileno())
                        self._files[held.st_dev, held.st_ino] = file, b""
            for key, (file, begun) in self._files.items():
                *whole, torn = (begun + file.read()).split(b"\n")
                self._files[key] = file, torn
                for line in whole:
                    with suppress(ValueError):  # torn where the volume was full
                        self.lines.append(json.loads(line))
            for routes in self._routes:
                with suppress(OSError, ValueError, IndexError):
                    epoch, split = routes.read_text().splitlines()[:2]
                    self.splits[int(epoch.removeprefix("# epoch "))].add(split)


class Truth:
    """Compares what was asked through one ``system`` with what it holds, fault by fault."""

    def __init__(self, system: System, witness: Witness, database_url: str) -> None:
        self._system = system
        self._witness = witness
        self._engine = create_engine(database_url)
        self._stated = 0
        self._checked = 0
        self._doubled = 0
        self.foreign: list[dict[str, Any]] = []
        """What the last comparison found to be against the record."""

    def close(self) -> None:
        self._engine.dispose()

    @property
    def reused(self) -> int:
        """Epochs under which there was more than one split."""
        return sum(len(splits) > 1 for splits in self._witness.splits.values())

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        return [line for line in self._witness.lines if line["request_id"] == request_id]

    def contradicted(self, told: Mapping[int, Mapping[str, float]]) -> int:
        """How many splits, of which somebody was told that they are in force, the record does not hold so."""
        with self._engine.connect() as connection:
            rows = connection.execute(text("SELECT epoch, split FROM split WHERE standing = 'in_force'")).all()
        recorded = {epoch: json.loads(split)["shares"] for epoch, split in rows}
        return sum(recorded.get(epoch) != shares for epoch, shares in told.items())

    def compare(self, answers: Sequence[Answer]) -> Found:
        """Waits until nothing is under way any more, then compares. ``answers`` are those since the last call."""
        answered = {answer.request_id for answer in answers if answer.status == 200}
        deadline = time.monotonic() + _SETTLED_S
        while True:
            lost, stated, doubled = self._counted(answered)
            agreed = self._agreed()
            settled = agreed and not doubled and lost <= stated
            if settled or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        self.foreign = self._foreign_lines()
        disagreements = len(self.foreign) + (not agreed)
        self._stated += stated
        self._doubled += doubled
        return Found(lost, stated, doubled, disagreements)

    def _counted(self, answered: set[str]) -> tuple[int, int, int]:
        """How many of ``answered`` are missing, how many lines are said to be, and how many count twice."""
        drawn = Counter(line["request_id"] for line in self._witness.lines if line["by"] != "shadow")
        with self._engine.connect() as connection:
            seen = connection.execute(text("SELECT request_id, rest FROM request WHERE assigned IS NOT NULL"))
            rows: dict[str, int] = {row.request_id: row.rest for row in seen}
            sums = connection.execute(text("SELECT what, sum(n) AS n FROM count GROUP BY what"))
            counts: dict[str, int] = {row.what: int(row.n) for row in sums}
        lines = counts.get("line", 0)
        twice = sum(rest > drawn[request_id] - 1 for request_id, rest in rows.items())
        doubled = max(lines - len(self._witness.lines), 0) + twice
        stated = counts.get("lost", 0) + counts.get("killed", 0)
        return len(answered - set(rows)), stated - self._stated, doubled - self._doubled

    def _agreed(self) -> bool:
        """Whether what is in force is what the gateway serves, and will serve after its next start."""
        with suppress(RefusedError, OSError, ValueError, KeyError):
            split = self._system.split()
            kept = (self._system.place.folder / "gateway" / "routes.in").read_text().splitlines()[0]
            epoch = split["in_force"]["epoch"]
            return split["asked"] is None and self._system.health()["epoch"] == epoch and kept == f"# epoch {epoch}"
        return False

    def _foreign_lines(self) -> list[dict[str, Any]]:
        """Lines of the ledger, since the last look, under an epoch whose split in the record is another."""
        with self._engine.connect() as connection:
            rows = connection.execute(text("SELECT epoch, split FROM split")).all()
        record = {epoch: json.loads(split) for epoch, split in rows}
        lines = self._witness.lines[self._checked :]
        self._checked += len(lines)
        return [line for line in lines if not _follows(line, record)]


def _follows(line: dict[str, Any], record: dict[int, dict[str, Any]]) -> bool:
    """Whether a request was drawn as the record says of its epoch; at epoch 0, nothing is recorded yet."""
    split = record.get(line["epoch"])
    if split is None:
        return bool(line["epoch"] == 0)
    if line["by"] == "shadow":
        # One that was drawn just before a change is handed on by what came with it.
        after = record.get(min((epoch for epoch in record if epoch > line["epoch"]), default=0), split)
        return split["shadow"] is not None or after["shadow"] is not None
    return bool(line["by"] == "forced" or line["by"] == ("random" if split["random"] else split["rule"]))

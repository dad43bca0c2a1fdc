"""``make storm``: faults on a system that it starts itself, and a table of what came of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from local.parts import ROOT
from storm.clients import Answer, Clients
from storm.faults import Faults
from storm.truth import Found, Truth, Witness
from tests.postgres import POSTGRES, Postgres
from tests.system import System

__all__ = ["FULL", "Row", "Sizes", "Storm", "main", "table"]

_README = ROOT / "experiment" / "README.md"
_BEGIN, _END = "<!-- storm -->\n", "<!-- end of storm -->"
# Killing the candidate is what a storm is for, so no guardrail may take its traffic.
_PLAN = """control = "custom"
candidate = "vgg16"

[guardrails]
error_rate = 0.99
slow_s = 60
slow_share = 0.99
"""
_LEDGER_MB = 128


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class Sizes:
    """How often each fault is done, and for how many seconds those take that last."""

    variants: int
    workers: int
    nginx: int
    script: int
    command: int
    experiment: int
    changes: int
    full_s: float
    locked_s: float
    stopped_s: float
    stopped: tuple[str, ...] = ("app_custom", "app_vgg16", "worker", "nginx", "gateway", "experiment")


FULL = Sizes(100, 50, 10, 20, 20, 50, 100, 20, 20, 30)


@dataclass(frozen=True)
class Row:
    """One fault. ``unexplained`` requests failed though they were not in flight in an nginx that was killed."""

    fault: str
    count: int
    requests: int
    failed: int
    unexplained: int
    longest_s: float
    found: Found


class Storm:
    """One storm over one ``system`` and its ``database_url``. ``rows`` grow as it goes."""

    def __init__(self, system: System, database_url: str, photo: bytes, say: Callable[[str], None] = _say) -> None:
        self.system = system
        self.rows: list[Row] = []
        self.reused = 0
        self._database_url = database_url
        self._say = say
        self._clients = Clients(system.url, photo)
        self._faults = Faults(system, self._clients)

    @contextmanager
    def raging(self) -> Iterator["Storm"]:
        """Under load, and watched."""
        with Witness(self.system) as witness:
            truth = self._truth = Truth(self.system, witness, self._database_url)
            self._clients.start()
            try:
                self._clients.answered(20)
                yield self
            finally:
                self._clients.stop()
                self.reused = truth.reused
                truth.close()

    def rage(self, sizes: Sizes) -> None:
        """All faults that need no other database."""
        faults = self._faults
        change = self.system.change
        self.fault("a variant killed", sizes.variants, faults.variant)
        self.fault("an nginx worker killed", sizes.workers - sizes.workers // 2, faults.worker)
        change("split", shares={"custom": 50, "vgg16": 50}, shadow={"variant": "vgg16"})
        self.fault("an nginx worker killed, with a shadow", sizes.workers // 2, faults.worker)
        change("split", rule="round_robin")
        self.fault("nginx killed", sizes.nginx, faults.nginx)
        self.fault("the gateway's script killed in mid-change", sizes.script, faults.script)
        self.fault("`abtest` killed in mid-change", sizes.command, faults.command)
        self.fault("the experiment killed", sizes.experiment, faults.experiment)
        told: dict[int, dict[str, float]] = {}
        self.fault(
            "changes from two places at once",
            sizes.changes,
            lambda: told.update(faults.changes(sizes.changes)),
            at_once=True,
            contradicted=lambda: self._truth.contradicted(told),
        )
        if os.path.ismount(self.system.place.ledger):
            self.fault(f"the ledger's volume full for {sizes.full_s:g} s", 1, lambda: faults.full_volume(sizes.full_s))
        self.fault(f"SQLite locked for {sizes.locked_s:g} s", 1, lambda: faults.locked_database(sizes.locked_s))
        names = {"worker": "an nginx worker", "gateway": "the gateway's script", "experiment": "the experiment"}
        for part in sizes.stopped:
            name = names.get(part, part.removeprefix("app_"))
            self.fault(f"{name} stopped for {sizes.stopped_s:g} s", 1, lambda part=part: self._stop(part, sizes))  # type: ignore[misc]

    def _stop(self, part: str, sizes: Sizes) -> None:
        self._faults.stopped(part, sizes.stopped_s)

    def fault(
        self,
        name: str,
        count: int,
        act: Callable[[], object],
        *,
        at_once: bool = False,
        contradicted: Callable[[], int] = lambda: 0,
    ) -> None:
        """Does ``act`` so many times, or once where all of them are ``at_once``, and compares."""
        began = time.monotonic()
        kills = len(self._faults.kills)
        for _ in range(1 if at_once else count):
            act()
        self._clients.answered(10)
        with self._clients.quiet():
            answers = self._clients.take()
            found = self._truth.compare(answers)
        found = Found(found.lost, found.stated, found.doubled, found.disagreements + contradicted())
        failed = [answer for answer in answers if answer.status != 200]
        unexplained = [answer for answer in failed if not _in_flight(answer, self._faults.kills[kills:])]
        longest = max((answer.ended - answer.began for answer in answers), default=0.0)
        row = Row(name, count, len(answers), len(failed), len(unexplained), longest, found)
        self.rows.append(row)
        self._say(f"[{time.strftime('%H:%M:%S')}] {time.monotonic() - began:.0f} s: {row}")
        for answer in unexplained[:5]:
            self._say(f"  not explained: {answer}, {self._truth.lines_of(answer.request_id)}")
        for line in self._truth.foreign[:5]:
            self._say(f"  against the record: {line}")


def _in_flight(answer: Answer, kills: list[tuple[float, float]]) -> bool:
    return any(answer.began <= end and answer.ended >= begin for begin, end in kills)


def table(storms: Mapping[str, Storm]) -> str:
    """The rows of storms by database, as Markdown."""
    lines = [
        "| fault | times | requests | failed | lost | doubled | record and gateways agree | longest wait |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for database, storm in storms.items():
        for row in storm.rows:
            failed = f"{row.failed}"
            if row.failed:
                failed += ", in flight in it" if not row.unexplained else f", {row.unexplained} not in flight in it"
            lost = f"{row.found.lost:,}" + (f" (stated: {row.found.stated:,})" if row.found.lost else "")
            agree = f"no: {row.found.disagreements:,}" if row.found.disagreements else "yes"
            name = row.fault if database == "SQLite" else f"{row.fault}, on {database}"
            lines.append(
                f"| {name} | {row.count} | {row.requests:,} | {failed} | {lost} | {row.found.doubled:,} | {agree} | "
                f"{row.longest_s:.1f} s |"
            )
    reused = sum(storm.reused for storm in storms.values())
    return "\n".join([*lines, "", f"Epochs used twice: {reused}."])


@contextmanager
def ledger_volume(system: System, megabytes: int = _LEDGER_MB) -> Iterator[bool]:
    """A volume of its own for the ledger, before ``system`` starts; False where this user may mount none."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "storm", str(system.place.ledger)]
    mounted = sys.platform == "linux" and not subprocess.run(mount, check=False, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(system.place.ledger)], check=True)


def prepare(folder: Path, database_url: str = "") -> System:
    """A system in ``folder`` whose guardrails put up with everything."""
    folder.mkdir(exist_ok=True)
    (folder / "experiment.toml").write_text(_PLAN)
    return System(folder, DATABASE_URL=database_url)


def on_postgres(folder: Path, photo: bytes, seconds: float, say: Callable[[str], None] = _say) -> Storm:
    """A storm of a PostgreSQL that is killed, and one that is stopped."""
    with Postgres() as postgres, prepare(folder, postgres.url) as system:
        storm = Storm(system, postgres.url, photo, say)
        with storm.raging():

            def kill() -> None:
                postgres.kill()
                time.sleep(seconds / 3)
                postgres.start()

            storm.fault(f"the database killed, and away for {seconds / 3:g} s", 3, kill)
            storm.fault(f"the database stopped for {seconds:g} s", 1, lambda: postgres.pause(seconds))
        return storm


def main() -> int:
    """Takes about an hour on 2 cores; the table goes into experiment/README.md."""
    began = time.monotonic()
    photo = next((ROOT / "sample_data").rglob("*.jpg")).read_bytes()
    storms: dict[str, Storm] = {}
    notes = []
    with TemporaryDirectory(prefix="storm-") as folder:
        system = prepare(Path(folder, "sqlite"))
        with ledger_volume(system) as mounted:
            if not mounted:
                notes.append("The ledger's volume was not filled: that takes a user who may mount one.")
            with system, Storm(system, f"sqlite:///{system.place.data}/experiment.db", photo).raging() as storm:
                storm.rage(FULL)
        storms["SQLite"] = storm
        if POSTGRES.exists():
            storms["PostgreSQL"] = on_postgres(Path(folder, "postgresql"), photo, FULL.stopped_s)
        else:
            notes.append("Nothing was done to PostgreSQL: there is none here.")
    minutes = (time.monotonic() - began) / 60
    taken = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, 8 connections, {minutes:.0f} minutes."
    text = "\n".join([table(storms), *notes, f"Measured: {taken}"]) + "\n"
    print(f"\n{text}")
    head, begin, rest = _README.read_text().partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    _README.write_text(head + begin + text + end + tail)
    bad = [row for storm in storms.values() for row in storm.rows if row.unexplained or _bent(row.found)]
    return bool(bad or any(storm.reused for storm in storms.values()))


def _bent(found: Found) -> bool:
    return found.lost > found.stated or found.doubled > 0 or found.disagreements > 0


if __name__ == "__main__":
    sys.exit(main())

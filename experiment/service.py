"""The service at work: the ledger followed, the experiment watched, the report kept ready."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests
from sqlalchemy import Connection

from experiment.audit import Circumstances, note_change, note_event, note_weights, unnoted
from experiment.database import Database
from experiment.follower import Follower
from experiment.guardrails import Guard
from experiment.intake import Experiments
from experiment.ledger import Line
from experiment.plan import PlanError, read_plan
from experiment.recent import Recent
from experiment.register import take_up
from experiment.report import figures, make_report
from experiment.retention import forget
from experiment.settings import Settings
from traffic.split import Split, make_split
from traffic.state import State
from variants import VARIANTS

__all__ = ["Service", "StartError"]

log = logging.getLogger("experiment")

_WATCH_S = 1.0
_WEIGHTS_EVERY = 5
_FORGET_EVERY = 60
_REPORT_S = 1.0


class StartError(Exception):
    """Why the service cannot start; the message says what to do."""


class Service:
    """All parts, running between ``start`` and ``stop``."""

    def __init__(self, settings: Settings) -> None:
        """Raises ``StartError``, ``PlanError``, ``DatabaseError`` or ``SQLAlchemyError`` where something is missing."""
        for name, folder in (("LEDGER_DIR", settings.ledger_dir), ("STATE_DIR", settings.state_dir)):
            if not folder.is_dir():
                raise StartError(f"{name}={folder} is no folder. Start nginx first, or name the folder it uses.")
        self.settings = settings
        self.plan = read_plan(settings.plan)
        self.plan_problem = ""
        url = settings.database_url
        if not url:
            try:
                settings.data_dir.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StartError(f"DATA_DIR={settings.data_dir} cannot be made: {error.strerror}.") from None
            url = f"sqlite:///{settings.data_dir / 'experiment.db'}"
        self.database = Database(url)
        self.recent = Recent()
        self.listeners: list[Callable[[Sequence[Line]], None]] = [self.recent.add]
        self.follower = Follower(settings.ledger_dir, self.database, self._seen)
        self.state = State(settings.state_dir)
        self.guard = Guard(self.state, self.recent)
        self._running: dict[str, dict[str, str]] = {}
        self._noted = -1
        self._cache: dict[int, tuple[float, dict[str, Any]]] = {}
        self._cache_lock = threading.Lock()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch")

    def start(self) -> None:
        self._take_up()
        self.follower.start()
        self._watcher.start()

    def stop(self) -> None:
        self._stopped.set()
        self.follower.stop()
        self._watcher.join()
        self.database.close()

    def report(self, experiment: int | None = None) -> dict[str, Any] | None:
        """The facts of the experiment that runs, or of the one named; None where there is none. Up to 1 s old."""
        with self._cache_lock:
            made, report = self._cache.get(experiment or 0, (0.0, {}))
            if time.monotonic() - made > _REPORT_S or not report:
                with self.database.read() as connection:
                    found = self._make_report(connection, experiment)
                if found is None:
                    return None
                report = found
                self._cache[experiment or 0] = (time.monotonic(), report)
        if self.guard.tripped:
            # Whatever the labels say: a candidate that is ill is not promoted.
            why = f"brings {self.plan.candidate} back, once it is well; until then it stays out."
            report = report | {"verdict": report["verdict"] | {"next": {"command": "abtest rollback", "why": why}}}
        return {
            **report,
            "guardrail": {
                "latched": bool(self.guard.tripped),
                "reason": self.guard.tripped,
                "checks": [vars(found) for found in self.guard.checks],
            },
            "plan_problem": self.plan_problem,
            "ledger": {**report["ledger"], "read_s_ago": self._lag()},
        }

    def _lag(self) -> float | None:
        at = self.follower.caught_up
        return None if at < 0 else time.monotonic() - at

    def _seen(self, lines: Sequence[Line]) -> None:
        for listener in self.listeners:
            listener(lines)

    def _make_report(self, connection: Connection, experiment: int | None = None) -> dict[str, Any] | None:
        known = Experiments.load(connection)
        wanted = next((e for e in known if e.id == experiment), None) if experiment else known.latest
        if wanted is None:
            return None
        return make_report(connection, wanted, known, self._splits(), self.state.current())

    def _splits(self) -> dict[int, Split]:
        first = make_split("round_robin", {}, [variant.name for variant in VARIANTS])
        return {1: first} | {change.split.epoch: change.split for change in self.state.history()}

    # What is looked at every second

    def _watch(self) -> None:
        trouble = ""
        rounds = 0
        while not self._stopped.wait(_WATCH_S if rounds else 0):
            try:
                # First, for it is the one that must be quick.
                self.guard.watch(self.plan)
                self._reread_plan()
                self._note_changes()
                if rounds % _WEIGHTS_EVERY == 0:
                    self._note_weights()
                if rounds % _FORGET_EVERY == 0:
                    forget(self.database, self.settings.keep_days, self.settings.database_mb)
                trouble = ""
            except Exception as error:  # whatever it is, the next round may do better
                said = str(error).splitlines()[0] if str(error) else repr(error)
                if said != trouble:
                    log.warning("Watching is disturbed: %s", said)
                trouble = said
            rounds += 1

    def _reread_plan(self) -> None:
        try:
            plan = read_plan(self.settings.plan)
        except PlanError as error:
            if str(error) != self.plan_problem:
                log.warning("The experiment goes on as it was: %s", error)
            self.plan_problem = str(error)
            return
        self.plan_problem = ""
        if plan.digest != self.plan.digest:
            self.plan = plan
            self._take_up()

    def _take_up(self) -> None:
        if take_up(self.database, self.plan):
            with self.database.write() as connection:
                now = self._circumstances(connection)
                reason = f"{self.plan.candidate} against {self.plan.control}"
                note_event(connection, "experiment", reason, now)
                note_weights(connection, now.experiment, self._running)
            log.info("Experiment %d begins: %s.", now.experiment, reason)
        self._cache.clear()

    def _circumstances(self, connection: Connection) -> Circumstances:
        report = self._make_report(connection) or {}
        return Circumstances(report["experiment"]["id"], self._running, figures(report))

    def _note_changes(self) -> None:
        history = self.state.history()
        if len(history) == self._noted:
            return
        with self.database.write() as connection:
            for change in unnoted(connection, history):
                note_change(connection, change, self._circumstances(connection))
        self._noted = len(history)

    def _note_weights(self) -> None:
        try:
            site = json.loads((self.settings.state_dir / "site.json").read_text())
            states = requests.get(f"{site['url']}/healthz", timeout=2).json()["variants"]
        except (OSError, ValueError, KeyError, requests.RequestException):
            return  # nginx is away; it says so itself
        running = {name: state["weights"] for name, state in states.items() if "weights" in state}
        if running == self._running:
            return
        self._running = running
        with self.database.write() as connection:
            number = Experiments.load(connection).latest.id
            for variant in note_weights(connection, number, running):
                weights = running[variant]
                reason = f"{variant} runs on {weights['file']} {weights['sha256'][:12]}"
                note_event(connection, "weights", reason, self._circumstances(connection))
                log.warning("The weights changed: %s.", reason)

"""The service at work: the ledger followed, the experiment watched, the split in hand, the report kept ready."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import requests
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from experiment.access.tokens import Tokens
from experiment.control.changes import Changes
from experiment.control.decisions import Circumstances, note_change, note_event, note_weights, unnoted
from experiment.control.gateways import Gateways
from experiment.control.guardrails import Guard
from experiment.control.listing import ListFile
from experiment.control.recent import Recent
from experiment.control.splits import Splits
from experiment.plan import PlanError, PlanFile
from experiment.record.database import Database
from experiment.record.disputed import disputed
from experiment.record.experiments import Experiments, take_up
from experiment.record.follower import Follower
from experiment.record.ledger import Line, highest_epoch
from experiment.record.relay import Relay
from experiment.record.retention import forget, forget_photos
from experiment.report.facts import figures, make_report
from experiment.settings import Settings
from variants import NAMES

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
        if settings.ledger_dir is None:
            _check_shared(settings)
        elif not settings.ledger_dir.is_dir():
            raise StartError(f"LEDGER_DIR={settings.ledger_dir} is no folder. Start nginx first, or name its folder.")
        self.settings = settings
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            self.database = Database(settings.database_url or f"sqlite:///{settings.data_dir / 'experiment.db'}")
            self.tokens = Tokens(self.database, settings.data_dir, settings.abtest_token)
        except OSError as error:
            raise StartError(f"DATA_DIR={settings.data_dir} cannot be written: {error.strerror}.") from None
        with self.database.read() as connection:
            known = Experiments.load(connection)
        self._plan_file = PlanFile(settings.plan, known.latest.plan if len(known) else None)
        self.plan = self._plan_file.plan
        self.plan_problem = ""
        self.recent = Recent()
        self.listeners: list[Callable[[Sequence[Line]], None]] = [self.recent.add]
        gateways = Gateways()
        self.follower: Follower | Relay
        if settings.ledger_dir is None:
            self.follower = Relay(self.database, self._seen, gateways.names, gateways.written)
        else:
            self.follower = Follower(settings.ledger_dir, self.database, self._seen, gateways.written)
        splits = Splits(self.database, NAMES)
        splits.take_over(settings.state_dir)
        self.changes = Changes(splits, gateways)
        self.changes.seen = highest_epoch(settings.ledger_dir) if settings.ledger_dir else 0
        self.list_file = ListFile(settings.variants, self.changes)
        self.guard = Guard(self.changes, self.recent)
        self._running: dict[str, dict[str, str]] = {}
        self._well: dict[str, bool] = {}
        self._looked = 0.0
        self._noted = -1
        self._cache: dict[int, tuple[float, dict[str, Any]]] = {}
        self._cache_lock = threading.Lock()
        self._stopped = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watch")

    def start(self) -> None:
        if self.settings.access == "open":
            log.info(
                "ACCESS=open: everybody who reaches this sees the report and may label. ACCESS=token asks who it is."
            )
        photos = self.settings.keep_images
        if photos:
            log.info("Photos are kept in %s, small, for labelling at /experiment/label.", photos)
        else:
            log.info("No photos are kept; with KEEP_IMAGES=yes those in dispute can be labelled, which takes least.")
        self._take_up()
        if self.changes.splits.latest():
            self.changes.bring_up_to_date()
        self.follower.start()
        self._watcher.start()

    def leave(self) -> None:
        """Sends away who waits, so that an end need not wait for them; from any thread, also in a signal's handler."""
        self._stopped.set()
        self.changes.gateways.close()

    def stop(self) -> None:
        self.leave()
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
            next_step = {"command": "abtest rollback", "why": why, "page": ""}
            first = f"Guardrail: {self.guard.tripped}. {report['verdict']['headline']}"
            report = report | {"verdict": report["verdict"] | {"next": next_step, "headline": first}}
        present = self.changes.gateways.present()
        return {
            **report,
            "guardrail": {
                "latched": bool(self.guard.tripped),
                "reason": self.guard.tripped,
                "outage": self.guard.outage,
                "checks": [vars(found) for found in self.guard.checks],
            },
            "plan_problem": self.plan_problem,
            "list_problem": self.list_file.problem,
            "ledger": {
                **report["ledger"],
                "read_s_ago": self._lag(),
                "low": sorted(gateway.name for gateway in present if gateway.low),
            },
            "hung": sorted({variant for gateway in present for variant in gateway.hung}),
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
        splits = {entry.epoch: entry.split for entry in self.changes.splits.history()}
        photos = self.settings.keep_images
        waiting = len(disputed(connection, photos)) if photos and wanted is known.latest else 0
        return make_report(connection, wanted, known, splits, self.changes.splits.in_force().split, waiting)

    # What is looked at every second

    def _watch(self) -> None:
        trouble = ""
        rounds = 0
        while not self._stopped.wait(_WATCH_S if rounds else 0):
            try:
                # First, for it is the one that must be quick.
                # What was seen before a variant was taken out says nothing of whether it is back.
                seen_since = self._looked > self.changes.splits.in_force().ts
                self.guard.watch(self.plan, self._well if seen_since else {})
                self.changes.settle()
                self.list_file.look()
                self._reread_plan()
                self._note_changes()
                if rounds % _WEIGHTS_EVERY == 0:
                    self._note_weights()
                if rounds % _FORGET_EVERY == 0:
                    forget(self.database, self.settings.keep_days, self.settings.database_mb)
                    if self.settings.keep_images:
                        forget_photos(self.settings.keep_images, self.settings.keep_days)
                trouble = ""
            except Exception as error:  # whatever it is, the next round may do better
                said = str(error).splitlines()[0] if str(error) else repr(error)
                if said != trouble:
                    log.warning("Watching is disturbed: %s", said)
                trouble = said
            rounds += 1

    def _reread_plan(self) -> None:
        try:
            plan = self._plan_file.read(self.changes.names)
        except PlanError as error:
            if str(error) != self.plan_problem:
                log.warning("The experiment goes on as it was: %s", error)
            self.plan_problem = str(error)
            return
        self.plan_problem = ""
        if plan != self.plan:
            before, self.plan = self.plan, plan
            try:
                self._take_up()
            except SQLAlchemyError:
                self.plan = before  # taken up by a later round
                raise

    def _take_up(self) -> None:
        with self.database.write() as connection:
            begun = take_up(connection, self.plan)
            if begun:
                now = self._circumstances(connection)
                reason = f"{self.plan.candidate} against {self.plan.control}"
                note_event(connection, "experiment", reason, now)
                note_weights(connection, now.experiment, self._running)
        if begun:
            log.info("Experiment %d begins: %s.", now.experiment, reason)
        with self.database.read() as connection:
            self.changes.hash_people_with(Experiments.load(connection).latest.key)
        self._cache.clear()

    def _circumstances(self, connection: Connection) -> Circumstances:
        report = self._make_report(connection) or {}
        return Circumstances(report["experiment"]["id"], self._running, figures(report))

    def _note_changes(self) -> None:
        # Before the history: what comes into force in between is noted by the next round.
        in_force = self.changes.splits.in_force().epoch
        if in_force == self._noted:
            return
        history = self.changes.splits.history()
        with self.database.write() as connection:
            for change in unnoted(connection, history):
                note_change(connection, change, self._circumstances(connection))
        self._noted = in_force

    def _note_weights(self) -> None:
        looked = time.time()
        try:
            states = requests.get(f"{self.settings.abtest_url}/healthz", timeout=2).json()["variants"]
        except (ValueError, KeyError, requests.RequestException):
            return  # nginx is away; it says so itself
        hung = {variant for gateway in self.changes.gateways.present() for variant in gateway.hung}
        self._looked = looked
        self._well = {name: state["ready"] and name not in hung for name, state in states.items()}
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


def _check_shared(settings: Settings) -> None:
    """Raises ``StartError`` where something is missing to a service that may start anew on another machine."""
    if not settings.database_url or settings.database_url.startswith("sqlite"):
        raise StartError(
            "LEDGER_DIR=none: followers beside the gateways write to a database that this service shares. DATABASE_URL "
            "names it: postgresql+psycopg://user:password@host/name."
        )
    if not settings.abtest_token:
        raise StartError(
            "LEDGER_DIR=none: this service may run on one machine now and on another later, so it makes no token of "
            "its own. ABTEST_TOKEN, or a secret abtest_token, says which it is."
        )

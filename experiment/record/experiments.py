"""The experiments there were, and which of them runs: the plan in the file against those in the database."""

import hashlib
import secrets
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from experiment.plan import Plan
from experiment.record.database import experiments

__all__ = ["Experiment", "Experiments", "take_up"]


@dataclass(frozen=True)
class Experiment:
    """One experiment; ``started`` in seconds since 1970. With ``key`` its people are hashed; it is never shown."""

    id: int
    plan: Plan
    started: float
    key: str = ""


class Experiments:
    """All experiments so far. A request belongs to the one that ran when it came, or to none (number 0)."""

    def __init__(self, known: Sequence[Experiment]) -> None:
        self._known = sorted(known, key=lambda experiment: experiment.id)
        self._starts = [experiment.started for experiment in self._known]
        self._plans = {experiment.id: experiment.plan for experiment in self._known}

    @classmethod
    def load(cls, connection: Connection) -> "Experiments":
        rows = connection.execute(select(experiments))
        return cls([Experiment(row.id, Plan.model_validate_json(row.plan), row.started, row.key or "") for row in rows])

    def at(self, ts: float) -> int:
        """The number of the experiment that ran at ``ts``."""
        if self._starts and ts >= self._starts[-1]:
            return self._known[-1].id
        place = bisect_right(self._starts, ts)
        return self._known[place - 1].id if place else 0

    def plan(self, number: int) -> Plan | None:
        return self._plans.get(number)

    def end_of(self, number: int) -> float | None:
        """When the next one began; None while it runs."""
        return next((other.started for other in self._known if other.id > number), None)

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def latest(self) -> Experiment:
        return self._known[-1]


def take_up(connection: Connection, plan: Plan) -> bool:
    """Goes on with the latest experiment where it follows ``plan``, else begins a new one; whether it did."""
    known = Experiments.load(connection)
    if len(known) and known.latest.plan == plan:
        return False
    text = plan.model_dump_json()
    digest = hashlib.sha256(text.encode()).hexdigest()
    values = {"plan": text, "digest": digest, "started": time.time(), "key": secrets.token_hex(16)}
    connection.execute(insert(experiments).values(values))
    return True

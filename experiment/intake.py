"""Lines into the database: each request's row, and all counts, in the transaction that also moves the position."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from experiment.counting import Key, Request, contributions, line_keys
from experiment.database import Database, experiments, requests
from experiment.ledger import Line
from experiment.plan import Plan

__all__ = ["Experiment", "Experiments", "change_requests", "count_event", "known_requests", "take_in"]

_AT_ONCE = 10_000
_insert = insert(requests)
_update = update(requests).where(requests.c.request_id == bindparam("_id"))


@dataclass(frozen=True)
class Experiment:
    """One experiment; ``started`` in seconds since 1970."""

    id: int
    plan: Plan
    started: float


class Experiments:
    """All experiments so far. A request belongs to the one that ran when it came, or to none (number 0)."""

    def __init__(self, known: Sequence[Experiment]) -> None:
        self._known = sorted(known, key=lambda experiment: experiment.id)
        self._starts = [experiment.started for experiment in self._known]
        self._plans = {experiment.id: experiment.plan for experiment in self._known}

    @classmethod
    def load(cls, connection: Connection) -> "Experiments":
        rows = connection.execute(select(experiments))
        return cls([Experiment(row.id, Plan.model_validate_json(row.plan), row.started) for row in rows])

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


_Counted = Counter[tuple[int, int, Key]]


def take_in(database: Database, connection: Connection, lines: Sequence[Line], known: Experiments) -> None:
    """Adds ``lines``, none of which was ever added before."""
    counted: _Counted = Counter()
    rows = known_requests(connection, {line.request_id for line in lines})
    old: set[str] = set(rows)
    changed: dict[str, Request] = {}
    for line in lines:
        experiment = known.at(line.ts)
        own, time = line_keys(line)
        counted[experiment, line.epoch, own] += 1
        if time:
            counted[experiment, 0, time] += 1
        row = rows.get(line.request_id)
        if row is None:
            row = rows[line.request_id] = Request(line.request_id, line.ts, experiment, line.epoch)
        elif line.request_id in old and line.request_id not in changed:
            changed[line.request_id] = row
            _count(counted, row, known, -1)
        row.add(line)
    fresh = [row for row in rows.values() if row.request_id not in old]
    for row in fresh:
        _count(counted, row, known, 1)
    for row in changed.values():
        _count(counted, row, known, 1)
    if fresh:
        connection.execute(_insert, [vars(row) for row in fresh])
    if changed:
        _store(connection, changed.values())
    _add(database, connection, counted)


def count_event(database: Database, connection: Connection, known: Experiments, what: str, n: int = 1) -> None:
    """Counts what befell the ledger, for the experiment that runs now."""
    _add(database, connection, Counter({(known.latest.id if len(known) else 0, 0, (what, "", "", "")): n}))


def change_requests(
    database: Database,
    connection: Connection,
    rows: Mapping[str, Request],
    changes: Mapping[str, dict[str, Any]],
    known: Experiments,
) -> None:
    """Changes fields of known requests and the counts with them."""
    counted: _Counted = Counter()
    after = []
    for request_id, change in changes.items():
        before = rows[request_id]
        after.append(replace(before, **change))
        _count(counted, before, known, -1)
        _count(counted, after[-1], known, 1)
    _store(connection, after)
    _add(database, connection, counted)


def known_requests(connection: Connection, request_ids: Iterable[str]) -> dict[str, Request]:
    """The rows of those of ``request_ids`` that have one."""
    wanted = sorted(request_ids)
    found: dict[str, Request] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = select(requests).where(requests.c.request_id.in_(wanted[start : start + _AT_ONCE]))
        for row in connection.execute(some):
            found[row.request_id] = Request(**row._mapping)
    return found


def _store(connection: Connection, rows: Iterable[Request]) -> None:
    connection.execute(_update, [{**vars(row), "_id": row.request_id} for row in rows])


def _count(counted: _Counted, row: Request, known: Experiments, sign: int) -> None:
    for key in contributions(row, known.plan(row.experiment)):
        counted[row.experiment, row.epoch, key] += sign


def _add(database: Database, connection: Connection, counted: _Counted) -> None:
    added = [
        {"experiment": experiment, "epoch": epoch, "what": what, "variant": variant, "a": a, "b": b, "n": n}
        for (experiment, epoch, (what, variant, a, b)), n in counted.items()
        if n
    ]
    if added:
        database.add_counts(connection, added)

"""Lines into the database: each request's row, and all counts, in the transaction that also moves the position."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from experiment.record.counting import Key, Request, contributions, line_keys
from experiment.record.database import Database, counts, requests
from experiment.record.experiments import Experiments
from experiment.record.ledger import Line

__all__ = ["Written", "change_requests", "count_event", "known_requests", "note_written", "take_in"]

_AT_ONCE = 10_000
_insert = insert(requests)
_update = update(requests).where(requests.c.request_id == bindparam("_id"))


_Counted = Counter[tuple[int, int, Key]]


class Written(NamedTuple):
    """What a gateway says of one run of its nginx: ``lines`` written, and workers ``killed`` meanwhile.

    A worker that is killed just after it answered has not written that line, and nobody has counted it.
    """

    lines: int
    killed: int = 0


def take_in(database: Database, connection: Connection, lines: Sequence[Line], known: Experiments) -> None:
    """Adds ``lines``, none of which was ever added before."""
    counted: _Counted = Counter()
    rows = known_requests(connection, {line.request_id for line in lines})
    old: set[str] = set(rows)
    drawn: set[tuple[int, int, str, str]] = set()
    changed: dict[str, Request] = {}
    for line in lines:
        experiment = known.at(line.ts)
        own, time = line_keys(line)
        counted[experiment, line.epoch, own] += 1
        if line.run:
            counted[experiment, 0, ("read", line.gateway, line.run, "")] += 1
        if time:
            counted[experiment, 0, time] += 1
        if line.sticky and line.person:
            drawn.add((experiment, line.epoch, line.person, line.variant))
        row = rows.get(line.request_id)
        if row is None:
            row = rows[line.request_id] = Request(line.request_id, line.ts, experiment, line.epoch)
        elif line.request_id in old and line.request_id not in changed:
            changed[line.request_id] = row
            _count(counted, row, known, -1)
        row.add(line)
    if drawn:
        names = ("experiment", "epoch", "person", "variant")
        for new in database.add_people(connection, [dict(zip(names, one, strict=True)) for one in sorted(drawn)]):
            counted[new["experiment"], new["epoch"], ("people", new["variant"], "", "")] += 1
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


def note_written(
    database: Database, connection: Connection, known: Experiments, gateway: str, run: str, written: Written
) -> None:
    """Notes what a ``gateway`` had ``written`` in its ``run`` before all there is was read.

    What is missing of it is lost, and counted in the experiment that runs now, as workers are that were killed.
    """
    c = counts.c
    whats = ["read", "lost", "killed"]
    chosen = select(c.what, func.sum(c.n)).where(c.what.in_(whats), c.variant == gateway, c.a == run)
    found = Counter({what: int(n) for what, n in connection.execute(chosen.group_by(c.what))})
    lost = max(written.lines - found["read"], 0) - found["lost"]
    killed = max(written.killed - found["killed"], 0)
    latest = known.latest.id if len(known) else 0
    news = {(latest, 0, ("lost", gateway, run, "")): lost, (latest, 0, ("killed", gateway, run, "")): killed}
    _add(database, connection, Counter(news))


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

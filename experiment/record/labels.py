"""True labels: one for each request, the first stands."""

import hmac
import json
import math
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from experiment.plan import Plan
from experiment.record.counting import CELLS, Request
from experiment.record.database import Database, checkpoints, counts, requests
from experiment.record.experiments import Experiments
from experiment.record.intake import change_requests, known_requests
from variants import LABELS

__all__ = [
    "CHANGEABLE_S",
    "LABELS",
    "Given",
    "Label",
    "Source",
    "TooLateError",
    "count_labels",
    "give_label",
    "scored_by",
]

MOST_CHECKPOINTS = 200


CHANGEABLE_S = 600.0
"""So long a label may be changed, or taken back, by whoever gave it."""

Source = Literal["seen", "blind", "page"]
"""Given by somebody who had seen an answer; by somebody who had not; and so for a photo chosen for being in dispute."""


class Given(Enum):
    """What became of a label.

    One given ``AGAIN`` to a photo, in ``EXCESS`` by a person, or by a ``VISITOR`` whom the plan does not count, is kept
    and not counted. With a ticket of ``ANOTHER`` request none is taken.
    """

    TAKEN = "taken"
    AGAIN = "again"
    EXCESS = "excess"
    VISITOR = "visitor"
    ANOTHER = "another"
    SAME = "same"
    UNKNOWN = "unknown"
    ALREADY = "already"


class TooLateError(Exception):
    """Whoever gave the label does not wait any more; nothing was stored."""


@dataclass(frozen=True)
class Label:
    """What a photo showed, one of ``LABELS``; None takes back what was said.

    ``labeller`` is a keyed hash of who says so, where that is known. With ``change`` a label that is not older than
    ``CHANGEABLE_S`` gives way. A ``ticket`` shows that whoever says so got the answer; a ``visitor`` shows no more.
    """

    label: str | None
    source: Source = "seen"
    labeller: str | None = None
    change: bool = False
    ticket: bytes | None = None
    visitor: bool = False


def give_label(database: Database, request_id: str, said: Label, until: float = math.inf) -> Given:
    """Records the true label of a request; the first one stands, and so does the first one of a photo.

    One of a visitor that does not count gives way to anybody else's.

    Raises ``TooLateError`` where it could not be stored before ``until`` on the monotonic clock.
    """
    with database.read() as connection:
        if request_id not in known_requests(connection, [request_id]):
            return Given.UNKNOWN
    with database.write() as connection:
        rows = known_requests(connection, [request_id])
        if request_id not in rows:
            return Given.UNKNOWN
        row = rows[request_id]
        if (refused := _refused(row, said)) is not None:
            return refused
        known = Experiments.load(connection)
        given = _counts(connection, row, said, known.plan(row.experiment))
        changes: dict[str, Any] = {"label": None, "source": None, "labelled": None, "labeller": None, "left_out": None}
        if said.label is not None:
            changes = {
                "label": said.label,
                "source": said.source,
                "labelled": time.time(),
                "labeller": said.labeller,
                "left_out": None if given is Given.TAKEN else given.value,
            }
        change_requests(database, connection, rows, {request_id: changes}, known)
        _checkpoint(connection, row.experiment)
        if time.monotonic() > until:
            raise TooLateError
    return given


def scored_by(database: Database, request_id: str) -> list[str]:
    """The variants that have answered a request by now, seen and unseen, by name."""
    with database.read() as connection:
        rows = known_requests(connection, [request_id])
    return sorted(rows[request_id].answers()) if request_id in rows else []


def _refused(row: Request, said: Label) -> Given | None:
    """Why a label of a known request is not taken; None where it is."""
    if said.ticket is not None and not hmac.compare_digest(said.ticket, row.ticket or b""):
        # Of some requests other lines come first: those of a shadow, or of a variant that failed.
        return Given.ANOTHER if row.ticket or row.answer else Given.UNKNOWN
    if row.left_out != Given.VISITOR.value or said.visitor:
        if row.label == said.label:
            return Given.SAME
        changeable = said.change and time.time() - (row.labelled or 0) < CHANGEABLE_S
        if row.label is not None and not changeable:
            return Given.ALREADY
    return Given.UNKNOWN if said.source == "page" and not row.disagree else None


def count_labels(connection: Connection, experiment: int, disputed: bool = False) -> int:
    """How many labels were given in an experiment, whether they count or not; or those of ``disputed`` photos alone."""
    kinds = ("picked",) if disputed else ("label", "picked", "unused", "left out")
    total = select(func.sum(counts.c.n)).where(counts.c.experiment == experiment, counts.c.what.in_(kinds))
    return int(connection.execute(total).scalar_one() or 0)


def _counts(connection: Connection, row: Request, said: Label, plan: Plan | None) -> Given:
    """Whether a label is the first of its photo, and not one too many of its giver, who counts."""
    if said.visitor and plan and not plan.count_visitors:
        return Given.VISITOR
    c = requests.c
    others = select(c.request_id).where(
        c.experiment == row.experiment, c.label.is_not(None), c.left_out.is_(None), c.request_id != row.request_id
    )
    if row.image and connection.execute(others.where(c.image == row.image).limit(1)).first():
        return Given.AGAIN
    most = plan.labels_per_person if plan else 0
    if said.labeller and most:
        theirs = connection.execute(others.where(c.labeller == said.labeller).limit(most)).all()
        if len(theirs) >= most:
            return Given.EXCESS
    return Given.TAKEN


def _checkpoint(connection: Connection, experiment: int) -> None:
    """Keeps where the labels stand now, for the curves: at most ``MOST_CHECKPOINTS`` of them, evenly spread."""
    rows = connection.execute(
        select(counts.c.epoch, counts.c.variant, counts.c.b, func.sum(counts.c.n))
        .where(counts.c.experiment == experiment, counts.c.what == "cell", counts.c.b.in_(CELLS))
        .group_by(counts.c.epoch, counts.c.variant, counts.c.b)
    ).all()
    labels = int(sum(n for *_, n in rows))
    last = connection.execute(
        select(func.max(checkpoints.c.labels)).where(checkpoints.c.experiment == experiment)
    ).scalar_one()
    stride = 1 << max(0, (labels - 1) // MOST_CHECKPOINTS).bit_length()
    if not labels or (last is not None and labels // stride <= last // stride):
        return
    cells: dict[str, dict[str, int]] = {}
    for epoch, source, cell, n in rows:
        cells.setdefault(f"{epoch}/{source}", {})[cell] = int(n)
    values = {"experiment": experiment, "labels": labels, "ts": time.time(), "cells": json.dumps(cells)}
    connection.execute(insert(checkpoints).values(values))
    kept = connection.execute(select(checkpoints.c.labels).where(checkpoints.c.experiment == experiment)).scalars()
    first_of = {place // stride: place for place in sorted(kept, reverse=True)}
    connection.execute(
        delete(checkpoints).where(
            checkpoints.c.experiment == experiment, checkpoints.c.labels.not_in(list(first_of.values()))
        )
    )

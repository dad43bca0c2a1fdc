"""True labels: one for each request, the first stands."""

import json
import math
import time
from enum import Enum
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select

from experiment.record.counting import CELLS
from experiment.record.database import Database, checkpoints, counts
from experiment.record.experiments import Experiments
from experiment.record.intake import change_requests, known_requests
from variants import CLASSES

__all__ = ["CHANGEABLE_S", "LABELS", "Given", "TooLateError", "give_label"]

LABELS = (*CLASSES, "other")

MOST_CHECKPOINTS = 200


CHANGEABLE_S = 600.0
"""So long a label may be changed, or taken back, by whoever gave it."""


class Given(Enum):
    """What became of a label."""

    TAKEN = "taken"
    SAME = "same"
    UNKNOWN = "unknown"
    ALREADY = "already"


class TooLateError(Exception):
    """Whoever gave the label does not wait any more; nothing was stored."""


def give_label(
    database: Database,
    request_id: str,
    label: str | None,
    source: Literal["user", "page"] = "user",
    *,
    change: bool = False,
    until: float = math.inf,
) -> Given:
    """Records the true ``label`` of a request, one of ``LABELS``; the first one stands.

    With ``change``, a label not older than ``CHANGEABLE_S`` gives way, to none where ``label`` is None. Raises
    ``TooLateError`` where it could not be stored before ``until`` on the monotonic clock.
    """
    with database.read() as connection:
        if request_id not in known_requests(connection, [request_id]):
            return Given.UNKNOWN
    with database.write() as connection:
        rows = known_requests(connection, [request_id])
        if request_id not in rows:
            return Given.UNKNOWN
        row = rows[request_id]
        if row.label == label:
            return Given.SAME
        changeable = change and time.time() - (row.labelled or 0) < CHANGEABLE_S
        if row.label is not None and not changeable:
            return Given.ALREADY
        if source == "page" and not row.disagree:
            return Given.UNKNOWN
        known = Experiments.load(connection)
        changes = {"label": label, "source": source if label else None, "labelled": time.time() if label else None}
        change_requests(database, connection, rows, {request_id: changes}, known)
        _checkpoint(connection, row.experiment)
        if time.monotonic() > until:
            raise TooLateError
    return Given.TAKEN


def _checkpoint(connection: Connection, experiment: int) -> None:
    """Keeps where the labels stand now, for the curves: at most ``MOST_CHECKPOINTS`` of them, evenly spread."""
    rows = connection.execute(
        select(counts.c.epoch, counts.c.b, func.sum(counts.c.n))
        .where(counts.c.experiment == experiment, counts.c.what == "cell", counts.c.b.in_(CELLS))
        .group_by(counts.c.epoch, counts.c.b)
    ).all()
    labels = int(sum(n for _, _, n in rows))
    last = connection.execute(
        select(func.max(checkpoints.c.labels)).where(checkpoints.c.experiment == experiment)
    ).scalar_one()
    stride = 1 << max(0, (labels - 1) // MOST_CHECKPOINTS).bit_length()
    if not labels or (last is not None and labels // stride <= last // stride):
        return
    cells: dict[int, dict[str, int]] = {}
    for epoch, cell, n in rows:
        cells.setdefault(epoch, {})[cell] = int(n)
    values = {"experiment": experiment, "labels": labels, "ts": time.time(), "cells": json.dumps(cells)}
    connection.execute(insert(checkpoints).values(values))
    kept = connection.execute(select(checkpoints.c.labels).where(checkpoints.c.experiment == experiment)).scalars()
    first_of = {place // stride: place for place in sorted(kept, reverse=True)}
    connection.execute(
        delete(checkpoints).where(
            checkpoints.c.experiment == experiment, checkpoints.c.labels.not_in(list(first_of.values()))
        )
    )

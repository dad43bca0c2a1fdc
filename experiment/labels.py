"""True labels: one for each request, the first stands."""

import json
import time
from enum import Enum
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select

from experiment.counting import CELLS
from experiment.database import Database, checkpoints, counts
from experiment.intake import Experiments, change_requests, known_requests
from variants import CLASSES

__all__ = ["LABELS", "Given", "give_label"]

LABELS = (*CLASSES, "other")

MOST_CHECKPOINTS = 200


class Given(Enum):
    """What became of a label."""

    TAKEN = "taken"
    UNKNOWN = "unknown"
    ALREADY = "already"


def give_label(database: Database, request_id: str, label: str, source: Literal["user", "page"] = "user") -> Given:
    """Records the true ``label`` of a request, one of ``LABELS``."""
    with database.read() as connection:
        if request_id not in known_requests(connection, [request_id]):
            return Given.UNKNOWN
    with database.write() as connection:
        rows = known_requests(connection, [request_id])
        if request_id not in rows:
            return Given.UNKNOWN
        row = rows[request_id]
        if row.label is not None:
            return Given.ALREADY
        if source == "page" and not row.disagree:
            return Given.UNKNOWN
        known = Experiments.load(connection)
        change_requests(database, connection, rows, {request_id: {"label": label, "source": source}}, known)
        _checkpoint(connection, row.experiment)
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

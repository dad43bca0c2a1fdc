"""From counts to what ``statistics`` asks for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from experiment.record.counting import BUCKETS, CELLS, bucket_end
from experiment.record.database import checkpoints, counts
from experiment.statistics import Arms, Evidence, Pairs, Tally

__all__ = ["Checkpoint", "Counts", "Latency", "accuracy_tallies", "arms_evidence", "load_checkpoints", "stacked"]

Cells = Mapping[str, Any]
"""How many labels fell into each of ``counting.CELLS``: numbers, or arrays of one shape."""


@dataclass(frozen=True)
class Counts:
    """All counts of one experiment, by ``(epoch, what, variant, a, b)``."""

    rows: Mapping[tuple[int, str, str, str, str], int]

    @classmethod
    def load(cls, connection: Connection, experiment: int) -> "Counts":
        c = counts.c
        chosen = select(c.epoch, c.what, c.variant, c.a, c.b, c.n).where(c.experiment == experiment, c.n != 0)
        return cls({(epoch, what, v, a, b): int(n) for epoch, what, v, a, b, n in connection.execute(chosen)})

    def by(self, what: str, *fields: str, **where: Any) -> dict[Any, int]:
        """Sums over all but ``fields`` (``epoch``, ``variant``, ``a``, ``b``); keys are tuples if there are several."""
        places = {"epoch": 0, "variant": 2, "a": 3, "b": 4}
        wanted = [(places[name], value) for name, value in where.items()]
        found: dict[Any, int] = {}
        for key, n in self.rows.items():
            if key[1] != what or any(key[place] != value for place, value in wanted):
                continue
            group = tuple(key[places[name]] for name in fields)
            group_key = group[0] if len(fields) == 1 else group
            found[group_key] = found.get(group_key, 0) + n
        return found

    def total(self, what: str, **where: Any) -> int:
        return sum(self.by(what, **where).values())

    def cells(self, label: str | None = None) -> dict[int, dict[str, int]]:
        """Labels by epoch and cell, of one true class or of all."""
        where = {} if label is None else {"a": label}
        found: dict[int, dict[str, int]] = {}
        for (epoch, cell), n in self.by("cell", "epoch", "b", **where).items():
            found.setdefault(epoch, {})[cell] = n
        return found

    def evidence(self) -> Evidence:
        """All labels. Those of disputed photos count with as many undisputed ones as there are to each of them."""
        picked = self.by("picked", "b")
        disputed = self.total("pair", a="differ") - self.total("labelled pair", a="differ")
        undisputed = self.total("pair", a="same") - self.total("labelled pair", a="same")
        given = sum(picked.values())
        beside = round(undisputed * given / disputed) if disputed > 0 else 0
        return arms_evidence(self.cells(), {**picked, "both": picked.get("both", 0) + beside})

    def latency(self, variant: str) -> "Latency":
        histogram = np.zeros(BUCKETS, np.int64)
        for number, n in self.by("latency", "a", variant=variant).items():
            histogram[int(number)] += n
        return Latency(histogram)


@dataclass(frozen=True)
class Latency:
    """A variant's answering times; ``histogram`` has ``BUCKETS`` counts."""

    histogram: Any

    def quantile(self, q: float) -> float | None:
        """In seconds, to the bucket; None without any."""
        total = int(self.histogram.sum())
        if not total:
            return None
        return bucket_end(int(np.searchsorted(np.cumsum(self.histogram), q * total)))


def arms_evidence(cells: Mapping[int, Cells], picked: Cells | None = None) -> Evidence:
    """The evidence in cells, kept apart by epoch, and in those of disputed photos besides."""
    sources = [*cells.values(), picked or {}]

    def whole(name: str) -> Any:
        return sum((source.get(name, 0) for source in sources), 0)

    pairs = Pairs(whole("only_candidate"), whole("only_control"), whole("both") + whole("neither"))
    arms = []
    for cell in cells.values():
        control = _tally(cell.get("control_right", 0), cell.get("control_wrong", 0))
        candidate = _tally(cell.get("candidate_right", 0), cell.get("candidate_wrong", 0))
        # Where only one variant was asked there is nothing to compare.
        if np.max(control.total) > 0 and np.max(candidate.total) > 0:
            arms.append(Arms(control, candidate))
    return Evidence(pairs, tuple(arms))


def accuracy_tallies(cells: Iterable[Cells]) -> Arms:
    """All labelled answers of each variant, paired or not."""
    sums: dict[str, Any] = {}
    for cell in cells:
        for name, n in cell.items():
            sums[name] = sums.get(name, 0) + n

    def of(*names: str) -> Any:
        return sum((sums.get(name, 0) for name in names), 0)

    return Arms(
        _tally(of("both", "only_control", "control_right"), of("neither", "only_candidate", "control_wrong")),
        _tally(of("both", "only_candidate", "candidate_right"), of("neither", "only_control", "candidate_wrong")),
    )


def _tally(right: Any, wrong: Any) -> Tally:
    return Tally(right, right + wrong)


@dataclass(frozen=True)
class Checkpoint:
    """How the labels stood at some time: cells by epoch."""

    labels: int
    ts: float
    cells: dict[int, dict[str, int]]


def load_checkpoints(connection: Connection, experiment: int) -> list[Checkpoint]:
    """The oldest first."""
    chosen = select(checkpoints).where(checkpoints.c.experiment == experiment).order_by(checkpoints.c.labels)
    return [
        Checkpoint(row.labels, row.ts, {int(epoch): cells for epoch, cells in json.loads(row.cells).items()})
        for row in connection.execute(chosen)
    ]


def stacked(points: list[Checkpoint]) -> dict[int, dict[str, Any]]:
    """The checkpoints' cells as arrays over the checkpoints, by epoch; all of ``CELLS``."""
    epochs = sorted({epoch for point in points for epoch in point.cells})
    return {
        epoch: {name: np.array([point.cells.get(epoch, {}).get(name, 0) for point in points]) for name in CELLS}
        for epoch in epochs
    }

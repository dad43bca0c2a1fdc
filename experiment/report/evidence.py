"""From counts to what ``statistics`` asks for: which labels there are, which of them decide, and whose they are."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from experiment.record.counting import BUCKETS, CELLS, SEEN, bucket_end
from experiment.record.database import checkpoints, counts
from experiment.statistics import Arms, Evidence, LeftOut, Pairs, People, Tally, of_disputed, why_left_out
from traffic.split import Split

__all__ = ["Checkpoint", "Counts", "Latency", "Sorting", "load_checkpoints", "stacked"]

Cells = Mapping[str, Any]
"""How many labels fell into each of ``counting.CELLS``: numbers, or arrays of one shape."""

Group = tuple[int, str]
"""An epoch, and a source of labels."""

_PAIRED, _CONTROL, _CANDIDATE = CELLS[:4], CELLS[4:6], CELLS[6:]


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

    def cells(self, label: str | None = None) -> dict[Group, dict[str, int]]:
        """Labels by epoch and source, and by cell, of one true class or of all."""
        where = {} if label is None else {"a": label}
        found: dict[Group, dict[str, int]] = {}
        for (epoch, source, cell), n in self.by("cell", "epoch", "variant", "b", **where).items():
            found.setdefault((epoch, source or SEEN), {})[cell] = n
        return found

    def picked(self) -> Pairs:
        """Labels of disputed photos, with as many undisputed ones beside each as there are in the traffic."""
        cells = self.by("picked", "b")
        given = Pairs(
            cells.get("only_candidate", 0),
            cells.get("only_control", 0),
            cells.get("both", 0) + cells.get("neither", 0),
            people=_people(self._persons(0, "page", None), _sum(cells, CELLS[2:3]), _sum(cells, CELLS[1:3])),
        )
        disputed = self.total("pair", a="differ") - self.total("labelled pair", a="differ")
        undisputed = self.total("pair", a="same") - self.total("labelled pair", a="same")
        return of_disputed(given, max(disputed, 0), max(undisputed, 0))

    def people(self, group: Group) -> "_Whose":
        """Whose the labels of a group are; those of folders are nobody's."""
        epoch, source = group
        return _Whose(*(self._persons(epoch, source, cells) for cells in (None, _CONTROL, _CANDIDATE)))

    def _persons(self, epoch: int, source: str, arm: tuple[str, ...] | None) -> dict[str, tuple[int, int]]:
        """Right and all labels of each person: of an arm's cells, or, of pairs, the candidate's of those in dispute."""
        right, among = (arm[:1], arm) if arm else (CELLS[2:3], CELLS[1:3])
        found: dict[str, tuple[int, int]] = {}
        for (at, person, kind, cell), n in self.by("person", "epoch", "variant", "a", "b").items():
            if kind == source and cell in among and (at == epoch or source == "page"):
                k, total = found.get(person, (0, 0))
                found[person] = (k + n * (cell in right), total + n)
        return found

    def latency(self, variant: str) -> "Latency":
        histogram = np.zeros(BUCKETS, np.int64)
        for number, n in self.by("latency", "a", variant=variant).items():
            histogram[int(number)] += n
        return Latency(histogram)


@dataclass(frozen=True)
class _Whose:
    pairs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    control: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    candidate: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sorting:
    """Which groups of labels decide: the splits of their epochs, and the epochs whose label check failed, by kind."""

    splits: Mapping[int, Split]
    unfair: frozenset[tuple[int, bool]] = frozenset()
    """Epoch, and whether of pairs."""

    def why_not(self, group: Group, paired: bool) -> str:
        """Why labels of a group do not decide, empty where they do."""
        epoch, source = group
        split = self.splits.get(epoch)
        evenly = split is not None and (split.rule == "pair" if paired else split.random)
        fair = (epoch, paired) not in self.unfair
        return why_left_out(blind=source != SEEN, paired=paired, evenly=evenly, checked=fair)

    def evidence(
        self, cells: Mapping[Group, Cells], found: Counts | None = None, beside: Pairs | None = None
    ) -> Evidence:
        """All labels in ``cells``, each in its place; ``found`` says whose they are, ``beside`` are blind pairs."""
        pairs = {False: beside or Pairs(), True: Pairs()}
        arms: dict[bool, list[Arms]] = {False: [], True: []}
        left_out: dict[str, int] = {}
        for group, cell in sorted(cells.items()):
            whose = found.people(group) if found and group[1] == SEEN else _Whose()
            seen = group[1] == SEEN
            if reason := self.why_not(group, True):
                left_out[reason] = left_out.get(reason, 0) + _last(_sum(cell, _PAIRED))
            else:
                pairs[seen] = pairs[seen] + _pairs(cell, whose)
            single = Arms(_tally(cell, _CONTROL, whose.control), _tally(cell, _CANDIDATE, whose.candidate))
            if reason := self.why_not(group, False):
                left_out[reason] = left_out.get(reason, 0) + _last(_sum(cell, CELLS[4:]))
            elif np.max(single.control.total) > 0 and np.max(single.candidate.total) > 0:
                # Where only one variant was asked there is nothing to compare.
                arms[seen].append(single)
        out = tuple(LeftOut(reason, n) for reason, n in left_out.items() if n)
        return Evidence(pairs[False], tuple(arms[False]), pairs[True], tuple(arms[True]), out)

    def answers(self, cells: Mapping[Group, Cells]) -> list[Arms]:
        """All labelled answers of each variant that decide, paired or not, by epoch."""
        sums: dict[int, dict[str, Any]] = {}
        for group, cell in cells.items():
            of = sums.setdefault(group[0], {})
            for name, n in cell.items():
                if not self.why_not(group, name in _PAIRED):
                    of[name] = of.get(name, 0) + n
        return [
            Arms(
                Tally(_sum(of, ("both", "only_control", "control_right")), _sum(of, (*_PAIRED, *_CONTROL))),
                Tally(_sum(of, ("both", "only_candidate", "candidate_right")), _sum(of, (*_PAIRED, *_CANDIDATE))),
            )
            for of in sums.values()
        ]


def _pairs(cell: Cells, whose: _Whose) -> Pairs:
    b, c = cell.get("only_candidate", 0), cell.get("only_control", 0)
    people = _people(whose.pairs, b, b + c) if whose.pairs else None
    return Pairs(b, c, _sum(cell, ("both", "neither")), people=people)


def _tally(cell: Cells, names: tuple[str, ...], whose: Mapping[str, tuple[int, int]]) -> Tally:
    right, total = cell.get(names[0], 0), _sum(cell, names)
    return Tally(right, total, _people(whose, right, total) if whose else None)


def _people(persons: Mapping[str, tuple[int, int]], right: Any, total: Any) -> People | None:
    """Sums over the people who are known, and over the rest, each of whom counts as another person."""
    if not persons:
        return None
    r, t = (np.array(values) for values in zip(*persons.values(), strict=True))
    known = People(float((r * r).sum()), float((r * t).sum()), float((t * t).sum()))
    return known + People.apart(max(right - int(r.sum()), 0), max(total - int(t.sum()), 0))


def _sum(cell: Cells, names: Iterable[str]) -> Any:
    return sum((cell.get(name, 0) for name in names), 0)


def _last(counted: Any) -> int:
    return int(np.asarray(counted).flat[-1])


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


@dataclass(frozen=True)
class Checkpoint:
    """How the labels stood at some time: cells by epoch and source."""

    labels: int
    ts: float
    cells: dict[Group, dict[str, int]]


def load_checkpoints(connection: Connection, experiment: int) -> list[Checkpoint]:
    """The oldest first."""
    chosen = select(checkpoints).where(checkpoints.c.experiment == experiment).order_by(checkpoints.c.labels)
    return [
        Checkpoint(row.labels, row.ts, {_group(name): cells for name, cells in json.loads(row.cells).items()})
        for row in connection.execute(chosen)
    ]


def _group(name: str) -> Group:
    epoch, _, source = name.partition("/")
    return int(epoch), source or SEEN


def stacked(points: list[Checkpoint]) -> dict[Group, dict[str, Any]]:
    """The checkpoints' cells as arrays over the checkpoints, by epoch and source; all of ``CELLS``."""
    groups = sorted({group for point in points for group in point.cells})
    return {
        group: {name: np.array([point.cells.get(group, {}).get(name, 0) for point in points]) for name in CELLS}
        for group in groups
    }

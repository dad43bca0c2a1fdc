"""What each chart of the report shows, as rows of a table."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["TABLES", "as_csv"]

Facts = Mapping[str, Any]
Rows = Iterator[Sequence[Any]]

_INTERVAL = ("estimate", "low", "high")


def as_csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _curve(report: Facts) -> Rows:
    plan, curve = report["experiment"], report["curve"]
    names = (plan["control"], plan["candidate"], "difference")
    yield ["labels", "time", *(f"{name} {part}" for name in names for part in _INTERVAL)]
    for at, (labels, ts) in enumerate(zip(curve["labels"], curve["ts"], strict=True)):
        yield [labels, _moment(ts), *(curve[name][part][at] for name in names for part in _INTERVAL)]


def _pairs(report: Facts) -> Rows:
    yield ["who was right", "photos"]
    for name in ("both", "only_control", "only_candidate", "neither"):
        yield [name, report["pairs"][name]]


def _traffic(report: Facts) -> Rows:
    yield ["epoch", "split", "variant", "wanted percent", "seen"]
    for epoch in report["traffic"]["epochs"]:
        for name in sorted({*epoch["wanted"], *epoch["seen"]}):
            yield [epoch["epoch"], epoch["split"], name, epoch["wanted"].get(name, ""), epoch["seen"].get(name, 0)]


def _latency(report: Facts) -> Rows:
    yield ["variant", "up to seconds", "answers"]
    for name, found in report["latency"].items():
        for end, n in zip(report["bucket_ends"], found["histogram"], strict=True):
            if n:
                yield [name, f"{end:.6g}", n]


def _classes(report: Facts) -> Rows:
    plan = report["experiment"]
    yield ["class", "variant", "right", "labels", *_INTERVAL]
    for label, found in report["classes"].items():
        for name in (plan["control"], plan["candidate"]):
            own = found[name]
            yield [label, name, own["right"], own["total"], *(own[part] for part in _INTERVAL)]


def _confusion(report: Facts) -> Rows:
    yield ["variant", "label", "answer", "photos"]
    for variant, rows in report["confusion"].items():
        for label, answers in rows.items():
            for answer, n in answers.items():
                yield [variant, label, answer, n]


def _moment(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="seconds")


TABLES: dict[str, Callable[[Facts], Rows]] = {
    "curve": _curve,
    "pairs": _pairs,
    "traffic": _traffic,
    "latency": _latency,
    "classes": _classes,
    "confusion": _confusion,
}

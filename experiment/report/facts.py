"""Everything there is to know of one experiment, as ``/experiment.json`` says it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from sqlalchemy import Connection

from experiment import statistics
from experiment.control.decisions import decisions_of, weights_of
from experiment.plan import Plan
from experiment.record.counting import BUCKETS, CELLS, bucket_end
from experiment.record.experiments import Experiment, Experiments
from experiment.report.checks import Finding, check_labels, check_split, check_weights, unfair
from experiment.report.conclusion import conclusion
from experiment.report.evidence import Counts, Sorting, load_checkpoints, stacked
from experiment.statistics import Arms, Interval, Tally
from traffic.split import Split
from variants import CLASSES, LABELS, OTHER

__all__ = ["figures", "make_report"]

Facts = dict[str, Any]


def make_report(
    connection: Connection,
    experiment: Experiment,
    known: Experiments,
    splits: Mapping[int, Split],
    current: Split,
    to_label: int = 0,
) -> Facts:
    """The facts of ``experiment``; ``splits`` by epoch, ``current`` the one in force. Times in seconds.

    ``to_label`` disputed photos are kept and wait for a label.
    """
    plan = experiment.plan
    counts = Counts.load(connection, experiment.id)
    used = weights_of(connection, experiment.id)
    findings = [
        *check_split(counts, splits),
        *check_labels(counts),
        *check_weights(used, (plan.control, plan.candidate)),
    ]
    sorting = Sorting(splits, unfair(findings))
    cells = counts.cells()
    evidence = sorting.evidence(cells, counts, counts.picked())
    latencies = {name: counts.latency(name) for name in sorted(set(counts.by("latency", "variant")))}
    typical = {name: latency.quantile(0.5) for name, latency in latencies.items()}
    medians = typical.get(plan.control), typical.get(plan.candidate)
    seconds = (medians[0], medians[1]) if medians[0] is not None and medians[1] is not None else None
    problems = [finding.detail for finding in findings if finding.ok is False]
    verdict = statistics.verdict(plan.comparison, evidence, problems, seconds)
    return {
        "experiment": {
            "id": experiment.id,
            **plan.model_dump(),
            "started": experiment.started,
            "ended": known.end_of(experiment.id),
            "others": [
                {"id": other.id, "name": other.plan.name, "started": other.started}
                for other in known
                if other.id != experiment.id
            ],
        },
        "now": time.time(),
        "verdict": conclusion(verdict, evidence, plan, current, counts, typical, to_label),
        "accuracy": _accuracies(sorting.answers(cells), plan, verdict.ahead),
        "difference": {name: getattr(verdict, name) for name in ("estimate", "low", "high")},
        "curve": _curve(connection, experiment, sorting),
        "pairs": _pairs(counts, sorting),
        "classes": _classes(counts, sorting, plan),
        "confusion": _confusion(counts),
        "traffic": _traffic(counts, splits, current),
        "health": _health(counts),
        "latency": {
            name: {
                "count": int(latency.histogram.sum()),
                **{f"p{q}": latency.quantile(q / 100) for q in (50, 95, 99)},
                "histogram": latency.histogram.tolist(),
            }
            for name, latency in latencies.items()
        },
        "bucket_ends": [bucket_end(number) for number in range(BUCKETS)],
        "labels": {
            "given": sum(counts.total(what) for what in ("label", "picked", "unused", "left out")),
            "counted": verdict.labels,
            "of_disputed_photos": counts.total("picked"),
            "again": counts.total("left out", a="again"),
            "unused": counts.total("unused"),
            "classes": _labels(counts),
        },
        "checks": [asdict(finding) for finding in findings],
        "weaknesses": _weaknesses(counts, splits, findings),
        "weights": used,
        "decisions": decisions_of(connection),
        "ledger": {"skipped": counts.total("skipped"), "gaps": counts.total("gap"), "lost": counts.total("lost")},
    }


def figures(report: Facts) -> Facts:
    """What the record keeps of a report beside a decision."""
    verdict = report["verdict"]
    return {
        "verdict": verdict["headline"],
        "labels": verdict["labels"],
        "e_value": verdict["e_value"],
        "difference": [verdict["estimate"], verdict["low"], verdict["high"]],
        "accuracy": {name: [a["right"], a["total"]] for name, a in report["accuracy"].items()},
        "requests": report["traffic"]["assigned"],
    }


def _interval(interval: Interval) -> Facts:
    return {name: getattr(interval, name).tolist() for name in ("estimate", "low", "high")}


def _accuracies(arms: list[Arms], plan: Plan, ahead: int) -> Facts:
    """Of labels that decide. What would contradict the verdict is None."""
    both = statistics.accuracies(arms, plan.alpha / 2, ahead)
    found = {}
    for place, name in enumerate((plan.control, plan.candidate)):
        tallies = [(arm.control, arm.candidate)[place] for arm in arms]
        right, total = (int(sum(int(getattr(tally, part)) for tally in tallies)) for part in ("right", "total"))
        interval = _interval(both[place]) if both and arms else {"estimate": None, "low": 0.0, "high": 1.0}
        found[name] = {"right": right, "total": total, **interval}
    # Sums over epochs with different splits may say the opposite of each epoch.
    ratios = [of["right"] / of["total"] for of in found.values() if of["total"]]
    if len(arms) > 1 and len(ratios) == 2 and (ratios[1] - ratios[0]) * _order(both) < 0:
        for of in found.values():
            of["right"] = None
    return found


def _order(both: tuple[Interval, Interval] | None) -> float:
    return float(both[1].estimate - both[0].estimate) if both else 0.0


def _curve(connection: Connection, experiment: Experiment, sorting: Sorting) -> Facts:
    """Both accuracies and their difference after each of some numbers of labels: lists of one length."""
    plan = experiment.plan
    points = load_checkpoints(connection, experiment.id)
    if not points:
        return {"labels": [], "ts": []}
    cells = stacked(points)
    both = statistics.accuracies(sorting.answers(cells), plan.alpha / 2)
    evidence = sorting.evidence(cells)
    if both is None or not np.any(evidence.labels):
        return {"labels": [], "ts": []}
    return {
        "labels": [point.labels for point in points],
        "ts": [point.ts for point in points],
        plan.control: _interval(both[0]),
        plan.candidate: _interval(both[1]),
        "difference": _interval(statistics.difference(evidence, plan.alpha)),
    }


def _pairs(counts: Counts, sorting: Sorting) -> Facts:
    found = counts.by("picked", "b")
    for group, cells in counts.cells().items():
        if not sorting.why_not(group, paired=True):
            found = {name: found.get(name, 0) + cells.get(name, 0) for name in CELLS[:4]}
    return {
        **{name: found.get(name, 0) for name in CELLS[:4]},
        "scored_by_both": counts.total("pair"),
        "disagree": counts.total("pair", a="differ"),
    }


def _labels(counts: Counts) -> list[str]:
    """Today's, and those that only an experiment of before had."""
    used = {*counts.by("answer", "a"), *counts.by("answer", "b")}
    return [*CLASSES, *sorted(used - set(LABELS)), OTHER]


def _classes(counts: Counts, sorting: Sorting, plan: Plan) -> Facts:
    cells = {label: counts.cells(label) for label in _labels(counts) if counts.total("cell", a=label)}
    answers = {}
    for label, found in cells.items():
        arms = sorting.answers(found)
        if any(int(arm.control.total) + int(arm.candidate.total) for arm in arms):
            answers[label] = Arms(_sum(arm.control for arm in arms), _sum(arm.candidate for arm in arms))
    if not answers:
        return {}
    evidence = {label: sorting.evidence(cells[label]) for label in answers}
    compared = statistics.compare_classes(evidence, answers, plan.alpha)
    return {
        label: {
            plan.control: {**_tally(answers[label].control), **_interval(found.control)},
            plan.candidate: {**_tally(answers[label].candidate), **_interval(found.candidate)},
            "difference": _interval(found.difference),
            "worse": found.worse,
        }
        for label, found in compared.items()
    }


def _sum(tallies: Iterable[Tally]) -> Tally:
    listed = list(tallies)
    return Tally(sum(int(tally.right) for tally in listed), sum(int(tally.total) for tally in listed))


def _tally(tally: Tally) -> Facts:
    return {"right": int(tally.right), "total": int(tally.total)}


def _confusion(counts: Counts) -> Facts:
    """By variant, true label and answer."""
    found: Facts = {}
    for (variant, label, answer), n in sorted(counts.by("answer", "variant", "a", "b").items()):
        found.setdefault(variant, {}).setdefault(label, {})[answer] = n
    return found


def _traffic(counts: Counts, splits: Mapping[int, Split], current: Split) -> Facts:
    epochs = sorted({epoch for epoch, what, *_ in counts.rows if what == "assigned"} | {current.epoch})
    return {
        "assigned": counts.by("assigned", "variant"),
        "assigned_in_epoch": counts.by("assigned", "variant", epoch=current.epoch),
        "failovers": counts.total("failover"),
        "repeated_ids": counts.total("repeated"),
        "forced": counts.total("line", a="forced"),
        "shadows": counts.by("line", "variant", a="shadow"),
        "current": str(current),
        "epochs": [
            {
                "epoch": epoch,
                "split": str(splits[epoch]) if epoch in splits else "unknown",
                "wanted": dict(splits[epoch].shares) if epoch in splits else {},
                "seen": counts.by("assigned", "variant", epoch=epoch),
            }
            for epoch in epochs
        ],
    }


def _health(counts: Counts) -> Facts:
    """Lines by variant and outcome."""
    found: Facts = {}
    for (variant, outcome), n in sorted(counts.by("line", "variant", "b").items()):
        found.setdefault(variant, dict.fromkeys(("ok", "failed", "away", "refused", "left"), 0))[outcome] = n
    return found


def _weaknesses(counts: Counts, splits: Mapping[int, Split], findings: list[Finding]) -> list[str]:
    """What does not make the comparison invalid, but should be known."""
    said = []
    if lost := counts.total("lost"):
        said.append(f"{lost:,} lines of the ledger were lost before they were read; their requests are missing.")
    if killed := counts.total("killed"):
        workers = "A worker of nginx was killed" if killed == 1 else f"{killed:,} workers of nginx were killed"
        said.append(f"{workers}; requests that were answered just before may be missing.")
    if early := counts.total("early"):
        said.append(
            f"{early:,} requests bear a time before the experiment began: a clock was put back. They take no part."
        )
    if gaps := counts.total("gap"):
        said.append(f"The ledger was deleted {gaps} times before all of it was read; requests are missing.")
    if skipped := counts.total("skipped"):
        said.append(f"{skipped:,} lines of the ledger were torn or foreign, and were skipped.")
    if repeated := counts.total("repeated"):
        said.append(f"{repeated:,} requests used an id that was used before; they take no part.")
    if any(finding.ok is None and "no record" in finding.detail for finding in findings):
        said.append("For some of the traffic no record says how it was split.")
    return said

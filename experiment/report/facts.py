"""Everything there is to know of one experiment, as ``/experiment.json`` says it."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from experiment import statistics
from experiment.control.decisions import decisions_of, weights_of
from experiment.plan import Plan
from experiment.record.counting import BUCKETS, CELLS, bucket_end
from experiment.record.experiments import Experiment, Experiments
from experiment.record.labels import LABELS
from experiment.report.checks import Finding, check_labels, check_split, check_weights
from experiment.report.evidence import Counts, accuracy_tallies, arms_evidence, load_checkpoints, stacked
from experiment.statistics import Interval, Outcome, Verdict
from traffic.split import Split

__all__ = ["figures", "make_report"]

Facts = dict[str, Any]


def make_report(
    connection: Connection, experiment: Experiment, known: Experiments, splits: Mapping[int, Split], current: Split
) -> Facts:
    """The facts of ``experiment``; ``splits`` by epoch, ``current`` the one in force. Times in seconds."""
    plan = experiment.plan
    counts = Counts.load(connection, experiment.id)
    used = weights_of(connection, experiment.id)
    findings = [
        *check_split(counts, splits),
        *check_labels(counts),
        *check_weights(used, (plan.control, plan.candidate)),
    ]
    evidence = counts.evidence()
    latencies = {name: counts.latency(name) for name in sorted(set(counts.by("latency", "variant")))}
    medians = [latencies[name].quantile(0.5) if name in latencies else None for name in (plan.control, plan.candidate)]
    seconds = (medians[0], medians[1]) if medians[0] is not None and medians[1] is not None else None
    problems = [finding.detail for finding in findings if finding.ok is False]
    verdict = statistics.verdict(plan.comparison, evidence, problems, seconds)
    cells = counts.cells()
    interval = statistics.difference(evidence, plan.alpha)
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
        "verdict": _verdict(verdict, plan, current, evidence),
        "accuracy": _accuracies(cells.values(), plan),
        "difference": _interval(interval),
        "curve": _curve(connection, experiment),
        "pairs": _pairs(counts),
        "classes": _classes(counts, plan),
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
            "given": counts.total("label") + counts.total("picked") + counts.total("unused"),
            "of_disputed_photos": counts.total("picked"),
            "unused": counts.total("unused"),
            "classes": list(LABELS),
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


def _verdict(verdict: Verdict, plan: Plan, current: Split, evidence: statistics.Evidence) -> Facts:
    headline = {
        Outcome.BETTER: f"{verdict.variant} is better",
        Outcome.EQUIVALENT: "Practically equivalent",
        Outcome.KEEP_GOING: "Keep going",
        Outcome.INVALID: "Invalid",
    }[verdict.outcome]
    command, why = _next_step(verdict, plan, current)
    return {
        "outcome": verdict.outcome.value,
        "variant": verdict.variant,
        "headline": headline,
        "reasons": list(verdict.reasons),
        "next": {"command": command, "why": why},
        "e_value": math.exp(min(verdict.log_e, 690.0)),
        "e_value_needed": verdict.needed,
        "estimate": verdict.estimate,
        "low": verdict.low,
        "high": verdict.high,
        "labels": verdict.labels,
        "labels_needed": asdict(verdict.labels_needed) if verdict.labels_needed else None,
        "probability_better": _probability_better(evidence),
    }


def _probability_better(evidence: statistics.Evidence) -> float | None:
    """The Bayesian probability that the candidate is better, from the pairs where there are any; shown only."""
    pairs = evidence.pairs
    if float(pairs.only_candidate) + float(pairs.only_control) > 0:
        return statistics.probability_better_paired(pairs)
    if not evidence.arms:
        return None
    return statistics.probability_better(
        statistics.Arms(_pool(arm.control for arm in evidence.arms), _pool(arm.candidate for arm in evidence.arms))
    )


def _pool(tallies: Iterable[statistics.Tally]) -> statistics.Tally:
    listed = list(tallies)
    return statistics.Tally(sum(float(t.right) for t in listed), sum(float(t.total) for t in listed))


def _next_step(verdict: Verdict, plan: Plan, current: Split) -> tuple[str, str]:
    """The command to type, and what it does."""
    if verdict.variant is not None:
        if current.shares.get(verdict.variant, 0) >= 100:
            return "", f"{verdict.variant} has all traffic already: nothing is left to do."
        return f"abtest promote {verdict.variant}", f"sends all traffic to {verdict.variant}."
    if verdict.outcome is Outcome.INVALID:
        return (
            "abtest status",
            "shows what runs. Put that right, then change the name in experiment.toml to begin anew.",
        )
    shares = current.shares
    if current.shadow is None and max(shares.get(plan.control, 0), shares.get(plan.candidate, 0)) >= 100:
        other = plan.candidate if shares.get(plan.control, 0) >= 100 else plan.control
        return (
            f"abtest split --shadow {other}",
            f"lets {other} score the same photos, unseen.",
        )
    return (
        "abtest replay DIR --label-from-folder",
        "sends photos whose folders say what they show.",
    )


def _interval(interval: Interval) -> Facts:
    return {name: getattr(interval, name).tolist() for name in ("estimate", "low", "high")}


def _accuracies(cells: Iterable[Mapping[str, int]], plan: Plan) -> Facts:
    arms = accuracy_tallies(cells)
    return {
        name: {
            "right": int(tally.right),
            "total": int(tally.total),
            **_interval(statistics.accuracy(tally, plan.alpha / 2)),
        }
        for name, tally in ((plan.control, arms.control), (plan.candidate, arms.candidate))
    }


def _curve(connection: Connection, experiment: Experiment) -> Facts:
    """Both accuracies and their difference after each of some numbers of labels: lists of one length."""
    plan = experiment.plan
    points = load_checkpoints(connection, experiment.id)
    if not points:
        return {"labels": [], "ts": []}
    cells = stacked(points)
    arms = accuracy_tallies(cells.values())
    return {
        "labels": [point.labels for point in points],
        "ts": [point.ts for point in points],
        plan.control: _interval(statistics.accuracy(arms.control, plan.alpha / 2)),
        plan.candidate: _interval(statistics.accuracy(arms.candidate, plan.alpha / 2)),
        "difference": _interval(statistics.difference(arms_evidence(cells), plan.alpha)),
    }


def _pairs(counts: Counts) -> Facts:
    cells, picked = counts.by("cell", "b"), counts.by("picked", "b")
    return {
        **{name: cells.get(name, 0) + picked.get(name, 0) for name in CELLS[:4]},
        "scored_by_both": counts.total("pair"),
        "disagree": counts.total("pair", a="differ"),
    }


def _classes(counts: Counts, plan: Plan) -> Facts:
    labels = [label for label in LABELS if counts.total("cell", a=label)]
    if not labels:
        return {}
    cells = {label: counts.cells(label) for label in labels}
    answers = {label: accuracy_tallies(cells[label].values()) for label in labels}
    compared = statistics.compare_classes({label: arms_evidence(cells[label]) for label in labels}, answers, plan.alpha)
    return {
        label: {
            plan.control: {**_tally(answers[label].control), **_interval(found.control)},
            plan.candidate: {**_tally(answers[label].candidate), **_interval(found.candidate)},
            "difference": _interval(found.difference),
            "worse": found.worse,
        }
        for label, found in compared.items()
    }


def _tally(tally: statistics.Tally) -> Facts:
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
        found.setdefault(variant, dict.fromkeys(("ok", "failed", "refused", "left"), 0))[outcome] = n
    return found


def _weaknesses(counts: Counts, splits: Mapping[int, Split], findings: list[Finding]) -> list[str]:
    """What does not make the comparison invalid, but should be known."""
    said = []
    if lost := counts.total("lost"):
        said.append(f"{lost:,} lines of the ledger were lost before they were read; their requests are missing.")
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
    if any(splits[epoch].rule == "sticky" for epoch in {key[0] for key in counts.rows} if epoch in splits):
        said.append("Under a sticky split photos of one person go to one variant; their labels count as independent.")
    if any(finding.ok is None and "no record" in finding.detail for finding in findings):
        said.append("For some of the traffic no record says how it was split.")
    return said

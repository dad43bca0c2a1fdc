"""The verdict as facts: its first line, its price, which labels it rests on, and the next step to take."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from experiment import statistics
from experiment.plan import Plan
from experiment.report.evidence import Counts
from experiment.statistics import Evidence, Outcome, Verdict, messages
from traffic.split import Split

__all__ = ["conclusion"]

Facts = dict[str, Any]


def conclusion(
    verdict: Verdict,
    evidence: Evidence,
    plan: Plan,
    current: Split,
    counts: Counts,
    seconds: Mapping[str, float | None],
    to_label: int,
) -> Facts:
    """The facts of ``verdict``. ``seconds`` are typical times by variant; ``to_label`` disputed photos lie ready."""
    replayed = any(source == "blind" for _, source in counts.cells())
    command, why, page = _next_step(verdict, plan, current, to_label, replayed)
    return {
        "outcome": verdict.outcome.value,
        "variant": verdict.variant,
        "headline": messages.headline(verdict.outcome.value, verdict.variant, verdict.gain),
        "price": _price(verdict, plan, seconds),
        "reasons": list(verdict.reasons),
        "counted": verdict.counted + _not_counted(counts, plan),
        "next": {"command": command, "why": why, "page": page},
        "e_value": math.exp(min(verdict.log_e, 690.0)),
        "e_value_needed": verdict.needed,
        "estimate": verdict.estimate,
        "low": verdict.low,
        "high": verdict.high,
        "labels": verdict.labels,
        "labels_needed": asdict(verdict.labels_needed) if verdict.labels_needed else None,
        "probability_better": statistics.chance_better(evidence, verdict.ahead),
    }


def _price(verdict: Verdict, plan: Plan, seconds: Mapping[str, float | None]) -> str:
    if verdict.outcome is not Outcome.BETTER or verdict.variant is None:
        return ""
    other = plan.control if verdict.variant == plan.candidate else plan.candidate
    ours, theirs = seconds.get(verdict.variant), seconds.get(other)
    return messages.price((ours, theirs) if ours and theirs else None)


def _not_counted(counts: Counts, plan: Plan) -> str:
    """Labels that were given and that no verdict may ever rest on."""
    said = []
    if again := counts.total("left out", a="again"):
        said.append(f"{again:,} were given to a photo that has a label already")
    if excess := counts.total("left out", a="excess"):
        said.append(f"{excess:,} by people who had given {plan.labels_per_person}, the most that count")
    if visitors := counts.total("left out", a="visitor"):
        said.append(f"{visitors:,} by visitors, which the plan does not count")
    if unused := counts.total("unused"):
        said.append(f"{unused:,} to requests that take no part")
    return f" Not counted: {'; '.join(said)}." if said else ""


def _next_step(verdict: Verdict, plan: Plan, current: Split, to_label: int, replayed: bool) -> tuple[str, str, str]:
    """The command to type, what it does, and a page to open instead; ``replayed``: a folder brought labels already."""
    if verdict.variant is not None:
        return _promotion(verdict.variant, current)
    if verdict.outcome is Outcome.INVALID:
        why = "shows what runs. Put that right, then change the name in experiment.toml to begin anew."
        return "abtest status", why, ""
    if to_label:
        photos = "photo lies" if to_label == 1 else "photos lie"
        why = f"{to_label:,} {photos} ready on which the variants disagree: labels of those say most."
        return "", why, "/experiment/label"
    if current.rule != "pair":
        why = "lets both variants score every photo and shows either's answer, so that every label compares them."
        return "abtest split --pair", why, ""
    if replayed:
        # A photo that has a label brings none again.
        why = "Labels of further photos are needed: say on the result page what one shows, or replay another folder."
        return "", why, "/"
    return "abtest replay sample_data --label-from-folder", "sends photos whose folders say what they show.", ""


def _promotion(variant: str, current: Split) -> tuple[str, str, str]:
    if current.shares.get(variant, 0) >= 100:
        return "", f"{variant} has all traffic already: nothing is left to do.", ""
    return f"abtest promote {variant}", f"sends all traffic to {variant}.", ""

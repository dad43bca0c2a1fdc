"""Guardrails: a candidate that goes wrong loses its traffic, once, until a person changes the split again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from experiment import statistics
from experiment.control.changes import Changes, UndecidedError
from experiment.control.recent import Recent
from experiment.control.splits import Entry
from experiment.plan import Plan
from experiment.record.ledger import Line
from traffic.split import Split, SplitError, make_split
from variants import VARIANTS

__all__ = ["Check", "Guard", "check"]

log = logging.getLogger("experiment")

ACTION: Literal["guardrail"] = "guardrail"
_LATEST = 20


@dataclass(frozen=True)
class Check:
    """How one guardrail stands: ``bad`` of ``total`` recent requests of the candidate, ``limit`` is what may be."""

    name: Literal["errors", "latency"]
    state: Literal["ok", "breach", "too_little_traffic"]
    bad: int
    total: int
    allowed: float
    sentence: str


def check(lines: Sequence[Line], plan: Plan) -> list[Check]:
    """Both guardrails over ``lines``, the oldest first.

    Forced requests are somebody's trial and do not count. A request that was refused (4xx) is the client's fault. One
    whose client left counts as slow where it had waited too long, and otherwise not at all.
    """
    bounds = plan.guardrails
    errors: dict[str, list[bool]] = {plan.control: [], plan.candidate: []}
    slow: dict[str, list[bool]] = {plan.control: [], plan.candidate: []}
    for line in lines:
        if line.kind == "forced" or line.variant not in errors or line.outcome == "refused":
            continue
        late = line.seconds is not None and line.seconds > bounds.slow_s
        if line.outcome != "left":
            errors[line.variant].append(line.outcome == "failed")
        if late or (line.outcome == "ok" and line.seconds is not None):
            slow[line.variant].append(late)
    return [
        _check("errors", errors, bounds.error_rate, plan, "failed"),
        _check("latency", slow, bounds.slow_share, plan, f"took longer than {bounds.slow_s:g} s for"),
    ]


def _check(
    name: Literal["errors", "latency"], found: dict[str, list[bool]], limit: float, plan: Plan, verb: str
) -> Check:
    control, candidate = found[plan.control], found[plan.candidate]
    # Where both went wrong a moment ago, the control's good minute before says nothing against the candidate.
    latest = control[-_LATEST:]
    beside = latest if sum(latest) * len(control) > sum(control) * len(latest) else control
    result = statistics.guardrail(candidate, statistics.Tally(len(beside) - sum(beside), len(beside)), limit)
    if not control or not candidate:
        idle = plan.control if not control else plan.candidate
        return Check(name, result.state, result.bad, result.total, limit, f"no requests to {idle} in the last minute")
    sentence = (
        f"{plan.candidate} {verb} {result.bad} of its last {result.total} requests, "
        f"{plan.control} {sum(control)} of {len(control)}; {result.allowed:.1%} are put up with"
    )
    return Check(name, result.state, result.bad, result.total, result.allowed, sentence)


class Guard:
    """Watches the candidate, and acts by ``changes``."""

    def __init__(self, changes: Changes, recent: Recent) -> None:
        self._changes = changes
        self._recent = recent
        self.checks: list[Check] = []
        self.tripped = ""
        """Why the candidate has no traffic, while a guardrail has taken it."""

    def watch(self, plan: Plan) -> None:
        """Looks at the last minute, and acts where it must."""
        entry = self._changes.splits.in_force()
        self.tripped = entry.reason if entry.action == ACTION else ""
        self.checks = check(self._recent.of(entry.epoch), plan)
        if self.tripped or not _has_traffic(entry.split, plan.candidate):
            return
        breach = "; ".join(found.sentence for found in self.checks if found.state == "breach")
        if breach:
            self._act(entry, plan, breach)

    def _act(self, entry: Entry, plan: Plan, reason: str) -> None:
        names = [variant.name for variant in VARIANTS]

        def safe(before: Entry) -> tuple[Split, None]:
            return make_split("weighted", {plan.control: 100}, names, before=before.split), None

        try:
            self._changes.make(ACTION, entry.epoch, safe, "the guardrail", reason)
        except (SplitError, UndecidedError) as error:
            log.warning("The guardrail could not act, and tries again: %s", error)
            return
        self.tripped = reason
        log.warning("All traffic goes to %s: %s.", plan.control, reason)


def _has_traffic(split: Split, variant: str) -> bool:
    return split.shares.get(variant, 0) > 0 or (split.shadow is not None and split.shadow.variant == variant)

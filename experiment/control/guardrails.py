"""Guardrails: a candidate that goes wrong loses its traffic until a person changes the split again.

A variant that is away altogether, the control too, is taken out while it lasts and brought back by itself.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiment import statistics
from experiment.control.changes import Changes, UndecidedError
from experiment.control.recent import Recent
from experiment.control.splits import Action, Entry
from experiment.plan import Plan
from experiment.record.ledger import Line
from experiment.statistics import check_messages
from traffic.split import Split, SplitError, fit, make_split

__all__ = ["Check", "Guard", "check"]

log = logging.getLogger("experiment")

_BY = "the guardrail"
_LATEST = 20
_ENOUGH_PAIRS = 20
# A variant that was taken out is brought back once it is well; after each further time within an hour, so much later.
_BACK_S = 60.0
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Check:
    """How one guardrail stands: ``bad`` of ``total`` recent requests of the candidate, ``limit`` is the share allowed.

    ``in_turn`` says that photos went to the variants strictly in turn, so that slow ones may all have come to one.
    """

    name: Literal["errors", "latency"]
    state: statistics.State
    bad: int
    total: int
    limit: float
    sentence: str
    in_turn: bool = False


def check(lines: Sequence[Line], plan: Plan, in_turn: bool = False) -> list[Check]:
    """Both guardrails over ``lines``, the oldest first, under a split that draws strictly in turn or by chance.

    Forced requests are somebody's trial and do not count. A request that was refused (4xx) is the client's fault. One
    whose client left counts as slow where it had waited too long, and otherwise not at all. A variant that is away for
    a while has failed once: until it answers a request that began after it left. As a shadow, away or too busy, it
    costs nobody an answer. Where both scored the same photos, their times are compared pair by pair.
    """
    bounds = plan.guardrails
    compared = {plan.control: _Series(), plan.candidate: _Series()}
    slow: dict[str, dict[str, bool]] = {}
    for line in lines:
        if line.kind == "forced" or line.variant not in compared or line.outcome == "refused":
            continue
        if line.kind == "shadow" and line.outcome == "away":
            continue
        series = compared[line.variant]
        late = line.seconds is not None and line.seconds > bounds.slow_s
        if line.outcome == "away":
            if series.away_since is None:
                series.errors.append(True)
                series.away_since = line.ts
        elif line.outcome != "left":
            series.errors.append(line.outcome == "failed")
            # What a variant that is being replaced had begun, it finishes while it is away to all others.
            if series.away_since is not None and line.ts - (line.seconds or 0) > series.away_since:
                series.away_since = None
        if late or (line.outcome == "ok" and line.seconds is not None):
            series.slow.append(late)
            slow.setdefault(line.request_id, {})[line.variant] = late
    control, candidate = compared[plan.control], compared[plan.candidate]
    errors = statistics.guardrail(candidate.errors, _beside(control.errors), bounds.error_rate)
    pairs = [(both[plan.candidate], both[plan.control]) for both in slow.values() if len(both) == 2]
    if len(pairs) >= _ENOUGH_PAIRS:
        ours, theirs = zip(*pairs, strict=True)
        times = statistics.guardrail_pairs(ours, theirs, bounds.slow_share)
        control.slow = list(theirs)
    else:
        times = statistics.guardrail(candidate.slow, _beside(control.slow), bounds.slow_share)
    took = f"took longer than {bounds.slow_s:g} s for"
    return [
        _check("errors", errors, control.errors, plan, "failed"),
        _check("latency", times, control.slow, plan, took, in_turn and len(pairs) < _ENOUGH_PAIRS),
    ]


class _Series:
    """One variant's recent requests: whether each failed, and whether each was slow."""

    def __init__(self) -> None:
        self.errors: list[bool] = []
        self.slow: list[bool] = []
        self.away_since: float | None = None


def _beside(control: Sequence[bool]) -> statistics.Tally:
    # Where both went wrong a moment ago, the control's good minutes before say nothing against the candidate.
    latest = control[-_LATEST:]
    beside = latest if sum(latest) * len(control) > sum(control) * len(latest) else control
    return statistics.Tally(len(beside) - sum(beside), len(beside))


def _check(
    name: Literal["errors", "latency"],
    found: statistics.Guardrail,
    control: Sequence[bool],
    plan: Plan,
    fault: str,
    in_turn: bool = False,
) -> Check:
    ours, theirs = (plan.candidate, found.bad, found.total), (plan.control, sum(control), len(control))
    sentence = check_messages.guardrail(found.state, ours, theirs, found.limit, fault)
    return Check(name, found.state, found.bad, found.total, found.limit, sentence, in_turn)


class Guard:
    """Watches the variants, and acts by ``changes``."""

    def __init__(self, changes: Changes, recent: Recent) -> None:
        self._changes = changes
        self._recent = recent
        self.checks: list[Check] = []
        self.tripped = ""
        """Why the candidate has no traffic, while a guardrail has taken it."""
        self.outage = ""
        """Why a variant has no traffic, while it is away."""

    def watch(self, plan: Plan, well: Mapping[str, bool] | None = None) -> None:
        """Looks at the last minutes, and acts where it must. ``well`` says which variants are ready now."""
        entry = self._changes.splits.in_force()
        decided = self._changes.splits.decided(entry)
        self.tripped = decided.reason if decided.action == "guardrail" else ""
        self.outage = decided.reason if decided.action == "outage" and _who(decided) in self._changes.names else ""
        lines = self._recent.of(entry.epoch)
        in_turn = entry.split.rule in ("round_robin", "weighted") and not entry.split.random
        self.checks = check(lines, plan, in_turn)
        if self.outage:
            self._bring_back(entry, decided, well or {})
            return
        for variant in _away(lines, entry.split):
            if self._take_out(entry, variant):
                return
        if self.tripped or plan.control not in self._changes.names or not _has_traffic(entry.split, plan.candidate):
            return
        breaches = [found for found in self.checks if found.state == "breach"]
        certain = [found.sentence for found in breaches if not found.in_turn]
        if certain:
            self._guard(entry, plan, "; ".join(certain))
        elif breaches:
            self._redraw(entry, breaches[0].sentence)

    def _guard(self, entry: Entry, plan: Plan, reason: str) -> None:
        safe = make_split("weighted", {plan.control: 100}, self._changes.names, before=entry.split)
        if self._act("guardrail", entry, safe, reason):
            self.tripped = reason
            log.warning("All traffic goes to %s: %s.", plan.control, reason)

    def _redraw(self, entry: Entry, sentence: str) -> None:
        """Strict turns can be foreseen, and slow photos sent to one variant: chance tells whose fault it is."""
        shares = entry.split.shares if entry.split.rule == "weighted" else {}
        names = self._changes.names
        random = make_split(entry.split.rule, shares, names, entry.split.shadow, entry.split, random=True)
        reason = f"{sentence}; whether it is the photos shows when chance decides who gets which"
        if self._act("redraw", entry, random, reason):
            log.warning("Requests are drawn by chance from now on: %s.", reason)

    def _take_out(self, entry: Entry, variant: str) -> bool:
        others = [name for name in self._changes.names if name != variant]
        left = fit(entry.split, others)
        if not any(share for name, share in entry.split.shares.items() if name != variant):
            return False  # nobody else has any part in the split: nginx fails over as it can
        reason = f"{variant} failed all of its last requests; the others answer until it is back"
        if not self._act("outage", entry, left, reason):
            return False
        self.outage = reason
        log.warning("%s.", reason)
        return True

    def _bring_back(self, entry: Entry, outage: Entry, well: Mapping[str, bool]) -> None:
        variant = _who(outage)
        since = time.time() - _HOUR_S
        before = [e for e in self._changes.splits.history() if e.action == "outage" and e.reason == outage.reason]
        times = sum(e.ts > since for e in before)
        if not well.get(variant) or time.time() - outage.ts < _BACK_S * (times - 1):
            return
        try:
            restored = self._changes.splits.before(entry)
        except SplitError as error:
            log.warning("%s is back, but its split is not: %s", variant, error)
            return
        if self._act("back", entry, restored.split, f"{variant} is ready again", restored.epoch):
            self.outage = ""
            log.warning("%s is ready again and gets its share.", variant)

    def _act(self, action: Action, entry: Entry, split: Split, reason: str, restores: int | None = None) -> bool:
        """Whether the change is in force; where somebody was quicker, the next look decides anew."""
        try:
            self._changes.make(action, entry.epoch, lambda _: (split, restores), _BY, reason)
        except (SplitError, UndecidedError) as error:
            log.warning("The guardrail could not act, and tries again: %s", error)
            return False
        return True


def _who(outage: Entry) -> str:
    """The variant that was taken out."""
    return outage.reason.partition(" ")[0]


def _away(lines: Iterable[Line], split: Split) -> list[str]:
    """Variants with a share of which all the last requests failed."""
    failed: dict[str, list[bool]] = {name: [] for name, share in split.shares.items() if share}
    for line in lines:
        if line.variant in failed and line.kind == "drawn" and line.outcome not in ("refused", "left"):
            failed[line.variant].append(line.outcome != "ok")
    return [name for name, bad in failed.items() if statistics.fails_altogether(bad)]


def _has_traffic(split: Split, variant: str) -> bool:
    return split.shares.get(variant, 0) > 0 or (split.shadow is not None and split.shadow.variant == variant)

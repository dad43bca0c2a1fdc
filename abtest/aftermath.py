"""What became of a replay in the system: what shadows scored, and what guardrails did meanwhile."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from abtest.client import RefusedError, System
from abtest.replay import Summary

__all__ = ["Before", "add_aftermath", "look_before"]

# The system's facts are at most a second old.
_LOOK_S = 1.2
_LOOKS = 8
_BY_ITSELF = ("guardrail", "outage", "back")

Facts = Mapping[str, Any]
Before = tuple[Facts, int]
"""The facts, and the epoch in force."""


def look_before(system: System) -> Before | None:
    """Nothing where the experiment is away: predictions go on without it."""
    try:
        return system.get("/experiment.json"), system.split()["in_force"]["epoch"]
    except RefusedError:
        return None


def add_aftermath(system: System, before: Before, summary: Summary) -> None:
    """Adds to ``summary`` what the system has found out since.

    What was scored unseen shows as the labels that a variant has more than it answered.
    """
    with suppress(RefusedError):
        _add(system, before, summary)


def _add(system: System, before: Before, summary: Summary) -> None:
    known, epoch = before
    if summary.new:
        newest = _settled(system, known)
        right, total = _scores(newest), _scores(newest, of_all=True)
        right.subtract(_scores(known))
        total.subtract(_scores(known, of_all=True))
        new = summary.labelled - summary.repeated
        for name in total:
            if (unseen := total[name] - new[name]) > 0:
                summary.shadowed[name] = unseen
                summary.shadow_right[name] = min(max(right[name] - summary.new_right[name], 0), unseen)
    for entry in system.split()["history"]:
        if entry["epoch"] > epoch and entry["action"] in _BY_ITSELF:
            summary.meanwhile.append(f"{entry['reason']}. In force: {entry['text']}.")


def _settled(system: System, known: Facts) -> Facts:
    """The facts once the last lines of the ledger are among them: two looks that say the same."""
    seen = known
    for _ in range(_LOOKS):
        time.sleep(_LOOK_S)
        before, seen = seen, system.get("/experiment.json")
        if seen["confusion"] == before["confusion"] != known["confusion"]:
            break
    return seen


def _scores(facts: Facts, of_all: bool = False) -> Counter[str]:
    """Labelled answers by variant: those that were right, or all."""
    return Counter(
        {
            name: sum(n for label, row in rows.items() for answer, n in row.items() if of_all or answer == label)
            for name, rows in facts["confusion"].items()
        }
    )

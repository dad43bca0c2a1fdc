"""A candidate that goes wrong loses its traffic."""

import time
from typing import Any

import pytest

from experiment.guardrails import Guard, check
from experiment.ledger import Line
from experiment.recent import Recent
from traffic.split import Shadow, Split, SplitError, make_split
from traffic.state import Change

from .conftest import PLAN

NAMES = ["custom", "vgg16"]
HALVES = make_split("round_robin", {}, NAMES)


def lines(variant: str, count: int, outcome: Any = "ok", seconds: float = 0.05, kind: Any = "drawn") -> list[Line]:
    return [Line(time.time(), str(number), 1, variant, kind, outcome, None, seconds) for number in range(count)]


HEALTHY = lines("custom", 100)


@pytest.mark.parametrize(
    ("candidate", "states"),
    [
        (lines("vgg16", 100), ("ok", "ok")),
        (lines("vgg16", 5), ("too_little_traffic", "too_little_traffic")),
        (lines("vgg16", 100) + lines("vgg16", 12, "failed"), ("breach", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 12, seconds=3), ("ok", "breach")),
        (lines("vgg16", 100) + lines("vgg16", 12, "failed", kind="shadow"), ("breach", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 50, "refused"), ("ok", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 50, "left"), ("ok", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 50, "left", seconds=5), ("ok", "breach")),
        (lines("vgg16", 100) + lines("vgg16", 50, "failed", kind="forced"), ("ok", "ok")),
    ],
)
def test_what_counts_against_the_candidate(candidate: list[Line], states: tuple[str, str]) -> None:
    assert tuple(found.state for found in check(HEALTHY + candidate, PLAN)) == states


def test_what_both_suffer_from_is_no_fault_of_the_candidate() -> None:
    failing = [*HEALTHY, *lines("vgg16", 100), *lines("custom", 20, "failed"), *lines("vgg16", 20, "failed")]
    assert check(failing, PLAN)[0].state == "ok"


class Splits:
    """What ``State`` keeps, without an nginx."""

    def __init__(self, split: Split = HALVES) -> None:
        self.split = split
        self.changes: list[Change] = []
        self.broken = False

    def current(self) -> Split:
        return self.split

    def history(self) -> list[Change]:
        return self.changes

    def change(self, split: Split, action: str, reason: str = "") -> Split:
        if self.broken:
            raise SplitError("nginx did not answer")
        self.split = split
        self.changes.append(Change("2026-01-01T00:00:00Z", split, action, reason))
        return split


def guard_over(splits: Splits, *seen: Line) -> Guard:
    recent = Recent()
    recent.add([line._replace(ts=time.time()) for line in seen])
    return Guard(splits, recent)  # type: ignore[arg-type]


def test_a_breach_sends_all_traffic_to_the_control_once() -> None:
    splits = Splits()
    guard = guard_over(splits, *HEALTHY, *lines("vgg16", 30, "failed"))
    for _ in range(3):
        guard.watch(PLAN)
    assert [(change.action, dict(change.split.shares)) for change in splits.changes] == [
        ("guardrail", {"custom": 100.0, "vgg16": 0.0})
    ]
    assert "vgg16 failed 30 of its last 30 requests" in guard.tripped
    assert guard.tripped == splits.changes[0].reason


def test_it_stays_tripped_until_a_person_changes_the_split() -> None:
    splits = Splits()
    guard = guard_over(splits, *HEALTHY, *lines("vgg16", 30, "failed"))
    guard.watch(PLAN)
    guard.watch(PLAN)
    assert guard.tripped
    splits.change(make_split("round_robin", {}, NAMES, before=splits.split), "rollback")
    guard.watch(PLAN)
    # What was seen under the splits before does not count any more.
    assert not guard.tripped
    assert len(splits.changes) == 2
    assert {found.state for found in guard.checks} == {"too_little_traffic"}


def test_a_failing_shadow_is_taken_away_too() -> None:
    splits = Splits(make_split("weighted", {"custom": 100}, NAMES, Shadow("vgg16", 100)))
    guard_over(splits, *HEALTHY, *lines("vgg16", 30, "failed", kind="shadow")).watch(PLAN)
    assert splits.split.shadow is None


def test_a_candidate_without_traffic_is_left_alone() -> None:
    splits = Splits(make_split("weighted", {"custom": 100}, NAMES))
    guard_over(splits, *HEALTHY, *lines("vgg16", 30, "failed")).watch(PLAN)
    assert not splits.changes


def test_where_nginx_does_not_answer_it_tries_again() -> None:
    splits = Splits()
    splits.broken = True
    guard = guard_over(splits, *HEALTHY, *lines("vgg16", 30, "failed"))
    guard.watch(PLAN)
    assert not guard.tripped
    splits.broken = False
    guard.watch(PLAN)
    assert guard.tripped


def test_old_lines_say_nothing_of_now() -> None:
    recent = Recent()
    new = HEALTHY[0]._replace(ts=time.time())
    old = new._replace(ts=new.ts - 3600)
    recent.add([old, new])
    assert recent.of(1) == [new]
    recent._lines.appendleft(old)
    assert recent.of(1) == [new]
    assert recent.of(2) == []

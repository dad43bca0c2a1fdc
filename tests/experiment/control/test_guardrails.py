"""A candidate that goes wrong loses its traffic."""

import time
from itertools import count as numbers
from typing import Any

import pytest

from experiment.control.changes import Changes
from experiment.control.gateways import Gateway, Gateways
from experiment.control.guardrails import Guard, check
from experiment.control.recent import Recent
from experiment.control.splits import Splits
from experiment.record.database import Database
from experiment.record.ledger import Line
from tests.experiment.conftest import PLAN
from traffic.split import Shadow, Split, make_split

NAMES = ["custom", "vgg16"]
HALVES = make_split("round_robin", {}, NAMES)


_moments = (time.time() + 0.1 * number for number in numbers())


def lines(variant: str, count: int, outcome: Any = "ok", seconds: float = 0.05, kind: Any = "drawn") -> list[Line]:
    """One after the other has ended."""
    return [Line(next(_moments), str(number), 1, variant, kind, outcome, None, seconds) for number in range(count)]


HEALTHY = lines("custom", 100)


def now_and_then(variant: str, **fault: Any) -> list[Line]:
    """Every third request goes wrong, not all for one cause."""
    return [each for _ in range(40) for each in (*lines(variant, 2), *lines(variant, 1, **fault))]


AWAY = lines("vgg16", 30, "away")


@pytest.mark.parametrize(
    ("candidate", "states"),
    [
        (lines("vgg16", 100), ("ok", "ok")),
        (lines("vgg16", 5), ("too_little_traffic", "too_little_traffic")),
        (now_and_then("vgg16", outcome="failed"), ("breach", "ok")),
        (now_and_then("vgg16", seconds=3), ("ok", "breach")),
        (now_and_then("vgg16", outcome="failed", kind="shadow"), ("breach", "ok")),
        (now_and_then("vgg16", outcome="away", kind="shadow"), ("ok", "ok")),
        (lines("vgg16", 100) + AWAY + lines("vgg16", 100), ("ok", "ok")),
        (now_and_then("vgg16", outcome="away"), ("breach", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 50, "refused"), ("ok", "ok")),
        (lines("vgg16", 100) + lines("vgg16", 50, "left"), ("ok", "ok")),
        (now_and_then("vgg16", outcome="left", seconds=5), ("ok", "breach")),
        (lines("vgg16", 100) + lines("vgg16", 50, "failed", kind="forced"), ("ok", "ok")),
    ],
)
def test_what_counts_against_the_candidate(candidate: list[Line], states: tuple[str, str]) -> None:
    assert tuple(found.state for found in check(HEALTHY + candidate, PLAN)) == states


def test_what_a_variant_finishes_while_it_is_being_replaced_is_no_sign_that_it_is_back() -> None:
    before = lines("vgg16", 50)
    # It takes no more, and answers the twenty that it had begun, each a little later than the one before.
    leaving = [
        each
        for number in range(20)
        for each in (*lines("vgg16", 1, "away", 0), *lines("vgg16", 1, seconds=1 + 0.2 * number))
    ]
    found = check([*HEALTHY, *before, *leaving, *lines("vgg16", 50)], PLAN)[0]

    assert (found.bad, found.state) == (1, "ok")


def test_what_both_suffer_from_is_no_fault_of_the_candidate() -> None:
    failing = [*HEALTHY, *lines("vgg16", 100), *lines("custom", 20, "failed"), *lines("vgg16", 20, "failed")]
    assert check(failing, PLAN)[0].state == "above"
    assert "but no more than custom" in check(failing, PLAN)[0].sentence


def test_where_both_scored_a_photo_that_is_slow_for_both_is_nobodys_fault() -> None:
    both = [
        line._replace(request_id=str(number))
        for number in range(60)
        for line in (*lines("custom", 1, seconds=5 * (number % 2)), *lines("vgg16", 1, seconds=5 * (number % 2)))
    ]
    assert check(both, PLAN)[1].state != "breach"
    alone = [line._replace(seconds=0.05) if line.variant == "custom" else line for line in both]
    assert check(alone, PLAN)[1].state == "breach"


class Obedient(Gateways):
    """A gateway that takes over whatever it is given, at once; none while it is ``away``."""

    splits: Splits
    away = False

    def present(self) -> list[Gateway]:
        asked = self.splits.asked() or self.splits.in_force()
        return [] if self.away else [Gateway("gateway", asked.epoch)]


@pytest.fixture
def changes(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Changes:
    monkeypatch.setattr("experiment.control.changes._LOOK_S", 0.01)
    monkeypatch.setattr("experiment.control.changes._APPEAR_S", 0.1)
    made = Changes(Splits(sqlite, NAMES), Obedient())
    made.gateways.splits = made.splits  # type: ignore[attr-defined]
    made.bring_up_to_date()
    return made


def guard_over(changes: Changes, *seen: Line) -> Guard:
    recent = Recent()
    recent.add([line._replace(ts=time.time(), epoch=changes.splits.in_force().epoch) for line in seen])
    return Guard(changes, recent)


def put(changes: Changes, split: Split, action: Any = "split") -> None:
    """Brings a split into force, as a person does."""
    changes.make(action, changes.splits.in_force().epoch, lambda _: (split, None), "a person")


def test_a_breach_sends_all_traffic_to_the_control_once(changes: Changes) -> None:
    guard = guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed"))
    for _ in range(3):
        guard.watch(PLAN)
    assert [(entry.action, entry.split.shares["custom"]) for entry in changes.splits.history()[1:]] == [
        ("guardrail", 100)
    ]
    assert "vgg16 failed 40 of its last 120 requests" in guard.tripped
    assert guard.tripped == changes.splits.in_force().reason


def test_it_stays_tripped_until_a_person_changes_the_split(changes: Changes) -> None:
    guard = guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed"))
    guard.watch(PLAN)
    guard.watch(PLAN)
    assert guard.tripped
    put(changes, HALVES, "rollback")
    guard.watch(PLAN)
    # What was seen under the splits before does not count any more.
    assert not guard.tripped
    assert len(changes.splits.history()) == 3
    assert {found.state for found in guard.checks} == {"too_little_traffic"}


def test_a_failing_shadow_is_taken_away_too(changes: Changes) -> None:
    put(changes, make_split("weighted", {"custom": 100}, NAMES, Shadow("vgg16", 100)))
    guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed", kind="shadow")).watch(PLAN)
    assert changes.splits.in_force().split.shadow is None


def test_a_candidate_without_traffic_is_left_alone(changes: Changes) -> None:
    put(changes, make_split("weighted", {"custom": 100}, NAMES))
    guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed")).watch(PLAN)
    assert changes.splits.in_force().action == "split"


def test_it_does_not_undo_what_it_has_not_seen(changes: Changes) -> None:
    guard = guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed"))
    seen = changes.splits.in_force()
    put(changes, make_split("weighted", {"vgg16": 100}, NAMES), "promote")
    guard._guard(seen, PLAN, "vgg16 failed")
    assert changes.splits.in_force().action == "promote"


def test_where_nginx_does_not_answer_it_tries_again(changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guard_over(changes, *HEALTHY, *now_and_then("vgg16", outcome="failed"))
    monkeypatch.setattr(changes.gateways, "away", True)
    guard.watch(PLAN)
    assert not guard.tripped
    assert changes.splits.in_force().action == "start"
    monkeypatch.setattr(changes.gateways, "away", False)
    guard.watch(PLAN)
    assert guard.tripped


def test_a_variant_that_is_away_is_taken_out_and_brought_back(changes: Changes) -> None:
    for variant in NAMES:
        guard = guard_over(changes, *HEALTHY, *lines(variant, 30, "away"))
        guard.watch(PLAN)
        out = changes.splits.in_force()
        assert (out.action, out.split.shares.get(variant, 0)) == ("outage", 0)
        assert guard.outage == f"{variant} failed all of its last requests; the others answer until it is back"
        guard.watch(PLAN, {variant: False})
        assert changes.splits.in_force() == out
        guard.watch(PLAN, {variant: True})
        back = changes.splits.in_force()
        assert (back.action, back.split.shares) == ("back", HALVES.shares)
        assert not guard.outage


def test_slow_photos_under_strict_turns_are_drawn_anew_before_anybody_is_blamed(changes: Changes) -> None:
    slow = now_and_then("vgg16", seconds=3)
    guard_over(changes, *HEALTHY, *slow).watch(PLAN)
    redrawn = changes.splits.in_force()
    assert (redrawn.action, redrawn.split.random, redrawn.split.rule) == ("redraw", True, "round_robin")
    guard_over(changes, *HEALTHY, *slow).watch(PLAN)
    assert changes.splits.in_force().action == "guardrail"


def test_old_lines_say_nothing_of_now() -> None:
    recent = Recent()
    new = HEALTHY[0]._replace(ts=time.time())
    old = new._replace(ts=new.ts - 3600)
    recent.add([old, new])
    assert recent.of(1) == [new]
    recent._lines.appendleft(old)
    assert recent.of(1) == [new]
    assert recent.of(2) == []

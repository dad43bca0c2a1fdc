"""What is said of labels still to come, and how often it holds."""

from typing import Any

import numpy as np
import pytest

from experiment.statistics import (
    Arms,
    Evidence,
    Pairs,
    People,
    Scenario,
    Tally,
    decisions,
    labels_needed,
    log_e,
    mcnemar_log_e,
)
from experiment.statistics.decision.forecast import LEVEL
from tests.experiment.statistics.draws import ALPHA, NEEDED, apart, at_most


def test_labels_needed_is_borne_out_by_the_expected_path() -> None:
    evidence = Evidence(Pairs(24, 14, 282))
    needed = labels_needed(evidence, ALPHA, 0)
    assert needed is not None
    more = needed.likely / 320
    assert float(mcnemar_log_e(24 * (1 + more), 14 * (1 + more))) == pytest.approx(NEEDED, abs=0.1)
    assert needed.high is not None
    assert needed.low < needed.likely < needed.high


def test_labels_needed_with_unpaired_labels() -> None:
    needed = labels_needed(apart(840, 1000, 870, 1000), ALPHA, 0.01)
    assert needed is not None
    grown = 1 + needed.likely / 2000
    assert float(log_e(apart(*(round(n * grown) for n in (840, 1000, 870, 1000))))) == pytest.approx(NEEDED, abs=0.1)


def test_labels_needed_for_equivalence_has_an_end() -> None:
    needed = labels_needed(Evidence(Pairs(100, 100, 4000)), ALPHA, 0.01)
    assert needed is not None
    assert needed.high is not None
    assert needed.low <= needed.likely <= needed.high


@pytest.mark.parametrize("pairs", [Pairs(), Pairs(5, 1, 10), Pairs(50, 50, 900)])
def test_labels_needed_cannot_be_said(pairs: Pairs) -> None:
    assert labels_needed(Evidence(pairs), ALPHA, 0) is None


def test_a_difference_of_nothing_has_no_end_in_sight() -> None:
    needed = labels_needed(Evidence(Pairs(24, 17, 282)), ALPHA, 0)
    assert needed is not None
    assert needed.high is None
    assert needed.level == 0.8


def test_seen_labels_alone_never_show_equivalence() -> None:
    assert labels_needed(Evidence(seen_pairs=Pairs(100, 100, 4000)), ALPHA, 0.01) is None
    assert labels_needed(Evidence(Pairs(100, 100, 4000)), ALPHA, 0.01) is not None


def test_people_who_are_alike_take_longer() -> None:
    pairs = Pairs(24, 10, 282)
    alike = Pairs(24, 10, 282, people=People(100, 120, 160))
    apart, together = (labels_needed(Evidence(each), ALPHA, 0.01) for each in (pairs, alike))
    assert apart is not None
    assert together is not None
    assert together.likely > apart.likely


@pytest.mark.parametrize(
    ("control", "candidate", "paired", "look", "horizon"),
    [
        (0.85, 0.88, 1, 100, 60_000),
        (0.85, 0.88, 1, 400, 60_000),
        (0.88, 0.96, 1, 100, 20_000),
        (0.95, 0.96, 1, 200, 150_000),
        (0.88, 0.88, 1, 200, 200_000),
        (0.88, 0.96, 0, 200, 40_000),
        (0.85, 0.88, 0, 400, 400_000),
    ],
)
def test_four_of_five_experiments_are_decided_within_the_labels_forecast(
    control: float, candidate: float, paired: int, look: int, horizon: int
) -> None:
    chances = Scenario(control, candidate, agreement=0.6, shadow_share=paired).outcomes()
    at = np.unique(np.concatenate([[look], np.rint(np.geomspace(look, horizon, 300)).astype(np.int64)]))
    arrived = np.broadcast_to(np.diff(at, prepend=0), (60, at.size))
    counts = np.moveaxis(np.random.default_rng(1).multinomial(arrived, chances / chances.sum()).cumsum(axis=1), -1, 0)

    def evidence(b: Any, c: Any, agreed: Any, *arms: Any) -> Evidence:
        k0, wrong0, k1, wrong1 = arms
        return Evidence(Pairs(b, c, agreed), (Arms(Tally(k0, k0 + wrong0), Tally(k1, k1 + wrong1)),))

    decided = decisions(evidence(*counts), ALPHA, 0.01) != 0
    late = []
    for run in np.flatnonzero(~decided[:, 0]):
        needed = labels_needed(evidence(*counts[:, run, 0]), ALPHA, 0.01)
        if needed is not None and needed.high is not None:
            when = at[decided[run].argmax()] if decided[run].any() else np.inf
            late.append(when > look + needed.high)
    assert len(late) > 20
    assert at_most(np.array(late), 1 - LEVEL)

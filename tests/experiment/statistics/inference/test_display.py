"""What is shown beside a verdict."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from experiment.statistics import (
    Arms,
    Evidence,
    Pairs,
    Tally,
    accuracies,
    accuracy,
    chance_better,
    compare_classes,
    difference,
    probability_better,
    probability_better_paired,
)
from tests.classes import APPLE, GRAPES, LEMON
from tests.experiment.statistics.draws import ALPHA, at_most


@pytest.mark.parametrize(("right", "total"), [(0, 12), (12, 12), (3, 12), (170, 200), (1, 500)])
def test_accuracy_is_the_set_of_rates_that_are_not_rejected(right: int, total: int) -> None:
    def wealth(p: float) -> float:
        def ratio(q: float) -> float:
            return (q / p) ** right * ((1 - q) / (1 - p)) ** (total - right)

        return float(integrate.quad(ratio, 0, 1, points=[right / total], limit=200)[0])

    interval = accuracy(Tally(right, total), ALPHA)
    low, high = float(interval.low), float(interval.high)
    for end, inwards in ((low, 1), (high, -1)):
        if 0 < end < 1:
            assert wealth(end) == pytest.approx(20, rel=1e-5)
            assert wealth(end + inwards * 1e-8) < 20 < wealth(end - inwards * 1e-8)
    assert low <= right / total <= high
    assert (low == 0) == (right == 0)
    assert (high == 1) == (right == total)


@pytest.mark.parametrize("p", [0.5, 0.85, 0.99])
def test_accuracy_covers_the_truth_at_every_look(p: float) -> None:
    rng = np.random.default_rng(1)
    right = np.cumsum(rng.random((300, 400)) < p, axis=1, dtype=np.int64)
    interval = accuracy(Tally(right, np.arange(1, 401)), ALPHA)
    assert at_most(((interval.low > p) | (interval.high < p)).any(axis=1), ALPHA)


def test_accuracy_without_labels_and_with_very_many() -> None:
    interval = accuracy(Tally(np.array([0, 850_000, 10**6]), np.array([0, 10**6, 10**6])), ALPHA)
    assert (interval.low[0], interval.high[0]) == (0, 1)
    assert interval.high[1] - interval.low[1] == pytest.approx(0.0032, abs=1e-4)
    assert interval.low[2] > 0.99998
    assert interval.high[2] == 1


def probability_by_sum(k0: int, n0: int, k1: int, n1: int) -> float:
    a0, b0, a1, b1 = k0 + 1, n0 - k0 + 1, k1 + 1, n1 - k1 + 1
    i = np.arange(a1)
    terms = special.betaln(a0 + i, b0 + b1) - np.log(b1 + i) - special.betaln(1 + i, b1) - special.betaln(a0, b0)
    return float(np.exp(terms).sum())


@pytest.mark.parametrize(
    "counts",
    [(0, 0, 0, 0), (7, 10, 9, 10), (0, 5, 5, 5), (850, 1000, 88, 100), (88, 100, 850, 1000), (99, 99, 5000, 5001)],
)
def test_probability_better_is_the_closed_sum(counts: tuple[int, int, int, int]) -> None:
    k0, n0, k1, n1 = counts
    found = probability_better(Arms(Tally(k0, n0), Tally(k1, n1)))
    assert found == pytest.approx(probability_by_sum(*counts), abs=1.3e-4)
    assert probability_better(Arms(Tally(k1, n1), Tally(k0, n0))) == pytest.approx(1 - found, abs=2.6e-4)


def test_probability_better_of_very_many() -> None:
    found = probability_better(Arms(Tally(850_000, 10**6), Tally(850_700, 10**6)))
    spread = math.sqrt(2 * 0.85 * 0.15 / 10**6)
    assert found == pytest.approx(stats.norm.cdf(0.0007 / spread), abs=1e-3)


def test_probability_better_paired() -> None:
    assert probability_better_paired(Pairs()) == pytest.approx(0.5)
    assert probability_better_paired(Pairs(36, 9, 255)) == pytest.approx(stats.beta.sf(0.5, 37, 10))
    table = stats.dirichlet([37, 10, 256]).rvs(20_000, random_state=1)
    assert probability_better_paired(Pairs(12, 9, 255)) == pytest.approx(stats.beta.sf(0.5, 13, 10))
    assert probability_better_paired(Pairs(36, 9, 255)) == pytest.approx((table[:, 0] > table[:, 1]).mean(), abs=3e-3)


def test_classes_that_got_worse_are_flagged() -> None:
    evidence = {
        APPLE: Evidence(Pairs(40, 10, 300)),
        GRAPES: Evidence(Pairs(8, 60, 300)),
        LEMON: Evidence(Pairs(12, 24, 300)),
    }
    answers = {name: Arms(Tally(280, 350), Tally(300, 350)) for name in evidence}
    compared = compare_classes(evidence, answers, ALPHA)
    assert {name: of.worse for name, of in compared.items()} == {APPLE: False, GRAPES: True, LEMON: False}
    alone = difference(evidence[LEMON], ALPHA)
    assert compared[LEMON].difference.low < alone.low
    assert compared[APPLE].control.high - compared[APPLE].control.low > 0.1
    assert compared[APPLE].candidate.estimate == pytest.approx(300 / 350)


SIMPSON = (Arms(Tally(3240, 3600), Tally(372, 400)), Arms(Tally(80, 400), Tally(2360, 3600)))
"""The candidate is the better one under each split, and gets the harder photos under the second."""


def test_accuracies_are_compared_within_epochs() -> None:
    found = accuracies(SIMPSON, ALPHA / 2, ahead=1)
    assert found is not None
    control, candidate = found
    assert float(candidate.estimate - control.estimate) == pytest.approx(
        float(difference(Evidence(arms=SIMPSON), ALPHA).estimate), abs=0.02
    )
    assert control.low < control.estimate < control.high
    pooled = Arms(Tally(3320, 4000), Tally(2732, 4000))
    assert accuracies([pooled], ALPHA, ahead=1) is None
    assert accuracies([pooled], ALPHA) is not None


def test_accuracies_of_one_epoch_are_exact_and_of_none_unknown() -> None:
    arm = Arms(Tally(80, 100), Tally(45, 50))
    found = accuracies([arm], ALPHA)
    assert found is not None
    assert float(found[0].low) == pytest.approx(float(accuracy(arm.control, ALPHA).low))
    assert float(found[1].high) == pytest.approx(float(accuracy(arm.candidate, ALPHA).high))
    nothing = accuracies([], ALPHA)
    assert nothing is not None
    assert (float(nothing[0].low), float(nothing[0].high)) == (0, 1)


def test_accuracies_where_only_one_variant_was_asked() -> None:
    found = accuracies([Arms(Tally(80, 100), Tally()), Arms(Tally(9, 10), Tally())], ALPHA)
    assert found is not None
    assert float(found[0].estimate) == pytest.approx(89 / 110)
    assert (float(found[1].low), float(found[1].high)) == (0, 1)


def test_chance_better_never_contradicts_the_verdict() -> None:
    pooled = Arms(Tally(3320, 4000), Tally(2732, 4000))
    assert probability_better(pooled) < 1e-9
    chance = chance_better(Evidence(arms=SIMPSON), ahead=1)
    assert chance is not None
    assert chance > 0.999
    assert chance_better(Evidence(arms=(pooled,)), ahead=1) is None
    assert chance_better(Evidence()) is None


def test_chance_better_is_exact_for_one_kind_of_labels() -> None:
    pairs, arm = Pairs(36, 9, 255), Arms(Tally(70, 100), Tally(80, 100))
    assert chance_better(Evidence(pairs)) == probability_better_paired(pairs)
    assert chance_better(Evidence(arms=(arm,))) == probability_better(arm)
    assert chance_better(Evidence(arms=(arm, Arms(Tally(), Tally())))) == pytest.approx(
        probability_better(arm), abs=0.01
    )
    both = chance_better(Evidence(pairs, (arm,)))
    assert both is not None
    assert both > probability_better(arm)

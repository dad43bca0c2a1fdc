"""The paired test against brute force, and its promise against simulated experiments."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from experiment.statistics import Evidence, Pairs, log_e, mcnemar_log_e, mcnemar_p
from experiment.statistics.inference.paired import PRIOR
from tests.experiment.statistics.draws import ALPHA, NEEDED, at_most, draw_pairs


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (36, 9), (9, 36), (60, 75)])
def test_mcnemar_is_the_mixture_it_is_said_to_be(b: int, c: int) -> None:
    def mixed(q: float) -> float:
        return float((2 * q) ** b * (2 * (1 - q)) ** c * stats.beta.pdf(q, PRIOR, PRIOR))

    assert float(mcnemar_log_e(b, c)) == pytest.approx(math.log(integrate.quad(mixed, 0, 1)[0]), abs=1e-8)
    assert float(mcnemar_p(b, c)) == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1)


def test_mcnemar_of_the_example() -> None:
    assert math.exp(mcnemar_log_e(36, 9)) == pytest.approx(596.7, abs=0.1)


def test_mcnemar_is_stable_for_very_many_pairs() -> None:
    log_values = mcnemar_log_e(np.array([10**6, 10**6, 0]), np.array([10**6, 0, 10**6]))
    assert log_values[0] == pytest.approx(-math.log(math.sqrt(2 * 10**6 / 7)), abs=0.1)
    assert log_values[1] == log_values[2] == pytest.approx(10**6 * math.log(2), rel=1e-3)


def test_paired_test_at_every_label_keeps_its_promises_where_a_peeked_p_value_does_not() -> None:
    # 85 % against 88 %, where on 12 % of photos just one of the two is right.
    rng = np.random.default_rng(2)
    better = draw_pairs(rng, (0.075, 0.045), 600, 3000)
    decided = mcnemar_log_e(better.only_candidate, better.only_control) >= NEEDED
    stopped = decided.any(axis=1)
    assert stopped.mean() == pytest.approx(0.975, abs=0.02)
    assert np.median(decided.argmax(axis=1)[stopped]) == pytest.approx(970, abs=110)

    equal = draw_pairs(rng, (0.06, 0.06), 800, 3000)
    alarms = (mcnemar_log_e(equal.only_candidate, equal.only_control) >= NEEDED).any(axis=1)
    assert at_most(alarms, ALPHA)
    assert alarms.mean() == pytest.approx(0.03, abs=0.025)

    looks = np.arange(19, 3000, 20)
    p_values = mcnemar_p(np.asarray(equal.only_candidate)[:, looks], np.asarray(equal.only_control)[:, looks])
    assert (p_values < ALPHA).any(axis=1).mean() == pytest.approx(0.30, abs=0.06)


def wealth_by_quadrature(b: int, c: int, agreed: int, m: float) -> float:
    def bet(ups: int, downs: int, m: float) -> float:
        def wealth(s: float) -> float:
            gain = s / (1 + m)
            outcome = (1 + gain * (1 - m)) ** ups * (1 - gain * (1 + m)) ** downs * (1 - gain * m) ** agreed
            return float(outcome * stats.beta.pdf((1 + s) / 2, PRIOR, PRIOR) / 2)

        return float(integrate.quad(wealth, 0, 1, limit=500, points=[0.01, 0.1, 0.3])[0])

    return math.log(bet(b, c, m) + bet(c, b, -m))


@pytest.mark.parametrize("m", [-0.2, -0.05, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("counts", [(36, 9, 255), (0, 0, 40), (5, 0, 0), (70, 75, 900)])
def test_paired_wealth_at_any_difference(counts: tuple[int, int, int], m: float) -> None:
    by_quadrature = wealth_by_quadrature(*counts, m)
    # The mixture's steps are fine enough where decisions fall, and coarse where there is nothing left to decide.
    assert float(log_e(Evidence(Pairs(*counts)), m)) == pytest.approx(by_quadrature, abs=2e-3, rel=0.005)


def test_paired_wealth_at_no_difference_is_the_mcnemar_test() -> None:
    b, c = np.array([0, 5, 36, 9, 700, 60_000]), np.array([0, 0, 9, 36, 600, 59_000])
    nearly = log_e(Evidence(Pairs(b, c, 1000)), 1e-12)
    assert nearly == pytest.approx(mcnemar_log_e(b, c), abs=3e-3)
    assert (log_e(Evidence(Pairs(b, c, 1000))) == mcnemar_log_e(b, c)).all()


@pytest.mark.parametrize("rates", [(0.075, 0.045), (0.2, 0.2), (0.02, 0.0)])
def test_paired_difference_covers_the_truth_at_every_label(rates: tuple[float, float]) -> None:
    pairs = draw_pairs(np.random.default_rng(3), rates, 300, 400)
    missed = log_e(Evidence(pairs), rates[0] - rates[1]) >= NEEDED
    assert at_most(missed.any(axis=1), ALPHA)

"""Each method against brute force or another implementation, and its promise against simulated experiments."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from experiment.statistics import (
    PRIOR,
    Arms,
    Comparison,
    Evidence,
    LabelsNeeded,
    Outcome,
    Pairs,
    Tally,
    accuracy,
    check_draws,
    check_labels,
    check_turns,
    compare_classes,
    decisions,
    difference,
    guardrail,
    labels_needed,
    log_e,
    mcnemar_log_e,
    mcnemar_p,
    probability_better,
    probability_better_paired,
    verdict,
)

ALPHA = 0.05
NEEDED = math.log(1 / ALPHA)


def at_most(alarms: NDArray[np.bool_] | np.bool_, alpha: float) -> bool:
    """Whether so many alarms are no proof (at one in a thousand) of a rate above alpha."""
    return bool(stats.binomtest(int(alarms.sum()), alarms.size, alpha, alternative="greater").pvalue > 1e-3)


def draw_pairs(rng: np.random.Generator, rates: Sequence[float], runs: int, labels: int) -> Pairs:
    """Running counts after every label, shape (runs, labels), at rates of (only candidate, only control) right."""
    u = rng.random((runs, labels), dtype=np.float32)
    b = np.cumsum(u < rates[0], axis=1, dtype=np.int64)
    c = np.cumsum((u >= rates[0]) & (u < sum(rates)), axis=1, dtype=np.int64)
    return Pairs(b, c, np.arange(1, labels + 1) - b - c)


def draw_arms(rng: np.random.Generator, rates: Sequence[float], share: float, runs: int, labels: int) -> Arms:
    """Running counts after every label, at accuracies of (control, candidate); the candidate gets `share` of labels."""
    candidate = rng.random((runs, labels)) < share
    right = rng.random((runs, labels)) < np.where(candidate, rates[1], rates[0])
    return Arms(
        Tally(np.cumsum(right & ~candidate, axis=1, dtype=np.int64), np.cumsum(~candidate, axis=1, dtype=np.int64)),
        Tally(np.cumsum(right & candidate, axis=1, dtype=np.int64), np.cumsum(candidate, axis=1, dtype=np.int64)),
    )


def apart(right0: int, total0: int, right1: int, total1: int) -> Evidence:
    return Evidence(arms=(Arms(Tally(right0, total0), Tally(right1, total1)),))


# Accuracy of one variant


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


# Paired evidence


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (36, 9), (9, 36), (60, 75)])
def test_mcnemar_is_the_mixture_it_is_said_to_be(b: int, c: int) -> None:
    def mixed(q: float) -> float:
        return float((2 * q) ** b * (2 * (1 - q)) ** c * stats.beta.pdf(q, PRIOR, PRIOR))

    assert float(mcnemar_log_e(b, c)) == pytest.approx(math.log(integrate.quad(mixed, 0, 1)[0]), abs=1e-8)
    assert float(mcnemar_p(b, c)) == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1)


def test_mcnemar_of_the_example() -> None:
    assert math.exp(mcnemar_log_e(36, 9)) == pytest.approx(196.18, abs=0.01)


def test_mcnemar_is_stable_for_very_many_pairs() -> None:
    log_values = mcnemar_log_e(np.array([10**6, 10**6, 0]), np.array([10**6, 0, 10**6]))
    assert log_values[0] == pytest.approx(-math.log(math.sqrt(2 * 10**6 / 19)), abs=0.1)
    assert log_values[1] == log_values[2] == pytest.approx(10**6 * math.log(2), rel=1e-3)


def test_paired_test_at_every_label_keeps_its_promises_where_a_peeked_p_value_does_not() -> None:
    # 85 % against 88 %, where on 12 % of photos just one of the two is right.
    rng = np.random.default_rng(2)
    better = draw_pairs(rng, (0.075, 0.045), 1500, 3000)
    decided = mcnemar_log_e(better.only_candidate, better.only_control) >= NEEDED
    stopped = decided.any(axis=1)
    assert stopped.mean() == pytest.approx(0.975, abs=0.015)
    assert np.median(decided.argmax(axis=1)[stopped]) == pytest.approx(985, abs=75)

    equal = draw_pairs(rng, (0.06, 0.06), 1500, 3000)
    alarms = (mcnemar_log_e(equal.only_candidate, equal.only_control) >= NEEDED).any(axis=1)
    assert at_most(alarms, ALPHA)
    assert alarms.mean() == pytest.approx(0.024, abs=0.015)

    looks = np.arange(19, 3000, 20)
    p_values = mcnemar_p(np.asarray(equal.only_candidate)[:, looks], np.asarray(equal.only_control)[:, looks])
    assert (p_values < ALPHA).any(axis=1).mean() == pytest.approx(0.30, abs=0.04)


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
    pairs = draw_pairs(np.random.default_rng(3), rates, 400, 700)
    missed = log_e(Evidence(pairs), rates[0] - rates[1]) >= NEEDED
    assert at_most(missed.any(axis=1), ALPHA)


# Unpaired evidence


def test_unpaired_difference_is_the_published_boundary() -> None:
    k0, n0, k1, n1 = 850, 1000, 2670, 3000
    interval = difference(apart(k0, n0, k1, n1), ALPHA)
    # In the paper's terms: one observation a label, of variance sigma², and t of them.
    v0, v1 = ((k + 1) * (n - k + 1) / (n + 2) ** 2 for k, n in ((k0, n0), (k1, n1)))
    t = n0 + n1
    sigma2 = t * (v0 / n0 + v1 / n1)
    tuned_for, best = 2000, -special.lambertw(-(ALPHA**2) / math.e, -1).real - 1
    rho2 = best / (tuned_for / 4 * 0.85 * 0.15) * (n0 * n1 / t**2) ** 2 * sigma2
    half = math.sqrt(sigma2) * math.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * math.log(math.sqrt(t * rho2 + 1) / ALPHA))
    assert float(interval.estimate) == pytest.approx(0.04)
    assert float(interval.low) == pytest.approx(0.04 - half, abs=1e-9)
    assert float(interval.high) == pytest.approx(0.04 + half, abs=1e-9)


@pytest.mark.parametrize(("p", "share"), [(0.85, 0.5), (0.85, 0.1), (0.5, 0.8), (0.98, 0.5), (0.995, 0.05)])
def test_unpaired_false_alarms_with_a_look_after_every_label(p: float, share: float) -> None:
    arms = draw_arms(np.random.default_rng(4), (p, p), share, 400, 3000)
    assert at_most((log_e(Evidence(arms=(arms,))) >= NEEDED).any(axis=1), ALPHA)


def test_unpaired_coverage_and_power() -> None:
    evidence = Evidence(arms=(draw_arms(np.random.default_rng(5), (0.82, 0.96), 0.5, 400, 2000),))
    assert at_most((log_e(evidence, 0.14) >= NEEDED).any(axis=1), ALPHA)
    decided = log_e(evidence) >= NEEDED
    assert decided.any(axis=1).all()
    assert np.median(decided.argmax(axis=1)) == pytest.approx(270, abs=60)


def test_epochs_with_other_splits_and_harder_photos_make_no_difference() -> None:
    easy, hard = Arms(Tally(900, 1000), Tally(90, 100)), Arms(Tally(50, 100), Tally(500, 1000))
    apart_by_epoch = difference(Evidence(arms=(easy, hard)), ALPHA)
    assert float(apart_by_epoch.estimate) == pytest.approx(0)
    assert apart_by_epoch.low < 0 < apart_by_epoch.high
    pooled = difference(apart(950, 1100, 590, 1100), ALPHA)
    assert pooled.high < 0


def test_false_alarms_over_epochs() -> None:
    rng = np.random.default_rng(6)
    first = draw_arms(rng, (0.9, 0.9), 0.1, 400, 800)
    second = draw_arms(rng, (0.7, 0.7), 0.5, 400, 800)

    def final(tally: Tally) -> Tally:
        return Tally(np.asarray(tally.right)[:, -1:], np.asarray(tally.total)[:, -1:])

    done = Arms(final(first.control), final(first.candidate))
    early, late = log_e(Evidence(arms=(first,))), log_e(Evidence(arms=(done, second)))
    assert at_most((np.concatenate([early, late], axis=1) >= NEEDED).any(axis=1), ALPHA)


# Both together


def test_difference_is_where_the_e_value_reaches_the_threshold() -> None:
    evidence = Evidence(Pairs(36, 20, 500), (Arms(Tally(850, 1000), Tally(880, 1000)),))
    interval = difference(evidence, ALPHA)
    for end in (interval.low, interval.high):
        assert float(log_e(evidence, end)) == pytest.approx(NEEDED, abs=1e-6)
    assert interval.low < interval.estimate < interval.high
    levels = log_e(evidence, np.linspace(-0.9, 0.9, 361))
    assert (np.diff(levels, 2) > 0).all()
    assert float(evidence.labels) == 2556


def test_difference_excludes_zero_when_the_test_does() -> None:
    pairs = draw_pairs(np.random.default_rng(7), (0.1, 0.05), 20, 600)
    interval, log_values = difference(Evidence(pairs), ALPHA), log_e(Evidence(pairs))
    clear = abs(log_values - NEEDED) > 5e-3
    assert ((interval.low > 0) | (interval.high < 0))[clear].tolist() == (log_values >= NEEDED)[clear].tolist()


def test_difference_without_labels_and_with_very_many() -> None:
    nothing = difference(Evidence(), ALPHA)
    assert (float(nothing.low), float(nothing.estimate), float(nothing.high)) == (-1, 0, 1)
    many = difference(Evidence(Pairs(75_000, 45_000, 880_000)), ALPHA)
    assert many.low < 0.03 < many.high
    assert many.high - many.low == pytest.approx(0.003, abs=5e-4)
    all_right = difference(apart(0, 10**6, 10**6, 10**6), ALPHA)
    assert all_right.low > 0.999


def test_false_alarms_with_both_kinds_of_labels() -> None:
    rng = np.random.default_rng(8)
    evidence = Evidence(draw_pairs(rng, (0.06, 0.06), 500, 1000), (draw_arms(rng, (0.85, 0.85), 0.5, 500, 1000),))
    assert at_most((log_e(evidence) >= NEEDED).any(axis=1), ALPHA)


def test_decisions() -> None:
    pairs = Pairs(
        np.array([36, 9, 100, 20, 700]), np.array([9, 36, 100, 20, 500]), np.array([255, 255, 2 * 10**4, 100, 10**5])
    )
    assert decisions(Evidence(pairs), ALPHA, 0.01).tolist() == [1, -1, 2, 0, 2]
    assert decisions(Evidence(pairs), ALPHA, 0).tolist() == [1, -1, 0, 0, 1]


def test_equivalence_is_claimed_in_vain_no_more_often_than_alpha() -> None:
    pairs = draw_pairs(np.random.default_rng(9), (0.05, 0.03), 300, 4000)
    every = slice(99, None, 20)
    looks = Pairs(*(np.asarray(count)[:, every] for count in (pairs.only_candidate, pairs.only_control, pairs.agreed)))
    assert at_most((decisions(Evidence(looks), ALPHA, 0.02) == 2).any(axis=1), ALPHA)


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


# Shown, never decided on


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


# Is the comparison fair?


def take_turns(weights: Sequence[int], turns: int) -> NDArray[np.int64]:
    """Whom nginx's smooth weighted round robin picks at each turn."""
    current, picked = np.zeros(len(weights)), []
    for _ in range(turns):
        current += weights
        best = int(current.argmax())
        current[best] -= sum(weights)
        picked.append(best)
    return np.array(picked)


def counted(picked: NDArray[np.int64]) -> dict[str, int]:
    return {name: int((picked == index).sum()) for index, name in enumerate("abcde")}


@pytest.mark.parametrize("weights", [(1, 1), (90, 10), (1, 1, 1), (5, 1, 1), (50, 30, 15, 5), (7, 1, 1, 1, 1)])
def test_turns_raise_no_alarm_after_any_number(weights: tuple[int, ...]) -> None:
    split = dict(zip("abcde", weights, strict=False))
    picked = take_turns(weights, 230)
    rng = np.random.default_rng(10)
    for turns in range(1, 230):
        assert check_turns(counted(picked[:turns]), split).ok
        in_flight = rng.choice(turns, size=min(turns, 5), replace=False)
        assert check_turns(counted(np.delete(picked[:turns], in_flight)), split, unseen=in_flight.size).ok


def test_turns_of_several_loads_may_all_begin_with_the_same_variant() -> None:
    assert check_turns({"custom": 53, "vgg16": 50}, {"custom": 1, "vgg16": 1}, loads=4).ok
    assert not check_turns({"custom": 53, "vgg16": 50}, {"custom": 1, "vgg16": 1}).ok


def test_turns_fire_at_the_least_excess() -> None:
    even = {"custom": 1, "vgg16": 1}
    assert check_turns({"custom": 50, "vgg16": 51}, even).ok
    check = check_turns({"custom": 50, "vgg16": 52}, even)
    assert check.reason == "vgg16 got 52 of 102 turns, more than the 51.0 due"
    assert not check_turns({"custom": 50, "vgg16": 54}, even, unseen=2).ok
    assert not check_turns({"custom": 2, "vgg16": 98}, {"custom": 0, "vgg16": 1}).ok
    assert check_turns({}, even).ok


def ratio_log_e(seen: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The check's e-value from SciPy's own distributions, over leading axes."""
    totals = seen.sum(axis=-1)
    mixed = stats.dirichlet_multinomial.logpmf(seen, 100 * share, totals)
    return np.asarray(mixed - stats.multinomial.logpmf(seen, totals, share))


@pytest.mark.parametrize("seen", [(0, 0), (40, 60), (5300, 4700), (500, 300, 220), (1, 0, 0), (10**6, 998_000)])
def test_draws_against_scipys_distributions(seen: tuple[int, ...]) -> None:
    share = np.full(len(seen), 1 / len(seen))
    check = check_draws(dict(zip("abc", seen, strict=False)), dict(zip("abc", share, strict=False)))
    assert check.log_e == pytest.approx(float(ratio_log_e(np.array(seen), share)), abs=1e-5)
    if sum(seen):
        assert check.p_value == pytest.approx(stats.chisquare(seen).pvalue)


@pytest.mark.parametrize("share", [(0.5, 0.5), (0.9, 0.1), (0.6, 0.3, 0.1)])
def test_draws_raise_no_false_alarms_with_a_look_after_every_request(share: tuple[float, ...]) -> None:
    rng = np.random.default_rng(11)
    one_by_one = rng.multinomial(1, share, size=(1000, 1000)).cumsum(axis=1)
    wealth = ratio_log_e(one_by_one, np.array(share)).max(axis=1)
    assert at_most(wealth >= math.log(1000), 0.001)
    assert at_most(wealth >= NEEDED, ALPHA)


def test_draws_fire_and_say_why() -> None:
    check = check_draws({"custom": 5300, "vgg16": 4700}, {"custom": 50, "vgg16": 50})
    assert not check.ok
    assert check.p_value is not None
    assert check.p_value < 0.001
    assert check.reason == (
        "requests per variant: custom 5,300 (53.0%, due 50.0%), vgg16 4,700 (47.0%, due 50.0%); "
        "e-value above a million, 1,000 needed"
    )
    assert check_draws({"custom": 5080, "vgg16": 4920}, {"custom": 1, "vgg16": 1}).ok
    assert check_draws({"custom": 10}, {"custom": 100, "vgg16": 0}).p_value == 1
    assert "vgg16 got requests" in check_draws({"custom": 9, "vgg16": 1}, {"custom": 100, "vgg16": 0}).reason


def test_labels_raise_no_false_alarms_with_a_look_after_every_label() -> None:
    rng = np.random.default_rng(12)
    answers = np.tile([0, 1], 600)
    asked = np.array([rng.permutation(answers)[:700] for _ in range(500)])
    one_by_one = np.stack([asked == 0, asked == 1], axis=-1).cumsum(axis=1)
    assert at_most((ratio_log_e(one_by_one, np.array([0.5, 0.5])).max(axis=1) >= NEEDED), ALPHA)


def test_labels_fire_when_one_variant_is_labelled_more_often() -> None:
    assigned = {"custom": 9000, "vgg16": 1000}
    assert check_labels({"custom": 905, "vgg16": 95}, assigned).ok
    check = check_labels({"custom": 800, "vgg16": 200}, assigned)
    assert check.reason.startswith("labels per variant: custom 800 (80.0%, due 90.0%)")
    assert check_labels({}, {}).ok


# Guardrails


def test_guardrail_is_the_shiryaev_roberts_recursion() -> None:
    rng = np.random.default_rng(13)
    bad = rng.random(200) < 0.1
    rises = np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.95])
    rates = 0.05 + 0.95 * rises
    sums = np.zeros(6)
    for x in bad:
        sums = (sums + 1) * np.where(x, rates / 0.05, (1 - rates) / 0.95)
    found = guardrail(bad, Tally(10_000, 10_000), 0.05)
    assert found.log_evidence == pytest.approx(math.log(sums.mean()), abs=1e-9)
    assert (found.bad, found.total, found.allowed) == (bad.sum(), 200, 0.05)


def test_guardrail_false_alarms_in_a_number_of_requests() -> None:
    # The unwindowed sums, which no window exceeds, for 1000 candidates that are just as bad as allowed.
    rng = np.random.default_rng(14)
    rates = 0.05 + 0.95 * np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.95])[:, None]
    sums, highest = np.zeros((6, 1000)), np.zeros(1000)
    for _ in range(1000):
        sums = (sums + 1) * np.where(rng.random(1000) < 0.05, rates / 0.05, (1 - rates) / 0.95)
        highest = np.maximum(highest, sums.mean(axis=0))
    assert at_most(highest >= 10_000, 1000 / 10_000)


@pytest.mark.parametrize(("failing", "within"), [(1.0, 10), (0.5, 40), (0.2, 140)])
def test_guardrail_fires_soon_after_a_candidate_begins_to_fail(failing: float, within: int) -> None:
    rng = np.random.default_rng(15)
    took = []
    for _ in range(30):
        healthy = list(rng.random(300) < 0.001)
        control = Tally(500, 500)
        for request in range(1, 400):
            healthy.append(bool(rng.random() < failing))
            if guardrail(healthy[-300:], control, 0.02).state == "breach":
                took.append(request)
                break
    assert len(took) == 30
    assert np.quantile(took, 0.9) <= within


@pytest.mark.parametrize(("both", "limit"), [(0.02, 0.02), (0.3, 0.02)])
def test_guardrail_stays_silent_for_hours_when_the_candidate_is_no_worse(both: float, limit: float) -> None:
    rng = np.random.default_rng(16)
    candidate, control = rng.random(30_000) < both, rng.random(30_000) < both
    for end in range(300, 30_000, 15):
        fine = 300 - int(control[end - 300 : end].sum())
        assert guardrail(candidate[end - 300 : end], Tally(fine, 300), limit).state == "ok"


def test_guardrail_for_latency_is_a_share_of_slow_requests() -> None:
    rng = np.random.default_rng(17)
    control, candidate = rng.gamma(4, 0.01, 300), rng.gamma(4, 0.03, 300)
    bound = 1.5 * float(np.quantile(control, 0.95))
    fine = Tally(int((control <= bound).sum()), 300)
    assert guardrail(candidate > bound, fine, 0.1).state == "breach"
    assert guardrail(rng.gamma(4, 0.01, 300) > bound, fine, 0.1).state == "ok"


def test_guardrail_with_too_little_traffic() -> None:
    enough = Tally(500, 500)
    assert guardrail([], enough, 0.02).state == "too_little_traffic"
    assert guardrail([False] * 19, enough, 0.02).state == "too_little_traffic"
    assert guardrail([False] * 20, enough, 0.02).state == "ok"
    assert guardrail([True] * 12, enough, 0.02).state == "breach"
    assert guardrail([True] * 200, Tally(0, 0), 0.02).state == "too_little_traffic"
    assert guardrail([True] * 200, Tally(0, 200), 0.02).state == "ok"


@pytest.mark.parametrize("limit", [0, 1])
def test_guardrail_needs_a_limit_inside_the_range(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        guardrail([], Tally(), limit)


# Class by class


def test_classes_that_got_worse_are_flagged() -> None:
    evidence = {
        "apple": Evidence(Pairs(40, 10, 300)),
        "grapes": Evidence(Pairs(8, 60, 300)),
        "lemon": Evidence(Pairs(12, 24, 300)),
    }
    answers = {name: Arms(Tally(280, 350), Tally(300, 350)) for name in evidence}
    compared = compare_classes(evidence, answers, ALPHA)
    assert {name: of.worse for name, of in compared.items()} == {"apple": False, "grapes": True, "lemon": False}
    alone = difference(evidence["lemon"], ALPHA)
    assert compared["lemon"].difference.low < alone.low
    assert compared["apple"].control.high - compared["apple"].control.low > 0.1
    assert compared["apple"].candidate.estimate == pytest.approx(300 / 350)


# The verdict

COMPARISON = Comparison("custom", "vgg16")


def test_verdict_better() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(36, 9, 255)))
    assert (found.outcome, found.variant, found.labels) == (Outcome.BETTER, "vgg16", 300)
    assert found.reasons == (
        "vgg16 answered 36 photos right that custom got wrong, and custom 9 the other way round: "
        "e-value 196, 20 needed",
    )
    assert 0 < found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(0.09)


def test_verdict_may_favour_the_control() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(1, 30, 100), (Arms(Tally(90, 100), Tally(80, 100)),)))
    assert (found.outcome, found.variant) == (Outcome.BETTER, "custom")
    assert found.reasons[0].startswith(
        "custom answered 30 photos right that vgg16 got wrong, and vgg16 1 the other way round; "
        "of photos that one of them saw, custom answered 90 of 100 right, and vgg16 80 of 100: e-value"
    )


def test_verdict_equivalent_keeps_the_faster() -> None:
    alike = Evidence(Pairs(100, 100, 20_000))
    unknown, slower, faster = (verdict(COMPARISON, alike, seconds=s) for s in (None, (0.012, 0.035), (0.035, 0.012)))
    assert [found.outcome for found in (unknown, slower, faster)] == [Outcome.EQUIVALENT] * 3
    assert [found.variant for found in (unknown, slower, faster)] == ["custom", "custom", "vgg16"]
    assert unknown.reasons == ("vgg16's accuracy less custom's lies between -0.2% and +0.2%, within ±1.0%",)
    assert slower.reasons[0].endswith(", and custom is the faster (12 ms against 35 ms)")


def test_verdict_keep_going() -> None:
    nothing = verdict(COMPARISON, Evidence())
    assert (nothing.outcome, nothing.variant, nothing.reasons) == (
        Outcome.KEEP_GOING,
        None,
        ("0 labels, 100 at the least",),
    )
    few = verdict(COMPARISON, Evidence(Pairs(30, 0, 69)))
    assert (few.outcome, few.log_e >= NEEDED) == (Outcome.KEEP_GOING, True)
    undecided = verdict(COMPARISON, Evidence(Pairs(40, 30, 900)))
    assert isinstance(undecided.labels_needed, LabelsNeeded)
    assert undecided.reasons[0].endswith("e-value 0.8, 20 needed; about 5,600 more labels (1,700 to 12,000)")


@pytest.mark.parametrize(
    ("pairs", "outlook"),
    [
        (Pairs(24, 17, 282), r"more labels, if the difference is what it seems$"),
        (Pairs(1, 1, 300), r"^vgg16 answered 1 photo right.*cannot be said yet$"),
    ],
)
def test_verdict_says_how_much_it_knows_of_the_future(pairs: Pairs, outlook: str) -> None:
    found = verdict(Comparison("custom", "vgg16", margin=0), Evidence(pairs))
    assert found.outcome is Outcome.KEEP_GOING
    assert re.search(outlook, found.reasons[0])


def test_verdict_invalid() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(36, 9, 255)), ["the split is off", "so are the labels"])
    assert (found.outcome, found.variant) == (Outcome.INVALID, None)
    assert found.reasons == ("the split is off", "so are the labels")
    torn = verdict(COMPARISON, Evidence(Pairs(50, 5, 400), (Arms(Tally(950, 1000), Tally(810, 1000)),)))
    assert torn.outcome is Outcome.INVALID
    assert torn.reasons[0].startswith("paired and unpaired labels contradict each other: ")


def test_verdict_of_very_many_labels() -> None:
    found = verdict(COMPARISON, Evidence(Pairs(10**6, 9 * 10**5, 10**5)))
    assert found.outcome is Outcome.BETTER
    assert found.reasons[0].endswith("e-value above a million, 20 needed")


@pytest.mark.parametrize("numbers", [{"alpha": 0}, {"alpha": 1}, {"margin": -0.1}, {"margin": 1}])
def test_comparison_refuses_impossible_numbers(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must lie"):
        Comparison("custom", "vgg16", **numbers)  # type: ignore[arg-type]


def test_a_verdict_once_due_comes_whatever_the_order_of_looks() -> None:
    pairs = draw_pairs(np.random.default_rng(18), (0.1, 0.02), 1, 600)
    found = [
        verdict(
            COMPARISON,
            Evidence(
                Pairs(*(np.asarray(n)[0, look] for n in (pairs.only_candidate, pairs.only_control, pairs.agreed)))
            ),
        )
        for look in range(99, 600, 100)
    ]
    assert found[-1].variant == "vgg16"
    assert all(before.labels < after.labels for before, after in pairwise(found))

"""Both kinds of labels together."""

import numpy as np
import pytest

from experiment.statistics import Arms, Evidence, Pairs, Tally, decisions, difference, log_e, of_disputed
from experiment.statistics.inference.difference import contradictory
from tests.experiment.statistics.draws import ALPHA, NEEDED, apart, at_most, draw_arms, draw_pairs


def test_difference_is_where_the_e_value_reaches_the_threshold() -> None:
    evidence = Evidence(Pairs(36, 20, 500), (Arms(Tally(850, 1000), Tally(880, 1000)),))
    interval = difference(evidence, ALPHA)
    for end in (interval.low, interval.high):
        assert float(log_e(evidence, end)) == pytest.approx(NEEDED, abs=1e-6)
    assert interval.low < interval.estimate < interval.high
    levels = log_e(evidence, np.linspace(-0.9, 0.9, 361))
    assert (np.diff(levels, 2) > 0).all()
    assert float(evidence.labels) == 2556


def every(pairs: Pairs, step: int) -> Pairs:
    """Looks at every so many labels, from the hundredth."""
    b, c, agreed = (np.asarray(of)[:, 99::step] for of in (pairs.only_candidate, pairs.only_control, pairs.agreed))
    return Pairs(b, c, agreed)


def test_difference_excludes_zero_when_the_test_does() -> None:
    pairs = every(draw_pairs(np.random.default_rng(7), (0.1, 0.05), 20, 600), 12)
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
    looks = every(draw_pairs(np.random.default_rng(9), (0.05, 0.03), 300, 4000), 40)
    assert at_most((decisions(Evidence(looks), ALPHA, 0.02) == 2).any(axis=1), ALPHA)


def test_who_is_ahead_all_labels_say_and_how_far_only_blind_ones() -> None:
    seen, blind = Evidence(seen_pairs=Pairs(100, 100, 20_000)), Evidence(Pairs(100, 100, 20_000))
    assert int(decisions(seen, ALPHA, 0.01)) == 0
    assert int(decisions(blind, ALPHA, 0.01)) == 2
    gained = Pairs(400, 100, 1500)
    assert int(decisions(Evidence(seen_pairs=gained), ALPHA, 0.01)) == 1
    assert int(decisions(Evidence(seen_pairs=gained), ALPHA, 0.01, worth=0.05)) == 0
    assert int(decisions(Evidence(gained), ALPHA, 0.01, worth=0.05)) == 1


def test_decisions_with_a_price() -> None:
    pairs = Pairs(np.array([300, 300, 300, 60, 100, 20]), np.array([100, 100, 100, 300, 100, 20]), 4000)
    evidence = Evidence(pairs)
    assert decisions(evidence, ALPHA, 0, worth=0.02).tolist() == [1, 1, 1, -1, 3, 3]
    assert decisions(evidence, ALPHA, 0, worth=0.045).tolist() == [0, 0, 0, -1, 3, 3]
    assert decisions(evidence, ALPHA, 0, worth=0.1).tolist() == [3, 3, 3, -1, 3, 3]
    assert decisions(evidence, ALPHA, 0.02, worth=0.1).tolist() == [3, 3, 3, -1, 2, 2]


@pytest.mark.parametrize(
    ("rates", "wrong"), [((0.07, 0.05), (3, -1)), ((0.055, 0.05), (1, -1)), ((0.05, 0.05), (1, -1))]
)
def test_a_price_is_claimed_in_vain_no_more_often_than_alpha(
    rates: tuple[float, float], wrong: tuple[int, ...]
) -> None:
    looks = every(draw_pairs(np.random.default_rng(24), rates, 300, 4000), 50)
    assert at_most(np.isin(decisions(Evidence(looks), ALPHA, 0, worth=0.02), wrong).any(axis=1), ALPHA)


def test_labels_that_exclude_each_other() -> None:
    torn = Evidence(Pairs(50, 5, 400), (Arms(Tally(950, 1000), Tally(810, 1000)),))
    assert contradictory(torn, ALPHA)
    blind, seen = Pairs(60, 10, 400), Pairs(10, 60, 400)
    assert contradictory(Evidence(blind, seen_pairs=seen), ALPHA)
    assert not contradictory(Evidence(blind, seen_pairs=Pairs(15, 10, 40)), ALPHA)
    # Those who complain make a difference look greater; that is no contradiction.
    assert not contradictory(Evidence(Pairs(100, 60, 3000), seen_pairs=Pairs(300, 60, 300)), ALPHA)


@pytest.mark.parametrize("rates", [(0.075, 0.045, 0.02), (0.02, 0.0, 0.01), (0.3, 0.1, 0.1)])
def test_labels_of_disputed_photos_cover_the_truth_at_every_label(rates: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(25)
    disputed = rng.binomial(5000, sum(rates), size=(400, 1))
    draw = rng.random((400, 300)) * sum(rates)
    b, c = (draw < rates[0]).cumsum(axis=1), ((draw >= rates[0]) & (draw < sum(rates[:2]))).cumsum(axis=1)
    pairs = of_disputed(Pairs(b, c, np.arange(1, 301) - b - c), disputed, 5000 - disputed)
    assert at_most((log_e(Evidence(pairs), rates[0] - rates[1]) >= NEEDED).any(axis=1), ALPHA)

"""The unpaired test against the published boundary, and its promise against simulated experiments."""

import math

import numpy as np
import pytest
from scipy import special

from experiment.statistics import Arms, Evidence, Tally, difference, log_e
from experiment.statistics.inference.unpaired import TUNED_FOR
from tests.experiment.statistics.draws import ALPHA, NEEDED, apart, at_most, draw_arms


def test_unpaired_difference_is_the_published_boundary() -> None:
    k0, n0, k1, n1 = 850, 1000, 2670, 3000
    interval = difference(apart(k0, n0, k1, n1), ALPHA)
    # In the paper's terms: one observation a label, of variance sigma², and t of them.
    v0, v1 = ((k + 1) * (n - k + 1) / (n + 2) ** 2 for k, n in ((k0, n0), (k1, n1)))
    t = n0 + n1
    sigma2 = t * (v0 / n0 + v1 / n1)
    tuned_for, best = TUNED_FOR, -special.lambertw(-(ALPHA**2) / math.e, -1).real - 1
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

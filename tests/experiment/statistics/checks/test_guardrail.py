"""A variant that goes wrong is noticed soon, and hardly ever in vain."""

import math

import numpy as np
import pytest

from experiment.statistics import Tally, fails_altogether, guardrail, guardrail_pairs
from tests.experiment.statistics.draws import at_most

RISES = np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.95])


def test_guardrail_is_the_shiryaev_roberts_recursion_past_the_dead_time() -> None:
    rng = np.random.default_rng(13)
    bad = rng.random(200) < 0.1
    rates = 0.05 + 0.95 * RISES
    sums, dead = np.zeros(6), 0
    for x in bad:
        if dead:
            dead -= 1
            continue
        sums = (sums + 1) * np.where(x, rates / 0.05, (1 - rates) / 0.95)
        dead = 2 if x else 0
    found = guardrail(bad, Tally(10_000, 10_000), 0.05)
    assert found.log_evidence == pytest.approx(math.log(sums.mean()), abs=1e-9)
    assert (found.bad, found.total, found.allowed, found.limit) == (bad.sum(), 200, 0.05, 0.05)
    assert found.share == bad.mean()


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("limit", [0.02, 0.05])
def test_guardrail_false_alarms_in_a_number_of_requests(limit: float, burst: int) -> None:
    # The unwindowed sums, which no window exceeds, for 2000 candidates that are just as bad as allowed.
    rng = np.random.default_rng(14)
    rates = limit + (1 - limit) * RISES[:, None]
    begins = limit / burst / (1 - limit + limit / burst) if burst > 1 else limit
    sums, highest = np.zeros((6, 2000)), np.zeros(2000)
    left, dead = np.zeros(2000, dtype=int), np.zeros(2000, dtype=int)
    for _ in range(1000):
        left = np.where((left == 0) & (rng.random(2000) < begins), burst, left)
        bad, counts = left > 0, dead == 0
        left = np.maximum(left - 1, 0)
        steps = np.where(bad, rates / limit, (1 - rates) / (1 - limit))
        sums = np.where(counts, (sums + 1) * steps, sums)
        dead = np.where(counts & bad, 2, np.maximum(dead - 1, 0))
        highest = np.maximum(highest, sums.mean(axis=0))
    assert at_most(highest >= 10_000, 1000 / 10_000)


@pytest.mark.parametrize(("failing", "within"), [(1.0, 13), (0.5, 45), (0.2, 150)])
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


def test_a_fifth_of_the_requests_failing_is_found_within_three_minutes_at_one_request_a_second() -> None:
    # Half of them are the candidate's.
    rng = np.random.default_rng(21)
    healthy = rng.random((100, 300)) < 0.001
    seen = np.concatenate([healthy, rng.random((100, 90)) < 0.2], axis=1)
    found = [
        any(guardrail(one[: 300 + n], Tally(300, 300), 0.02).state == "breach" for n in range(20, 91, 5))
        for one in seen
    ]
    assert sum(found) > 65


@pytest.mark.parametrize(("both", "limit"), [(0.02, 0.02), (0.3, 0.02)])
def test_guardrail_stays_silent_for_hours_when_the_candidate_is_no_worse(both: float, limit: float) -> None:
    rng = np.random.default_rng(16)
    candidate, control = rng.random(30_000) < both, rng.random(30_000) < both
    for end in range(300, 30_000, 15):
        fine = 300 - int(control[end - 300 : end].sum())
        assert guardrail(candidate[end - 300 : end], Tally(fine, 300), limit).state in {"ok", "above"}


def test_a_share_above_the_limit_is_never_called_ok() -> None:
    control = Tally(98, 100)
    for bad in range(60):
        found = guardrail([True] * bad + [False] * (300 - bad), control, 0.02)
        assert (found.state == "ok") == (found.share <= 0.02)


def test_without_traffic_to_the_control_the_limit_alone_holds() -> None:
    assert guardrail([True] * 20, Tally(), 0.02).state == "breach"
    assert guardrail([True] * 20, Tally(1, 1), 0.02).state == "breach"
    assert guardrail([False] * 20, Tally(), 0.02).state == "ok"


def test_pairs_compare_like_with_like() -> None:
    rng = np.random.default_rng(22)
    large, hiccup = rng.random(400) < 0.3, rng.random(400) < 0.01
    assert guardrail(large | hiccup, Tally(400, 400), 0.05).state == "breach"
    assert guardrail_pairs(large | hiccup, large, 0.05).state == "ok"
    slower = guardrail_pairs(large | (rng.random(400) < 0.3), large, 0.05)
    assert slower.state == "breach"
    assert guardrail_pairs(large, rng.permuted(large), 0.05).state == "above"
    with pytest.raises(ValueError, match="two entries"):
        guardrail_pairs([True], [], 0.05)


def test_a_variant_that_fails_altogether() -> None:
    assert fails_altogether([False] + [True] * 24)
    assert not fails_altogether([True] * 23)
    assert not fails_altogether([True] * 23 + [False])
    rng = np.random.default_rng(23)
    half = rng.random(200_000) < 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[0], half, [0]])))
    assert (edges[1::2] - edges[::2]).max() < 24


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
    assert guardrail([True] * 13, enough, 0.02).state == "breach"
    assert guardrail([True] * 200, Tally(0, 200), 0.02).state == "above"


@pytest.mark.parametrize("limit", [0, 1])
def test_guardrail_needs_a_limit_inside_the_range(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        guardrail([], Tally(), limit)

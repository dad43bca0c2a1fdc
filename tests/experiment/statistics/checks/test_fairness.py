"""Turns, draws and labels: no alarm without a cause, and one where there is."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from experiment.statistics import check_draws, check_labels, check_pair_labels, check_turns
from tests.experiment.statistics.draws import ALPHA, NEEDED, at_most


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


EVEN = {"custom": 1, "vgg16": 1}


def test_turns_of_several_loads_may_all_begin_with_the_same_variant() -> None:
    assert check_turns({"custom": 53, "vgg16": 50}, EVEN, loads=4).ok
    assert not check_turns({"custom": 54, "vgg16": 50}, EVEN).ok


def test_turns_fire_at_the_least_excess_beyond_half_a_percent() -> None:
    assert check_turns({"custom": 50, "vgg16": 52}, EVEN).ok
    check = check_turns({"custom": 50, "vgg16": 54}, EVEN)
    assert check.reason == "vgg16 got 54 of 104 turns, more than the 52.0 due"
    assert not check_turns({"custom": 50, "vgg16": 56}, EVEN, unseen=2).ok
    assert not check_turns({"custom": 2, "vgg16": 98}, {"custom": 0, "vgg16": 1}).ok
    assert check_turns({}, EVEN).ok


def test_reloads_that_nobody_counted_invalidate_nothing() -> None:
    # 200 loads in 100,000 requests, each with an odd number of turns.
    assert check_turns({"custom": 50_100, "vgg16": 49_900}, EVEN).ok
    assert not check_turns({"custom": 51_000, "vgg16": 49_000}, EVEN).ok


def test_turns_are_exact_at_each_gateway() -> None:
    picked = take_turns((1, 1), 101)
    seen = {gateway: counted(picked) for gateway in ("one", "two", "three")}
    assert check_turns(seen, {"a": 1, "b": 1}).ok
    check = check_turns({"one": {"a": 60, "b": 50}, "two": {"a": 50, "b": 60}}, {"a": 1, "b": 1}, loads={"one": 9})
    assert check.reason == "b got 60 of 110 turns at gateway two, more than the 55.0 due"


def test_people_under_a_sticky_split_are_counted_against_it() -> None:
    assert check_draws({"custom": 812, "vgg16": 195}, {"custom": 80, "vgg16": 20}, what="people").ok
    reason = check_draws({"custom": 500, "vgg16": 500}, {"custom": 80, "vgg16": 20}, what="people").reason
    assert reason.startswith("people per variant: custom 500 (50 %, due 80 %)")


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
        "requests per variant: custom 5,300 (53 %, due 50 %), vgg16 4,700 (47 %, due 50 %); "
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
    assert check.reason.startswith("labels per variant: custom 800 (80 %, due 90 %)")
    assert check_labels({}, {}).ok


def labelled_pairs(rng: np.random.Generator, rates: NDArray[np.float64], pairs: int = 6000) -> tuple[dict, dict]:  # type: ignore[type-arg]
    """Labelled and all pairs by (shown, disputed); `rates` of labels by [shown variant][wrong, right].

    Where the variants dispute, the candidate is right in two of three photos; else both are right in nine of ten.
    """
    shown, disputed = rng.integers(0, 2, pairs), rng.random(pairs) < 0.2
    candidate_right = rng.random(pairs) < 2 / 3
    right = np.where(disputed, candidate_right == (shown == 1), rng.random(pairs) < 0.9)
    given = rng.random(pairs) < rates[shown, right.astype(int)]
    cells = [(name, index, kind) for index, name in enumerate(("custom", "vgg16")) for kind in (False, True)]
    answered = {(name, kind): int(((shown == i) & (disputed == kind)).sum()) for name, i, kind in cells}
    labelled = {(name, kind): int((given & (shown == i) & (disputed == kind)).sum()) for name, i, kind in cells}
    return labelled, answered


def test_labels_that_depend_on_what_is_right_are_told_apart_from_those_that_depend_on_who_answered() -> None:
    rng = np.random.default_rng(19)
    by_right = np.array([[0.4, 0.1], [0.4, 0.1]])
    by_variant = np.array([[0.3, 0.3], [0.15, 0.15]])
    alike = np.array([[0.2, 0.2], [0.2, 0.2]])
    found = [check_pair_labels(*labelled_pairs(rng, rates)) for rates in (alike, by_right, by_variant)]
    assert [(check.shown.ok, check.disputed.ok) for check in found] == [(True, True), (True, False), (False, True)]
    assert "it matters to them, or to the page, who answered" in found[2].shown.reason
    assert "of the disputed ones" in found[1].disputed.reason
    assert check_pair_labels({}, {}).shown.ok


def test_label_checks_of_pairs_hold_at_every_look() -> None:
    rng = np.random.default_rng(20)
    alarms = []
    for _ in range(60):
        labelled, answered = labelled_pairs(rng, np.array([[0.4, 0.1], [0.4, 0.1]]), 2000)
        arrived = {key: rng.multinomial(n, np.full(10, 0.1)).cumsum() for key, n in labelled.items()}
        so_far = [{key: int(counts[look]) for key, counts in arrived.items()} for look in range(10)]
        alarms.append([not check_pair_labels(some, answered, 0.05).shown.ok for some in so_far])
    assert at_most(np.array(alarms).any(axis=1), 0.05)

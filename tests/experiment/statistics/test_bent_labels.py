"""Labels that get there in bent ways: who is asked, who answers, how often, in which order.

Each way is simulated photo by photo for some hundred experiments, with a hundred looks or one after every label, both
variants equally good unless said. Where labels may decide, wrong verdicts stay below α; where they may not, they are
left out and nothing is said. What happens where they are taken at face value is shown beside it.
"""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from experiment.statistics import (
    Arms,
    Comparison,
    Evidence,
    LeftOut,
    Outcome,
    Pairs,
    People,
    Tally,
    decisions,
    of_disputed,
    verdict,
    why_left_out,
)
from tests.experiment.statistics.draws import ALPHA, at_most

RUNS = 300
ONLY_CANDIDATE, ONLY_CONTROL, BOTH, ALIKE_WRONG, UNLIKE_WRONG = range(5)
EQUAL = (0.06, 0.06, 0.8, 0.05, 0.03)
WORSE = (0.045, 0.075, 0.8, 0.05, 0.03)
BETTER_BY_TWO = (0.05, 0.03, 0.85, 0.05, 0.02)
COMPARISON = Comparison("custom", "vgg16")

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Manner(NamedTuple):
    """How people label: the probabilities where what they see is right and wrong, and of confirming it when wrong."""

    right: float
    wrong: float
    confirm: float = 0.0


def photos(rng: np.random.Generator, kinds: tuple[float, ...], count: int) -> Ints:
    """Who is right about each photo, shape (RUNS, count)."""
    edges = np.cumsum(kinds)[:-1]
    return np.searchsorted(edges, rng.random((RUNS, count)), side="right")


def labelled(rng: np.random.Generator, kind: Ints, candidate: Bools, manner: Manner) -> tuple[Bools, Ints]:
    """Which photos get a label, and who is right according to it; `candidate`: its answer was shown."""
    right = (kind == BOTH) | (kind == np.where(candidate, ONLY_CANDIDATE, ONLY_CONTROL))
    given = rng.random(kind.shape) < np.where(right, manner.right, manner.wrong)
    confirmed = ~right & (rng.random(kind.shape) < manner.confirm)
    as_shown = np.where(kind == ALIKE_WRONG, BOTH, np.where(candidate, ONLY_CANDIDATE, ONLY_CONTROL))
    return given, np.where(confirmed, as_shown, kind)


def looks(counts: Bools) -> Ints:
    """Running sums at a hundred looks."""
    running = counts.cumsum(axis=1)
    return running[:, np.linspace(0, running.shape[1] - 1, 101).astype(int)[1:]]


def pairs(given: Bools, kind: Ints) -> Pairs:
    alike = given & (kind != ONLY_CANDIDATE) & (kind != ONLY_CONTROL)
    return Pairs(looks(given & (kind == ONLY_CANDIDATE)), looks(given & (kind == ONLY_CONTROL)), looks(alike))


def arms(right: Bools, candidate: Bools, given: Bools | bool = True) -> Arms:
    def tally(mine: Bools) -> Tally:
        return Tally(looks(given & mine & right), looks(given & mine))

    return Arms(tally(~candidate), tally(candidate))


def claimed(evidence: Evidence, *claims: int) -> Bools:
    """Of each experiment, whether one of `claims` was ever made, at a look with labels enough."""
    margin = COMPARISON.margin if 2 in claims else 0
    made = np.isin(decisions(evidence, ALPHA, margin), claims)
    return np.asarray((made & (evidence.labels >= COMPARISON.minimum_labels)).any(axis=1))


def everywhere(shape: tuple[int, ...]) -> Bools:
    return np.ones(shape, dtype=np.bool_)


COMPLAINERS = Manner(0.05, 0.2)


@pytest.mark.parametrize(
    "manner",
    [COMPLAINERS, Manner(0.2, 0.05), Manner(0.1, 0.1, 0.1), Manner(0.1, 0.1, 0.2), Manner(0.05, 0.2, 0.2)],
)
@pytest.mark.parametrize(("kinds", "wrong"), [(EQUAL, (1, -1)), (WORSE, (1, 2)), (BETTER_BY_TWO, (-1, 2))])
def test_pairs_shown_evenly_cannot_be_bent(manner: Manner, kinds: tuple[float, ...], wrong: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    kind = photos(rng, kinds, 8000)
    shown = rng.random(kind.shape) < 0.5
    assert at_most(claimed(Evidence(seen_pairs=pairs(*labelled(rng, kind, shown, manner))), *wrong), ALPHA)


def test_pairs_shown_evenly_find_the_better_one_all_the_same() -> None:
    rng = np.random.default_rng(2)
    kind = photos(rng, BETTER_BY_TWO, 20_000)
    shown = rng.random(kind.shape) < 0.5
    seen = Evidence(seen_pairs=pairs(*labelled(rng, kind, shown, Manner(0.1, 0.3, 0.1))))
    assert claimed(seen, 1).mean() > 0.6


@pytest.mark.parametrize(("manner", "kinds", "claim"), [(COMPLAINERS, WORSE, 1), (Manner(0.1, 0.1, 0.2), EQUAL, -1)])
def test_where_only_the_control_is_shown_seen_labels_are_left_out(
    manner: Manner, kinds: tuple[float, ...], claim: int
) -> None:
    rng = np.random.default_rng(3)
    kind = photos(rng, kinds, 12_000)
    bent = pairs(*labelled(rng, kind, ~everywhere(kind.shape), manner))
    assert claimed(Evidence(bent), claim).mean() > 0.3

    reason = why_left_out(blind=False, paired=True, evenly=False)
    found = verdict(COMPARISON, Evidence(left_out=(LeftOut(reason, 1200),)))
    assert (found.outcome, found.labels) == (Outcome.KEEP_GOING, 0)
    assert found.counted.startswith("No label decides yet. Left out: 1,200 labels, since people saw an answer")


def test_the_label_page_must_ask_again_about_photos_labelled_by_someone_who_saw_an_answer() -> None:
    rng = np.random.default_rng(4)
    kind = photos(rng, EQUAL, 12_000)
    given, _ = labelled(rng, kind, ~everywhere(kind.shape), Manner(0.05, 0.6))
    disputed = np.isin(kind, (ONLY_CANDIDATE, ONLY_CONTROL, UNLIKE_WRONG))
    left_over = Evidence(of_disputed(pairs(disputed & ~given, kind), 1800, 10_200))
    assert claimed(left_over, 1, -1).mean() > 0.3
    everything = Evidence(of_disputed(pairs(disputed, kind), 1800, 10_200))
    assert at_most(claimed(everything, 1, -1), ALPHA)


def test_ten_labels_from_the_label_page_are_ten_labels() -> None:
    found = verdict(Comparison("custom", "vgg16", margin=0.2), Evidence(of_disputed(Pairs(5, 4, 1), 40, 360)))
    assert (found.outcome, found.labels) == (Outcome.KEEP_GOING, 10)
    assert found.reasons == ("10 labels, 100 at the least",)
    with_seen = Evidence(of_disputed(Pairs(5, 4, 1), 40, 360), seen_pairs=Pairs(50, 50, 100))
    assert verdict(Comparison("custom", "vgg16", margin=0.2), with_seen).outcome is Outcome.KEEP_GOING
    assert verdict(Comparison("custom", "vgg16", margin=0.01, worth=0.5), with_seen).outcome is Outcome.KEEP_GOING


def test_a_photo_that_comes_again_counts_once() -> None:
    rng = np.random.default_rng(5)
    again = np.tile(photos(rng, EQUAL, 200), (1, 10))
    assert claimed(Evidence(pairs(everywhere(again.shape), again)), 1, -1).mean() > 0.2
    once = Evidence(pairs(everywhere(again.shape) & (np.arange(2000) < 200), again))
    assert at_most(claimed(once, 1, -1), ALPHA)


def test_a_client_that_alternates_easy_and_hard_photos() -> None:
    rng = np.random.default_rng(6)
    easy = np.tile(np.arange(4000) % 2 == 0, (RUNS, 1))
    right = rng.random(easy.shape) < np.where(easy, 0.95, 0.75)
    assert claimed(Evidence(arms=(arms(right, easy),)), 1, -1).all()

    reason = why_left_out(blind=False, paired=False, evenly=False)
    assert verdict(COMPARISON, Evidence(left_out=(LeftOut(reason, 4000),))).outcome is Outcome.KEEP_GOING
    assert not why_left_out(blind=False, paired=False, evenly=True)
    at_random = Evidence(seen_arms=(arms(right, rng.random(easy.shape) < 0.5),))
    assert at_most(claimed(at_random, 1, -1), ALPHA)


def test_pairs_shown_in_turn_to_a_client_that_alternates_easy_and_hard_photos() -> None:
    rng = np.random.default_rng(12)
    easy = np.tile(np.arange(12_000) % 2 == 0, (RUNS, 1))
    kind = np.where(easy, photos(rng, (0.02, 0.02, 0.93, 0.02, 0.01), 12_000), photos(rng, EQUAL, 12_000))
    in_turn, at_random = (
        Evidence(seen_pairs=pairs(*labelled(rng, kind, shown, COMPLAINERS)))
        for shown in (easy, rng.random(easy.shape) < 0.5)
    )
    assert claimed(in_turn, 1, -1).mean() > 0.5
    assert at_most(claimed(at_random, 1, -1), ALPHA)


def test_complainers_do_not_bend_splits_drawn_at_random() -> None:
    rng = np.random.default_rng(7)
    right, candidate = rng.random((RUNS, 12_000)) < 0.85, rng.random((RUNS, 12_000)) < 0.5
    given = rng.random(right.shape) < np.where(right, 0.05, 0.2)
    assert at_most(claimed(Evidence(seen_arms=(arms(right, candidate, given),)), 1, -1, 2), ALPHA)


def test_a_folder_sorted_by_class() -> None:
    rng = np.random.default_rng(8)
    # Apples are the candidate's strength, lemons the control's.
    ours = np.repeat([0.12, 0.06, 0.0], 300)
    draw = rng.random((RUNS, 900))
    kind = np.where(draw < ours, ONLY_CANDIDATE, np.where(draw < 0.12, ONLY_CONTROL, BOTH))
    assert claimed(Evidence(pairs(everywhere(kind.shape), kind)), 1, -1).mean() > 0.5
    shuffled = Evidence(pairs(everywhere(kind.shape), rng.permuted(kind, axis=1)))
    assert at_most(claimed(shuffled, 1, -1), ALPHA)


def by_person(person: Ints, mine: Bools, right: Bools) -> tuple[Tally, Tally]:
    """Tallies after each label, without and with what is known of the people behind them."""
    runs, count = person.shape
    own_right, own_total = np.zeros((2, runs, int(person.max()) + 1))
    sums, row = np.zeros((5, runs, count + 1)), np.arange(runs)
    for label in range(count):
        who, x, y = person[:, label], (right & mine)[:, label], mine[:, label]
        k, n = own_right[row, who], own_total[row, who]
        added = x, y, x * (2 * k + 1), (k + x) * (n + y) - k * n, y * (2 * n + 1)
        sums[:, :, label + 1] = sums[:, :, label] + np.array(added)
        own_right[row, who] += x
        own_total[row, who] += y
    right_so_far, total, *moments = sums[:, :, 1:]
    return Tally(right_so_far, total), Tally(right_so_far, total, People(*moments))


@pytest.mark.parametrize("one_after_the_other", [True, False])
def test_pairs_of_people_unlike_each_other(one_after_the_other: bool) -> None:
    # Each has 20 disputed photos: of one half of the people one variant gets 80 % right, of the other half the other.
    rng = np.random.default_rng(9)
    person = np.tile(np.repeat(np.arange(40), 20), (RUNS, 1))
    person = person if one_after_the_other else rng.permuted(person, axis=1)
    leaning = rng.choice([0.2, 0.8], size=(RUNS, 40))
    right = rng.random(person.shape) < np.take_along_axis(leaning, person, axis=1)
    alone, known = (
        Evidence(Pairs(tally.right, np.asarray(tally.total) - tally.right, people=tally.people))
        for tally in by_person(person, everywhere(person.shape), right)
    )
    assert claimed(alone, 1, -1).mean() > 0.2
    assert at_most(claimed(known, 1, -1), ALPHA)


@pytest.mark.parametrize("cap", [20, 200])
def test_people_unlike_each_other_under_a_sticky_split(cap: int) -> None:
    rng = np.random.default_rng(10)
    count = 1200 // cap
    person = np.tile(np.repeat(np.arange(count), cap), (RUNS, 1))
    accuracy, drawn = rng.beta(8.5, 1.5, (RUNS, count)), rng.random((RUNS, count)) < 0.5
    right = rng.random(person.shape) < np.take_along_axis(accuracy, person, axis=1)
    candidate = np.take_along_axis(drawn, person, axis=1)
    control, other = by_person(person, ~candidate, right), by_person(person, candidate, right)
    alone, known = (Evidence(arms=(Arms(control[kind], other[kind]),)) for kind in (0, 1))
    assert claimed(alone, 1, -1).mean() > 0.15
    assert at_most(claimed(known, 1, -1), ALPHA)


def test_drifts_between_splits_do_not_pass_for_a_difference() -> None:
    rng = np.random.default_rng(11)
    easy, hard = rng.random((RUNS, 2000)) < 0.95, rng.random((RUNS, 2000)) < 0.7
    few, most = rng.random((RUNS, 2000)) < 0.1, rng.random((RUNS, 2000)) < 0.9
    assert at_most(claimed(Evidence(arms=(arms(easy, few), arms(hard, most))), 1, -1), ALPHA)
    together = arms(np.concatenate([easy, hard], axis=1), np.concatenate([few, most], axis=1))
    assert claimed(Evidence(arms=(together,)), 1, -1).mean() > 0.9

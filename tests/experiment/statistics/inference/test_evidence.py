"""Where labels stand, what they count for, and which may decide."""

import numpy as np
import pytest

from experiment.statistics import Arms, Evidence, LeftOut, Pairs, People, Tally, messages, of_disputed, why_left_out
from experiment.statistics.inference.people import arm_counts, pair_counts


def test_labels_are_those_that_people_gave() -> None:
    disputed = of_disputed(Pairs(6, 3, 1), 50, 450)
    assert float(np.asarray(disputed.imputed)) == pytest.approx(90)
    arm = Arms(Tally(80, 100), Tally(90, 100))
    evidence = Evidence(disputed, (arm,), Pairs(4, 4, 12), (arm,), (LeftOut("they were bent", 1000),))
    assert float(evidence.labels) == 10 + 200 + 20 + 200
    assert float(evidence.blind.labels) == 210
    assert float(evidence.seen.labels) == 220
    assert pair_counts(evidence.all_pairs)[2] == pytest.approx(120)


def test_disputed_photos_without_any_in_the_traffic() -> None:
    assert float(np.asarray(of_disputed(Pairs(), 0, 0).imputed)) == 0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"blind": True, "paired": True, "evenly": False}, ""),
        ({"blind": True, "paired": False, "evenly": False}, ""),
        ({"blind": False, "paired": True, "evenly": True}, ""),
        ({"blind": False, "paired": True, "evenly": False}, messages.ONE_SHOWN),
        ({"blind": False, "paired": True, "evenly": True, "checked": False}, messages.UNLIKE_LABELLED),
        ({"blind": False, "paired": False, "evenly": True}, ""),
        ({"blind": False, "paired": False, "evenly": False}, messages.IN_TURN),
        ({"blind": False, "paired": False, "evenly": True, "checked": False}, messages.UNLIKE_LABELLED),
    ],
)
def test_which_labels_may_decide(kind: dict[str, bool], reason: str) -> None:
    assert why_left_out(**kind) == reason


def test_people_who_each_gave_one_label_count_in_full() -> None:
    apart = Pairs(30, 12, 100, people=People.apart(30, 42))
    assert [float(count) for count in pair_counts(apart)] == [30, 12, 142]
    control, candidate = (Tally(k, 100, People.apart(k, 100)) for k in (80, 90))
    assert [float(count) for count in arm_counts(Arms(control, candidate))] == pytest.approx(
        [80, 100, 90, 100], rel=0.1
    )


def test_twenty_labels_of_one_person_and_one_mind_count_as_one() -> None:
    assert [float(count) for count in pair_counts(Pairs(20, 0, people=People(400, 400, 400)))] == [1, 0, 1]
    control = Tally(10, 20, People(100, 100, 200))
    alike = Arms(control, Tally(10, 20, People.apart(10, 20)))
    assert arm_counts(alike)[1] == pytest.approx(2)
    assert arm_counts(alike)[3] == pytest.approx(20)


def test_people_add_up_over_kinds_of_labels() -> None:
    known, unknown = Pairs(20, 0, people=People(400, 400, 400)), Pairs(3, 4)
    both = (known + unknown).people
    assert both == People(403, 403, 407)
    assert (unknown + unknown).people is None

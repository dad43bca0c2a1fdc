"""The table of labels to a verdict."""

import numpy as np
import pytest

from benchmarks import labels
from benchmarks.measuring.environment import ROOT


def test_planned_numbers_are_those_of_textbooks() -> None:
    # J. Fleiss, B. Levin, M. Paik, "Statistical Methods for Rates and Proportions", section 4.2, without correction.
    assert labels.planned_z(0.85, 0.88) == pytest.approx(4072, rel=0.01)
    assert labels.planned_z(0.88, 0.96) == pytest.approx(360, rel=0.03)
    assert labels.planned_mcnemar(0.85, 0.88) == pytest.approx(1022, rel=0.03)


def test_looks_come_after_every_label_and_then_after_each_percent() -> None:
    looks = labels.at_looks(20_000)
    assert looks[0] == labels.FEWEST
    assert (np.diff(looks[: 1001 - labels.FEWEST]) == 1).all()
    assert (np.diff(looks[1000:]) / looks[1000:-1] < 0.012).all()
    assert looks[-1] == 20_000
    assert (np.diff(labels.at_looks(2000, every=True)) == 1).all()


def test_better_variants_are_found_with_fewer_labels_where_each_tells_more() -> None:
    looks = labels.at_looks(3000)
    page, every = (
        np.median(labels.first(labels.paired(labels.pairs(0.88, 0.96, looks, 60, disputed)), looks))
        for disputed in (True, False)
    )
    alone = np.median(labels.first(labels.unpaired(labels.arms(0.88, 0.96, looks, 60)), looks))
    assert page < every < alone


def test_what_is_not_decided_is_not_counted() -> None:
    stops = labels.first(np.array([[False, True], [False, False]]), np.array([10, 20]))
    assert stops.tolist() == [20, np.inf]


def test_the_readme_holds_the_table_of_every_method() -> None:
    text = (ROOT / "experiment" / "README.md").read_text()
    found = text.split("<!-- labels -->")[1].split("<!-- end of labels -->")[0]
    assert all(f"| {method.name} | " in found for method in labels.methods())

"""What is compared, as people write it down."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update

from experiment.plan import PlanError, read_plan
from experiment.record.database import Database, experiments
from experiment.record.experiments import Experiments, take_up
from local.parts import ROOT
from tests.experiment.conftest import PLAN, PLAN_TEXT
from variants import VARIANTS


def read(folder: Path, text: str) -> str:
    """What is wrong with a plan."""
    path = folder / "experiment.toml"
    path.write_text(text)
    with pytest.raises(PlanError) as raised:
        read_plan(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_projects_own_plan_can_be_followed() -> None:
    plan = read_plan(ROOT / "experiment.toml")
    assert {plan.control, plan.candidate} <= {variant.name for variant in VARIANTS}
    assert plan.comparison.alpha == plan.alpha


def test_a_plan_of_before_visitors_were_told_apart_is_the_same_plan(sqlite: Database) -> None:
    assert PLAN.count_visitors is False
    with sqlite.write() as connection:
        take_up(connection, PLAN)
        stored = PLAN.model_dump_json(exclude={"count_visitors"})
        connection.execute(update(experiments).values(plan=stored))
    with sqlite.write() as connection:
        assert not take_up(connection, PLAN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("control = ", "experiment.toml: "),
        ('control = "custom"\n', "candidate: Field required"),
        (PLAN_TEXT + "alpha = 2\n", "alpha: Input should be less than"),
        (PLAN_TEXT + "alpha = 'x'\n", "alpha: "),
        (PLAN_TEXT + "minimum = 5\n", "minimum: Extra inputs"),
        (PLAN_TEXT + "[guardrails]\nerror_rate = 0\n", "guardrails.error_rate: "),
        ('control = "custom"\ncandidate = "resnet"\n', "candidate: there is no variant 'resnet'"),
        ('control = "custom"\ncandidate = "custom"\n', "both 'custom'"),
    ],
)
def test_a_plan_that_does_not_hold_together_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in read(tmp_path, text)


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")


def test_a_changed_plan_begins_a_new_experiment_and_keeps_the_old(database: Database) -> None:
    with database.write() as connection:
        assert take_up(connection, PLAN)
    with database.write() as connection:
        assert not take_up(connection, PLAN)
    stricter = PLAN.model_copy(update={"alpha": 0.01})
    with database.write() as connection:
        assert take_up(connection, stricter)
    with database.write() as connection:
        assert take_up(connection, PLAN)
    with database.read() as connection:
        known = Experiments.load(connection)
    assert [experiment.plan.alpha for experiment in known] == [0.05, 0.01, 0.05]
    assert known.at(time.time()) == known.latest.id == 3
    assert known.at(0) == 0
    assert known.at(known.end_of(1) or 0) == 2
    assert known.plan(2) == stricter

"""Experiments belong to versions of variants; their record outlives both."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiment.plan import Plan, PlanError
from experiment.record.database import Database
from experiment.record.experiments import take_up
from tests.experiment.conftest import PLAN_TEXT, At, line
from tests.system import eventually

OLD = Plan(name="The first two", control="resnet", candidate="swin")
OLD_TEXT = 'name = "The first two"\ncontrol = "resnet"\ncandidate = "swin"\n'


def test_the_record_of_variants_that_are_gone_stays_readable(at_work: At) -> None:
    """Beside the experiment that runs."""
    service = at_work.service
    with service.database.write() as connection:
        take_up(connection, OLD)
    # The ledger knows milliseconds; these are not to be of the one in which the experiment began.
    ts = time.time() + 0.01
    lines = [line(f"r{number}", ("resnet", "swin")[number % 2], predicted_class="wolf", ts=ts) for number in range(10)]
    at_work.ledger.write(*lines)
    number = 2
    eventually(lambda: sum((service.report(number) or {})["traffic"]["assigned"].values()) == 10)
    with service.database.write() as connection:
        take_up(connection, service.plan.model_copy(update={"name": "The next two"}))

    found = at_work.client.get(f"/experiment.json?id={number}").json()
    assert found["traffic"]["assigned"] == {"resnet": 5, "swin": 5}
    assert found["experiment"]["control"] == "resnet"
    page = at_work.client.get(f"/experiment?id={number}")
    assert page.status_code == 200
    assert "The first two" in page.text


def test_a_service_goes_on_with_an_experiment_whose_variants_are_gone(
    serve: Callable[..., Any], sqlite: Database, tmp_path: Path
) -> None:
    with sqlite.write() as connection:
        take_up(connection, OLD)
    (tmp_path / "experiment.toml").write_text(OLD_TEXT)
    (tmp_path / "data").mkdir()
    with serve(database_url=f"sqlite:///{tmp_path / 'experiment.db'}") as running:
        problem = eventually(lambda: running.report()["plan_problem"])
        assert "control: there is no variant 'resnet'; there are custom, vgg16" in problem
        assert running.report()["experiment"]["name"] == "The first two"


def test_a_new_experiment_needs_variants_that_there_are(serve: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(OLD_TEXT)
    with pytest.raises(PlanError, match="there is no variant 'resnet'"), serve():
        pass


def test_what_ran_in_it_is_known_by_its_hash(at_work: At) -> None:
    running = {"custom": {"file": "a.safetensors", "sha256": "a" * 64}, "vgg16": {"file": "b.onnx", "sha256": "b" * 64}}
    at_work.service._running = running
    at_work.plan.write_text('name = "The next two"\n' + PLAN_TEXT)
    found = eventually(lambda: (report := at_work.report())["experiment"]["name"] == "The next two" and report)
    assert {name: [version["sha256"] for version in used] for name, used in found["weights"].items()} == {
        "custom": ["a" * 64],
        "vgg16": ["b" * 64],
    }
    assert found["decisions"][0]["weights"] == running

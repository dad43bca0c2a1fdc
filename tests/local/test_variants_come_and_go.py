"""Under ``make run``, variants are added, started anew and removed, and no request fails."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from abtest.client import System as Client
from tests.load import Load
from tests.project import Project
from tests.system import eventually


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("project"))
    # On a busy machine everything is slow; what is looked at here is who fails.
    plan = made.folder / "experiment.toml"
    plan.write_text(plan.read_text().replace("slow_s = 1.0", "slow_s = 60.0"))
    with made.started():
        eventually(lambda: "Ready: " in made.said())
        yield made


def health(project: Project) -> Any:
    return Client(project.url).health()["variants"]


def record(project: Project) -> Any:
    return Client(project.url).split()


def shares(project: Project) -> dict[str, float]:
    found = record(project)["in_force"]["split"]["shares"]
    return {name: share for name, share in found.items() if share}


def test_a_variant_comes_is_started_anew_and_goes(project: Project, photo: bytes) -> None:
    with Load(project.url, photo).going() as load:
        project.add_variant("third")
        eventually(lambda: health(project)["third"]["ready"])
        assert record(project)["in_force"]["action"] == "variants"
        assert record(project)["in_force"]["reason"] == "third was added"
        assert shares(project) == {"custom": 50, "vgg16": 50}
        load.answered(10)

        changed = project.abtest("split", "custom=50", "third=50")
        assert "In force: weighted custom=50 vgg16=0 third=50" in changed.stdout, changed.stderr
        load.answered(20)
        for name in ("third", "app_vgg16"):
            done = project.abtest("redeploy", name)
            assert re.search(r"(third|vgg16) is ready again\.", done.stdout), done.stderr
            load.answered(20)
        # A guardrail may have taken it out while it was away; then it is back by itself.
        eventually(lambda: shares(project) == {"custom": 50, "third": 50})

        project.list(lambda text: text[: text.index('\n[[variant]]\nname = "third"')])
        eventually(lambda: "third" not in health(project))
        eventually(lambda: shares(project) == {"custom": 100})
        assert record(project)["in_force"]["reason"] == "third was removed, and the others take its share"
        eventually(lambda: "app_third stopped" in project.said())
        load.answered(20)

    assert set(load.outcomes) == {"200"}
    assert not [entry for entry in record(project)["history"] if entry["action"] == "guardrail"]
    refused = project.abtest("rollback")
    assert refused.returncode == 1
    assert "cannot be restored: there is no variant 'third' any more." in " ".join(refused.stderr.split())


def test_a_list_that_cannot_be_changes_nothing(project: Project) -> None:
    before = record(project)["in_force"]["epoch"]
    listed = project.list
    listed(lambda text: text + '\n[[variant]]\nname = "fo/ur"\nservice = "app_four"\nport = 1\n')
    problem = eventually(lambda: record(project)["list_problem"])
    assert problem == "variants.toml: variant 'fo/ur': a name is 1 to 32 letters, digits, - and _ without accents."
    assert record(project)["in_force"]["epoch"] == before
    listed(lambda text: text[: text.index('\n[[variant]]\nname = "fo/ur"')])
    eventually(lambda: not record(project)["list_problem"])


def test_a_variant_that_comes_and_cannot_start_ends_nobody_else(project: Project, photo: bytes) -> None:
    project.add_variant("broken")
    (project.folder / "app_broken" / "artifacts" / "starter.safetensors").unlink()
    eventually(lambda: "app_broken stopped (rc=1)" in project.said())
    listed = project.abtest("variants")
    assert re.search(r"broken +│ – +│ no: no answer +│ 0 % ", listed.stdout), listed.stdout
    refused = project.abtest("redeploy", "broken")
    assert refused.returncode == 1
    assert "app_broken ended again" in refused.stderr
    with Load(project.url, photo).going() as load:
        load.answered(5)
    assert set(load.outcomes) == {"200"}

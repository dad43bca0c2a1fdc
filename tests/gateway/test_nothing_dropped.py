"""Under constant load, changes of the split and of the processes fail not one request."""

from collections.abc import Iterator

import pytest

from tests.load import Load
from tests.system import System
from traffic.split import Rule, Shadow


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("load")) as started:
        yield started


def test_twenty_changes_of_the_split(loaded: System, photo: bytes) -> None:
    rules: list[tuple[Rule, dict[str, float], Shadow | None]] = [
        ("weighted", {"custom": 90, "vgg16": 10}, None),
        ("sticky", {"custom": 80, "vgg16": 20}, Shadow("vgg16", 25)),
        ("round_robin", {}, None),
        ("weighted", {"vgg16": 100}, Shadow("custom", 10)),
    ]
    first = loaded.split()["in_force"]["epoch"]
    with Load(loaded.url, photo).going() as load:
        for rule, shares, shadow in rules * 5:
            wanted = {"shadow": vars(shadow)} if shadow else {}
            loaded.change("split", rule=rule, shares=shares, **wanted)
            load.answered(5)

    assert set(load.outcomes) == {"200"}
    assert loaded.split()["in_force"]["epoch"] == first + 20


def test_promotion_and_rollback(loaded: System, photo: bytes) -> None:
    loaded.change("split", rule="round_robin")
    with Load(loaded.url, photo).going() as load:
        loaded.change("promote", variant="vgg16")
        load.answered(20)
        rolled_back = loaded.change("rollback")
        load.answered(20)

    assert set(load.outcomes) == {"200"}
    assert rolled_back["split"]["rule"] == "round_robin"


def test_a_variant_killed_one_stopped_and_each_restarted(loaded: System, photo: bytes) -> None:
    with Load(loaded.url, photo).going() as load:
        loaded.kill("app_vgg16")
        load.answered(20)
        loaded.start("app_vgg16")
        loaded.wait_ready()
        loaded.stop("app_custom")
        load.answered(20)
        loaded.start("app_custom")
        loaded.wait_ready()
        for service in ("app_custom", "app_vgg16"):
            loaded.stop(service)
            loaded.start(service)
            loaded.wait_ready()
            load.answered(10)

    assert set(load.outcomes) == {"200"}

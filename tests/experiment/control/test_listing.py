"""Another list of variants is taken up by every gateway, or by none."""

from pathlib import Path

import pytest

from experiment.control.changes import Changes
from experiment.control.gateways import Gateway, Gateways
from experiment.control.guardrails import Guard
from experiment.control.listing import ListFile
from experiment.control.recent import Recent
from experiment.control.splits import Splits
from experiment.record.database import Database
from tests.experiment.conftest import PLAN
from traffic.split import Split, SplitError, make_split
from variants import CLASSES, Variant

CUSTOM, VGG16 = Variant("custom", "app_custom", 8009), Variant("vgg16", "app_vgg16", 8008)
MINE = Variant("mine", "app_mine", 8011)
NAMES = ["custom", "vgg16"]


class OneGateway(Gateways):
    """One gateway, which takes over or refuses what it is given, at once."""

    splits: Splits
    refuses = ""

    def present(self) -> list[Gateway]:
        asked = self.splits.asked()
        if asked and self.refuses:
            return [Gateway("gateway", 1, refused={asked.epoch: self.refuses})]
        return [Gateway("gateway", (asked or self.splits.in_force()).epoch)]


@pytest.fixture
def gateways() -> OneGateway:
    return OneGateway()


@pytest.fixture
def changes(sqlite: Database, gateways: OneGateway, monkeypatch: pytest.MonkeyPatch) -> Changes:
    monkeypatch.setattr("experiment.control.changes._LOOK_S", 0.01)
    made = Changes(Splits(sqlite, NAMES), gateways, [CUSTOM, VGG16])
    gateways.splits = made.splits
    made.bring_up_to_date()
    return made


def put(changes: Changes, split: Split, action: str = "split", reason: str = "") -> None:
    changes.make(action, changes.splits.in_force().epoch, lambda _: (split, None), "a test", reason)  # type: ignore[arg-type]


def test_a_list_is_a_row_of_the_record_and_the_split_goes_on(changes: Changes) -> None:
    put(changes, make_split("weighted", {"custom": 90, "vgg16": 10}, NAMES))
    put(changes, make_split("weighted", {"custom": 80, "vgg16": 20}, NAMES))
    added = changes.relist([CUSTOM, VGG16, MINE])

    assert (added.action, added.reason, added.split.shares["custom"]) == ("variants", "mine was added", 80)
    assert changes.names == ["custom", "vgg16", "mine"]
    assert "upstream replicas_mine {" in changes.offer().routes
    # The way back leads past it, to what was before the split that it carried on.
    back = changes.roll_back(added.epoch, "a test")
    assert back.split.shares["custom"] == 90
    moved = changes.relist([CUSTOM, VGG16, Variant("mine", "app_other", 8012)])
    assert moved.reason == "mine is another service now"


def test_what_a_removed_variant_had_goes_to_the_others(changes: Changes) -> None:
    changes.relist([CUSTOM, VGG16, MINE])
    put(changes, make_split("weighted", {"custom": 50, "mine": 50}, changes.names))
    removed = changes.relist([CUSTOM, VGG16])

    assert removed.split.shares == {"custom": 100}
    assert removed.reason == "mine was removed, and the others take its share"
    assert "mine" not in changes.offer().routes.partition("upstream")[2]
    with pytest.raises(SplitError, match="cannot be restored: there is no variant 'mine' any more"):
        changes.roll_back(removed.epoch, "a test")
    # Nothing that has no share is in the way of what follows.
    put(changes, make_split("weighted", {"custom": 90, "vgg16": 10, "mine": 0}, changes.names))


@pytest.mark.parametrize("action", ["guardrail", "outage"])
def test_what_a_guardrail_decided_stays_decided(changes: Changes, action: str) -> None:
    put(changes, make_split("weighted", {"custom": 100}, NAMES), action, "vgg16 failed")
    changes.relist([CUSTOM, VGG16, MINE])
    guard = Guard(changes, Recent())
    guard.watch(PLAN)

    assert (guard.tripped or guard.outage) == "vgg16 failed"
    changes.relist([CUSTOM, MINE])
    guard.watch(PLAN)
    assert guard.outage == ""


def test_a_list_that_a_gateway_refuses_changes_nothing(
    changes: Changes, gateways: OneGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiment.edited._SETTLED_S", 0)
    listed = tmp_path / "variants.toml"
    write(listed, [CUSTOM, VGG16, MINE])
    file = ListFile(listed, changes)
    served = changes.offer()
    gateways.refuses = "host not found"
    for _ in range(2):
        file.look()
        assert file.problem == "Nothing was changed: nginx refuses this split. gateway: host not found"
    assert (changes.names, changes.offer()) == (NAMES, served)
    assert len(changes.splits.history()) == 2  # asked for once

    gateways.refuses = ""
    write(listed, [CUSTOM, VGG16])
    file.look()
    assert file.problem == ""
    write(listed, [CUSTOM, VGG16, MINE])
    file.look()
    assert changes.names == ["custom", "vgg16", "mine"]


def test_other_classes_need_a_new_start(changes: Changes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.edited._SETTLED_S", 0)
    listed = tmp_path / "variants.toml"
    write(listed, [CUSTOM, VGG16, MINE], ["ripe", "unripe"])
    file = ListFile(listed, changes)
    file.look()

    assert file.problem == "variants.toml: other classes need a new start of the whole system."
    assert changes.names == NAMES


def write(listed: Path, variants: list[Variant], classes: list[str] | None = None) -> None:
    names = ", ".join(f'"{name}"' for name in classes or CLASSES)
    entries = [f'[[variant]]\nname = "{v.name}"\nservice = "{v.service}"\nport = {v.port}\n' for v in variants]
    listed.write_text(f"classes = [{names}]\n" + "".join(entries), encoding="utf-8")

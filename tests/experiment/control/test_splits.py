"""The record of the split: what no crash, no haste and no old folder can bend."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from experiment.control.changes import Changes, UndecidedError
from experiment.control.gateways import Gateways
from experiment.control.splits import Entry, Splits, StaleError
from experiment.record.database import Database
from tests.experiment.conftest import Ledger, line, take_in
from traffic.render import render_routes
from traffic.split import Split, SplitError, make_split
from variants import VARIANTS

NAMES = ["custom", "vgg16"]


def shares(custom: float) -> Callable[[Entry], tuple[Split, int | None]]:
    """A change to so many percent."""
    return lambda before: (
        make_split("weighted", {"custom": custom, "vgg16": 100 - custom}, NAMES, before=before.split),
        None,
    )


def force(splits: Splits, custom: float) -> Entry:
    return splits.ask("split", splits.in_force().epoch, shares(custom), "a test", standing="in_force")


def before(splits: Splits) -> Callable[[Entry], tuple[Split, int | None]]:
    def found(entry: Entry) -> tuple[Split, int | None]:
        past = splits.before(entry)
        return past.split, past.epoch

    return found


def kept(epoch: int, custom: float = 50, **fields: Any) -> dict[str, Any]:
    """A change as an earlier version wrote it to its history."""
    split = make_split("weighted", {"custom": custom, "vgg16": 100 - custom}, NAMES).as_json() | {"epoch": epoch}
    return {
        "ts": "2026-01-01T00:00:00+00:00",
        "action": "split",
        "reason": "",
        "restores": None,
        "split": split,
    } | fields


def test_of_a_hundred_changes_at_once_each_is_in_force_or_refused(database: Database) -> None:
    splits = Splits(database, NAMES)
    told: list[Entry] = []
    refused: list[str] = []

    def ask(number: int) -> None:
        against = splits.in_force().epoch
        try:
            told.append(splits.ask("split", against, shares(number), "a test", standing="in_force"))
        except StaleError as error:
            refused.append(str(error))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(100)))

    history = splits.history()
    assert sorted(told, key=lambda entry: entry.epoch) == history
    assert [entry.epoch for entry in history] == list(range(1, len(history) + 1))
    assert [entry.before for entry in history] == [None, *range(1, len(history))]
    assert len(told) + len(refused) == 100
    assert all("Look at `abtest status`, then ask again." in sentence for sentence in refused)


def test_a_change_against_an_old_split_says_who_was_quicker(sqlite: Database) -> None:
    splits = Splits(sqlite, NAMES)
    force(splits, 90)
    with pytest.raises(StaleError, match=r"The split changed meanwhile: epoch 1, by a test\."):
        splits.ask("split", 0, shares(10), "somebody")
    splits.ask("split", 1, shares(20), "the guardrail")
    with pytest.raises(StaleError, match=r"Another change is under way: epoch 2, by the guardrail\."):
        splits.ask("split", 1, shares(10), "somebody")
    assert [entry.standing for entry in splits.history()] == ["in_force", "asked"]


def test_an_epoch_is_greater_than_all_that_were_ever_seen(sqlite: Database, ledger: Ledger) -> None:
    splits = Splits(sqlite, NAMES)
    take_in(sqlite, ledger, line("a", epoch=7))
    assert force(splits, 90).epoch == 8
    assert splits.ask("split", 8, shares(80), "", seen=20, standing="in_force").epoch == 21
    splits.ask("split", 21, shares(70), "")
    splits.settle(22, "refused", "no")
    assert force(splits, 60).epoch == 23


def test_a_history_torn_by_a_crash_is_taken_over_as_far_as_it_can_be_read(sqlite: Database, tmp_path: Path) -> None:
    lines = [
        json.dumps(kept(1, 50, action="start")),
        json.dumps(kept(2, 90)),
        '{"ts": "2026-01-01T00:0',
        "[]",
        json.dumps(kept(3, 20, split=7)),
        json.dumps(kept(4, 30, action="something else", restores="1")),
    ]
    (tmp_path / "history.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"ts": "\xff')
    (tmp_path / "split.json").write_text('{"rule": "wei')
    splits = Splits(sqlite, NAMES)

    assert splits.take_over(tmp_path) == 3
    assert [(entry.epoch, entry.action, entry.before) for entry in splits.history()] == [
        (1, "start", None),
        (2, "split", 1),
        (4, "split", 2),
    ]
    assert splits.take_over(tmp_path) == 0
    assert splits.before(splits.in_force()).epoch == 2
    assert force(splits, 10).epoch == 5


def test_epochs_that_were_used_twice_lead_back_to_others(sqlite: Database, tmp_path: Path) -> None:
    """A full volume once left a history with the epochs 1, 2, 2, 2."""
    changes = [kept(1, 50), kept(2, 90), kept(2, 80), kept(2, 70, restores=2)]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(change) + "\n" for change in changes))
    splits = Splits(sqlite, NAMES)
    splits.take_over(tmp_path)

    assert [(entry.epoch, entry.before, entry.restores) for entry in splits.history()] == [
        (1, None, None),
        (2, 1, None),
    ]
    assert splits.in_force().split.shares["custom"] == 70
    back = splits.ask("rollback", 2, before(splits), "a test", standing="in_force")
    assert (back.epoch, back.restores) == (3, 1)


def test_a_split_that_only_its_own_file_knew_is_in_force(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text(json.dumps(kept(1)) + "\n")
    (tmp_path / "split.json").write_text(json.dumps(kept(2, 90)["split"]))
    splits = Splits(sqlite, NAMES)
    splits.take_over(tmp_path)
    assert (splits.in_force().epoch, splits.in_force().before) == (2, 1)


def test_a_folder_that_is_not_there_holds_nothing(sqlite: Database, tmp_path: Path) -> None:
    assert Splits(sqlite, NAMES).take_over(tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (["custom", "vgg16", "mine"], {"custom": 90, "vgg16": 10}),
        (["custom", "mine"], {"custom": 100}),
        (["mine", "yours"], {"mine": 50, "yours": 50}),
    ],
)
def test_variants_come_and_go_between_two_starts(
    sqlite: Database, variants: list[str], expected: dict[str, float]
) -> None:
    force(Splits(sqlite, NAMES), 90)
    splits = Splits(sqlite, variants)
    changes = Changes(splits, Gateways())
    changes.bring_up_to_date()

    found = splits.in_force()
    assert {name: share for name, share in found.split.shares.items() if share} == expected
    assert (found.epoch, found.action) == ((1, "split") if len(variants) == 3 else (2, "variants"))
    listed = [VARIANTS[0].__class__(name, f"app_{name}", 8000 + number) for number, name in enumerate(variants)]
    assert f"# epoch {found.epoch}\n" in render_routes(found.split, listed)


def test_the_way_back_leads_to_no_variant_that_is_no_more(sqlite: Database) -> None:
    three = Splits(sqlite, [*NAMES, "mine"])
    three.ask(
        "split",
        0,
        lambda entry: (make_split("weighted", {"mine": 100}, [*NAMES, "mine"], before=entry.split), None),
        "a test",
        standing="in_force",
    )
    splits = Splits(sqlite, NAMES)
    Changes(splits, Gateways()).bring_up_to_date()
    assert splits.in_force().action == "variants"
    with pytest.raises(
        SplitError, match=r"epoch 1 \(.*mine=100\), cannot be restored: there is no variant 'mine' any more"
    ):
        splits.before(splits.in_force())


def test_who_waits_for_a_change_is_sent_away_when_the_service_ends(sqlite: Database) -> None:
    gateways = Gateways()
    gateways.seen("gateway")
    changes = Changes(Splits(sqlite, NAMES), gateways)
    gateways.close()
    with pytest.raises(UndecidedError, match="`abtest status` will say what became of epoch 1"):
        changes.make("split", 0, shares(10), "a test")
    assert changes.splits.asked()
